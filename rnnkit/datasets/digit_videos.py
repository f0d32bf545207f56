"""Videos of digits, with one label per frame and one per clip."""

from typing import NamedTuple

import numpy as np

from rnnkit.arguments import check_integer
from rnnkit.datasets.digits import Digits, digits

CLIP_LABELS = ("up", "down", "peak", "valley")
_ORDERS = {  # of the three digits of a clip: 0 is the smallest, 2 the largest
    "up": [(0, 1, 2)],
    "down": [(2, 1, 0)],
    "peak": [(0, 2, 1), (1, 2, 0)],
    "valley": [(1, 0, 2), (2, 0, 1)],
}
_SHORTEST = 3  # frames that a digit stays, at least
_SIZE = 10  # height and width of a frame in pixels; a digit has 8, which leaves it 2 to move


class DigitVideos(NamedTuple):
    """Clips, padded with empty frames on the right.

    Attributes:
        frames: array `(samples, time, 10, 10)` of float32, 0 (paper) to 1 (ink).
        mask: array `(samples, time)` of bool, False in the padding.
        frame_labels: array `(samples, time)` of int32, the digit in each frame; 0 in the padding.
        clip_labels: array `(samples,)` of int32, an index into `CLIP_LABELS`.
    """

    frames: np.ndarray
    mask: np.ndarray
    frame_labels: np.ndarray
    clip_labels: np.ndarray


def digit_videos(
    samples: int,
    frames: int | tuple[int, int] = (9, 18),
    hidden: float = 0.8,
    noise: float = 0.1,
    split: str = "train",
    seed: int = 0,
) -> DigitVideos:
    """Generates clips in which three different digits appear one after another.

    Each digit is one picture from `digits`. It stays for at least 3 frames and drifts by at most one pixel per frame,
    and in many frames half of it is hidden: left, right, top or bottom. One frame is often not enough to recognize the
    digit (the label of the frame), but the next frames show the other half.

    The label of the clip names the order of the three digits:

    | label | name | digits | for example |
    |---|---|---|---|
    | 0 | up | rise twice | 2 5 9 |
    | 1 | down | fall twice | 9 5 2 |
    | 2 | peak | rise, then fall | 2 9 5, 5 9 2 |
    | 3 | valley | fall, then rise | 5 2 9, 9 2 5 |

    The four are equally likely, **whichever three digits appear and however long each stays**: a network that forgets
    the order of the frames can only guess.

    Args:
        samples: number of clips.
        frames: length of a clip, at least 9; or `(shortest, longest)`, where each length is equally likely. Defaults to
            `(9, 18)`.
        hidden: probability that half of the digit is hidden in a frame. Defaults to `0.8`.
        noise: standard deviation of the normal noise that is added to each pixel, before pixels are clipped to 0 to 1.
            Defaults to `0.1`.
        split: the part of `digits` whose pictures are shown: `"train"`, `"validation"` or `"test"`. Defaults to
            `"train"`.
        seed: integer; equal seeds give equal clips. Defaults to `0`.

    Returns:
        Named tuple `(frames, mask, frame_labels, clip_labels)`, see `DigitVideos`. `time` is the longest possible
        length.

    Raises:
        ValueError: an argument is out of range, or the split is unknown.
        ImportError: scikit-learn, which ships the pictures, is not installed.

    Example:

    >>> clips = digit_videos(100, frames=(9, 12), seed=1)
    >>> clips.frames.shape, sorted(set(clips.mask.sum(axis=1).tolist()))
    ((100, 12, 10, 10), [9, 10, 11, 12])
    >>> CLIP_LABELS[clips.clip_labels[0]], clips.frame_labels[0].tolist()
    ('up', [1, 1, 1, 4, 4, 4, 4, 5, 5, 5, 0, 0])

    References:
        The clips are a small version of the moving digits in Srivastava, Mansimov and Salakhutdinov, "Unsupervised
        learning of video representations using LSTMs", 2015.
    """
    shortest, longest = _checked(samples, frames, hidden, noise, split)
    images, labels = getattr(digits(), split)
    rng = np.random.default_rng(seed)
    videos = DigitVideos(
        frames=np.zeros((samples, longest, _SIZE, _SIZE), "float32"),
        mask=np.arange(longest) < rng.integers(shortest, longest + 1, size=(samples, 1)),
        frame_labels=np.zeros((samples, longest), "int32"),
        clip_labels=rng.integers(len(CLIP_LABELS), size=samples, dtype="int32"),
    )
    for clip, mask in enumerate(videos.mask):
        length = mask.sum()
        shown = _digits_of_a_clip(CLIP_LABELS[videos.clip_labels[clip]], rng)
        stays = _stays(length, rng)
        videos.frame_labels[clip, :length] = np.repeat(shown, stays)
        pictures = [images[rng.choice(np.flatnonzero(labels == digit))] for digit in shown]
        pictures = np.repeat(pictures, stays, axis=0)
        pictures = np.where(rng.random((length, 1, 1)) < hidden, _half_hidden(pictures, rng), pictures)
        for frame, (row, column), picture in zip(videos.frames[clip], _drift(length, rng), pictures, strict=False):
            frame[row : row + 8, column : column + 8] = picture
        videos.frames[clip, :length] += noise * rng.normal(size=(length, _SIZE, _SIZE))
    np.clip(videos.frames, 0, 1, out=videos.frames)
    return videos


def _digits_of_a_clip(name, rng):
    order = rng.choice(_ORDERS[name])
    return np.sort(rng.choice(10, size=3, replace=False))[order]


def _stays(length, rng):
    """The number of frames that each of three digits stays."""
    cuts = np.sort(rng.integers(length - 3 * _SHORTEST + 1, size=2))
    return _SHORTEST + np.diff(cuts, prepend=0, append=length - 3 * _SHORTEST)


def _half_hidden(pictures, rng):
    """The pictures, each with its left, right, top or bottom half erased."""
    halves = np.ones((4, 8, 8), "float32")
    halves[0, :, :4] = halves[1, :, 4:] = halves[2, :4] = halves[3, 4:] = 0
    return pictures * halves[rng.integers(4, size=len(pictures))]


def _drift(length, rng):
    """The corner `(row, column)` of the picture in each frame, a random walk that stays inside."""
    corners = [rng.integers(3, size=2)]
    for step in rng.integers(-1, 2, size=(length - 1, 2)):
        corners.append(np.clip(corners[-1] + step, 0, _SIZE - 8))
    return corners


def _checked(samples, frames, hidden, noise, split):
    """The shortest and the longest length, if all arguments are valid."""
    check_integer("digit_videos", "samples", samples)
    lengths = [frames, frames] if np.ndim(frames) == 0 else list(frames)
    whole = len(lengths) == 2 and all(isinstance(length, int | np.integer) for length in lengths)
    if not whole or not 3 * _SHORTEST <= lengths[0] <= lengths[1]:
        raise ValueError(
            f"digit_videos expected frames to be a length of at least {3 * _SHORTEST} (three digits of {_SHORTEST} "
            f"frames), or a pair (shortest, longest) of such lengths, received {frames!r}."
        )
    if not 0 <= hidden <= 1:
        raise ValueError(f"digit_videos expected hidden to be a probability from 0 to 1, received {hidden!r}.")
    if not 0 <= noise < np.inf:
        raise ValueError(f"digit_videos expected noise to be a standard deviation of at least 0, received {noise!r}.")
    if split not in Digits._fields:
        raise ValueError(f"digit_videos expected split to be one of {', '.join(Digits._fields)}, received {split!r}.")
    return lengths

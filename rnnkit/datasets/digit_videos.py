"""Videos of digits: one label for every frame and one for the clip."""

from typing import NamedTuple

import numpy as np

from rnnkit.datasets.digits import Digits, digits

CLIP_LABELS = ("up", "down", "peak", "valley")
_ORDERS = {  # of the three digits of a clip: 0 is the smallest, 2 the largest
    "up": [(0, 1, 2)],
    "down": [(2, 1, 0)],
    "peak": [(0, 2, 1), (1, 2, 0)],
    "valley": [(1, 0, 2), (2, 0, 1)],
}
_SHORTEST = 3  # frames that a digit stays at least
_SIZE = 10  # pixels, height and width of a frame; a digit has 8, so that it can move by 2


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


def digit_videos(samples, frames=(9, 18), hidden=0.8, noise=0.1, split="train", seed=0):
    """Clips in which three different digits appear one after the other.

    Each digit is one picture of `digits`. It stays for 3 frames or more and drifts by at most a pixel a frame, and in
    many frames a half of it is hidden: left, right, top or bottom. So one frame is often not enough to tell the digit
    (the label of the frame), but the next frames show the other half.

    The label of the clip says how the three digits follow on each other:

    | label | name | digits | for example |
    |---|---|---|---|
    | 0 | up | rise twice | 2 5 9 |
    | 1 | down | fall twice | 9 5 2 |
    | 2 | peak | rise, then fall | 2 9 5, 5 9 2 |
    | 3 | valley | fall, then rise | 5 2 9, 9 2 5 |

    The four are equally likely, and **independent of which three digits they are and of how long each stays**: who
    forgets the order of the frames can only guess.

    Args:
        samples: number of clips.
        frames: length of a clip, or `(shortest, longest)`; each length is equally likely. At least 9.
        hidden: probability that a half of the digit is hidden in a frame.
        noise: standard deviation of the normal noise that is added to each pixel (before it is limited to 0 to 1).
        split: the part of `digits` whose pictures are shown: "train", "validation" or "test".
        seed: integer; the same seed gives the same clips.

    Returns:
        Named tuple `(frames, mask, frame_labels, clip_labels)`, see `DigitVideos`. `time` is the longest length asked
        for.

    Raises:
        ValueError: an argument is out of its range, or the split is unknown.
        ImportError: when scikit-learn, which ships the pictures, is not installed.

    Example:

    >>> clips = digit_videos(100, frames=(9, 12), seed=1)
    >>> clips.frames.shape, sorted(set(clips.mask.sum(axis=1).tolist()))
    ((100, 12, 10, 10), [9, 10, 11, 12])
    >>> CLIP_LABELS[clips.clip_labels[0]], clips.frame_labels[0].tolist()
    ('up', [1, 1, 1, 4, 4, 4, 4, 5, 5, 5, 0, 0])

    References:
        Srivastava, Mansimov and Salakhutdinov 2015, "Unsupervised learning of video representations using LSTMs",
        whose moving digits these are a small cousin of.
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
    """How many frames each of three digits stays."""
    cuts = np.sort(rng.integers(length - 3 * _SHORTEST + 1, size=2))
    return _SHORTEST + np.diff(cuts, prepend=0, append=length - 3 * _SHORTEST)


def _half_hidden(pictures, rng):
    """The pictures, each with its left, right, top or bottom half empty."""
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
    """The shortest and the longest length, when all arguments are right."""
    if isinstance(samples, bool) or not isinstance(samples, int | np.integer) or samples < 1:
        raise ValueError(f"Expected samples to be a positive integer, got {samples!r}.")
    lengths = [frames, frames] if np.ndim(frames) == 0 else list(frames)
    whole = len(lengths) == 2 and all(isinstance(length, int | np.integer) for length in lengths)
    if not whole or not 3 * _SHORTEST <= lengths[0] <= lengths[1]:
        raise ValueError(
            f"Expected frames to be a length of at least {3 * _SHORTEST} (three digits of {_SHORTEST} frames), or a "
            f"pair (shortest, longest) of such lengths, got {frames!r}."
        )
    if not 0 <= hidden <= 1:
        raise ValueError(f"Expected hidden to be a probability from 0 to 1, got {hidden!r}.")
    if not 0 <= noise < np.inf:
        raise ValueError(f"Expected noise to be a standard deviation of 0 or more, got {noise!r}.")
    if split not in Digits._fields:
        raise ValueError(f"Expected split to be one of {', '.join(Digits._fields)}, got {split!r}.")
    return lengths

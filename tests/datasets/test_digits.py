"""rnnkit.datasets.digits and digit_videos: facts about the pictures, and what a clip promises."""

import sys

import numpy as np
import pytest

from rnnkit import datasets
from rnnkit.datasets.digit_videos import CLIP_LABELS


def nearest_label(train, images):
    distances = ((images[:, None] - train.images[None]) ** 2).sum(axis=(2, 3))
    return train.labels[distances.argmin(axis=1)]


def test_digits_are_pictures_of_ink_with_their_labels():
    digits = datasets.digits()
    assert [len(part.labels) for part in digits] == [1197, 300, 300]
    for part in digits:
        assert part.images.shape == (len(part.labels), 8, 8) and part.images.dtype == "float32"
        assert part.images.min() == 0.0 and part.images.max() == 1.0
        assert part.labels.dtype == "int32"
        counts = np.bincount(part.labels, minlength=10)
        assert counts.min() > 0.08 * len(part.labels) and counts.max() < 0.12 * len(part.labels)
    right = nearest_label(digits.train, digits.validation.images) == digits.validation.labels
    assert right.mean() > 0.9  # labels and pictures belong together


def test_each_digit_is_in_one_part_only():
    train, validation, test = ({image.tobytes() for image in part.images} for part in datasets.digits())
    assert not train & validation and not train & test and not validation & test


def test_digits_of_one_hand_stay_in_one_part():
    """The file goes hand by hand: in its order, new pictures are harder than in a shuffled split."""
    digits = datasets.digits()
    images = np.concatenate([part.images for part in digits])
    labels = np.concatenate([part.labels for part in digits])
    order = np.random.default_rng(0).permutation(len(labels))
    shuffled = type(digits.train)(images[order[:1197]], labels[order[:1197]])

    def errors(train, images, labels):
        return np.mean(nearest_label(train, images) != labels)

    assert errors(digits.train, images[1197:], labels[1197:]) > 1.5 * errors(
        shuffled, images[order[1197:]], labels[order[1197:]]
    )


@pytest.fixture(scope="module")
def clips():
    return datasets.digit_videos(2000, seed=3)


def segments(clips, clip):
    """The digits of a clip and how long each stays."""
    labels = clips.frame_labels[clip, clips.mask[clip]]
    starts = np.flatnonzero(np.diff(labels, prepend=-1))
    return labels[starts], np.diff(starts, append=len(labels))


def test_clips_have_lengths_and_empty_padding(clips):
    assert clips.frames.shape == (2000, 18, 10, 10) and clips.frames.dtype == "float32"
    assert clips.frames.min() == 0.0 and clips.frames.max() == 1.0
    lengths = clips.mask.sum(axis=1)
    assert set(lengths) == set(range(9, 19))
    assert np.array_equal(clips.mask, np.arange(18) < lengths[:, None])
    assert not clips.frames[~clips.mask].any() and not clips.frame_labels[~clips.mask].any()


def test_labels_name_the_order_of_the_digits(clips):
    for clip in range(2000):
        digits, stays = segments(clips, clip)
        assert len(set(digits)) == len(digits) == 3 and stays.min() >= 3
        rises = tuple(np.diff(digits) > 0)
        name = {(True, True): "up", (False, False): "down", (True, False): "peak", (False, True): "valley"}[rises]
        assert CLIP_LABELS[clips.clip_labels[clip]] == name


@pytest.mark.slow
def test_the_set_of_digits_does_not_predict_the_label():
    clips = datasets.digit_videos(8000, frames=9, hidden=0, noise=0, seed=5)
    assert all(1850 < count < 2150 for count in np.bincount(clips.clip_labels))  # 2000 +- 3.9 standard deviations
    digits = np.array([segments(clips, clip)[0] for clip in range(8000)])
    smallest = digits.min(axis=1)
    for label in range(4):  # the smallest of three digits is 0 with probability 36 / 120
        assert abs(np.mean(smallest[clips.clip_labels == label] == 0) - 0.3) < 0.04
    assert len(np.unique(np.argsort(digits, axis=1), axis=0)) == 6  # every order occurs


def test_a_clip_without_noise_shows_pictures_of_its_split_only():
    digits = datasets.digits()
    for split in digits._fields:
        clips = datasets.digit_videos(20, hidden=0, noise=0, split=split, seed=1)
        own = {image.tobytes() for image in getattr(digits, split).images}
        for frame in clips.frames[clips.mask]:
            windows = np.lib.stride_tricks.sliding_window_view(frame, (8, 8)).reshape(9, 8, 8)
            assert any(window.tobytes() in own for window in windows)


def test_hidden_erases_half_of_the_digit():
    whole, half = (datasets.digit_videos(300, frames=9, hidden=hidden, noise=0) for hidden in (0.0, 1.0))
    ink = half.frames.sum() / whole.frames.sum()
    assert 0.45 < ink < 0.55
    some = datasets.digit_videos(300, frames=9, hidden=0.5, noise=0)
    assert 0.7 < some.frames.sum() / whole.frames.sum() < 0.8


def test_digits_drift_by_a_pixel_at_most():
    clips = datasets.digit_videos(200, frames=9, hidden=0, noise=0)
    rows = np.arange(10) @ clips.frames.sum(axis=3)[..., None]  # the center of the ink
    centres = rows[..., 0] / clips.frames.sum(axis=(2, 3))
    same = np.diff(clips.frame_labels, axis=1) == 0
    moves = np.abs(np.diff(centres, axis=1))[same]
    assert moves.max() < 1.001 and (moves > 0.999).any()


def test_same_seed_same_clips_and_another_seed_others():
    first, again, other = (datasets.digit_videos(5, seed=seed) for seed in (1, 1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first.frames, other.frames)


def test_noise_has_the_given_standard_deviation():
    clips = datasets.digit_videos(200, frames=9, hidden=1, noise=0.1)
    border = clips.frames[:, :, 0, 0]  # paper in most frames: half of the noise is cut off at 0
    positive = border[(border > 0) & (border < 0.3)]
    assert abs(np.sqrt(np.mean(positive**2)) - 0.1) < 0.01


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"samples": 0}, "digit_videos expected samples to be an integer of at least 1, received 0"),
        ({"samples": 2.0}, "samples to be an integer of at least 1, received 2.0"),
        ({"samples": True}, "samples to be an integer of at least 1, received True"),
        ({"frames": 8}, "at least 9 .three digits of 3 frames.*received 8"),
        ({"frames": (12, 10)}, r"pair \(shortest, longest\).*received \(12, 10\)"),
        ({"frames": (9, 12, 15)}, "frames"),
        ({"frames": "many"}, "received 'many'"),
        ({"frames": (9.5, 12.5)}, "received"),
        ({"hidden": 1.5}, "hidden to be a probability from 0 to 1, received 1.5"),
        ({"noise": -0.1}, "noise to be a standard deviation of at least 0, received -0.1"),
        ({"noise": float("nan")}, "noise"),
        ({"split": "validate"}, "one of train, validation, test, received 'validate'"),
    ],
)
def test_digit_videos_refuse(arguments, message):
    with pytest.raises(ValueError, match=message):
        datasets.digit_videos(**{"samples": 2, **arguments})


@pytest.mark.parametrize("load", [datasets.digits, lambda: datasets.digit_videos(2)])
def test_error_for_a_missing_package_says_what_to_install(load, monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(ImportError, match=r'needs the package scikit-learn.*pip install "rnnkit\[notebooks\]"'):
        load()

"""Handwritten digits of 8 by 8 pixels: the smallest pictures that are worth reading."""

from typing import NamedTuple

import numpy as np

from rnnkit.datasets.cache import require


class Images(NamedTuple):
    """Pictures and the digits that they show.

    Attributes:
        images: array `(n, 8, 8)` of float32, 0 (paper) to 1 (ink).
        labels: array `(n,)` of int32, 0 to 9.
    """

    images: np.ndarray
    labels: np.ndarray


class Digits(NamedTuple):
    """The pictures in three parts.

    Attributes:
        train: 1,197 `Images`.
        validation: 300 `Images`.
        test: 300 `Images`.
    """

    train: Images
    validation: Images
    test: Images


def digits() -> Digits:
    """Loads 1,797 handwritten digits with their labels, in three parts.

    The parts are the first 1,197 pictures, the next 300 and the last 300, in the order of the file. The order matters:
    neighbors in the file are often by the same hand, and a shuffled split would put near twins on both sides.

    Returns:
        Named tuple `(train, validation, test)` of named tuples `(images, labels)`, see `Images`.

    Raises:
        ImportError: scikit-learn, which ships the pictures, is not installed.

    Example:

    >>> images, labels = digits().train
    >>> images.shape, labels[:5].tolist()
    ((1197, 8, 8), [0, 1, 2, 3, 4])

    References:
        Alpaydin and Kaynak, "Optical recognition of handwritten digits", UCI Machine Learning Repository, 1998,
        CC BY 4.0: its test part, as shipped by scikit-learn.
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise require("rnnkit.datasets.digits", "scikit-learn") from error
    pictures = load_digits()
    images = (pictures.images / 16).astype("float32")
    labels = pictures.target.astype("int32")
    parts = [slice(0, 1197), slice(1197, 1497), slice(1497, None)]
    return Digits(*(Images(images[part], labels[part]) for part in parts))

"""Handwritten digits of 8 by 8 pixels: the smallest pictures that are worth reading."""

from typing import NamedTuple

import numpy as np

from rnnkit.datasets.cache import require


class Images(NamedTuple):
    """Pictures `(n, 8, 8)` as float32 from 0 (paper) to 1 (ink), and the digits on them, `(n,)` as int32."""

    images: np.ndarray
    labels: np.ndarray


class Digits(NamedTuple):
    """Pictures to train on, to validate on, and to test with."""

    train: Images
    validation: Images
    test: Images


def digits():
    """1,797 handwritten digits with their labels, in three parts.

    The parts are the first 1,197 pictures, the next 300 and the last 300, in the order of the file. The order matters:
    neighbours in the file are often by the same hand, so that a shuffled split would put near twins on both sides.

    Returns:
        Named tuple `(train, validation, test)`, each a named tuple `(images, labels)`: an array `(n, 8, 8)` of float32
        from 0 to 1, and an array `(n,)` of int32 from 0 to 9.

    Raises:
        ImportError: when scikit-learn, which ships the pictures, is not installed.

    Example:

    >>> images, labels = digits().train
    >>> images.shape, labels[:5].tolist()
    ((1197, 8, 8), [0, 1, 2, 3, 4])

    References:
        Alpaydin and Kaynak 1998, "Optical recognition of handwritten digits", UCI Machine Learning Repository,
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

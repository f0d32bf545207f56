"""Scores: what is added up over a sequence, and compared."""

import numpy as np
from keras import ops

from rnnkit.annotations import Tensor

IMPOSSIBLE = -1e30  # the score of what cannot be: finite, so that no sum of scores and no gradient becomes NaN


def minus_infinity_if_impossible(score: Tensor) -> Tensor:
    """Returns the scores, with minus infinity for sums that hold `IMPOSSIBLE`."""
    return ops.where(score > IMPOSSIBLE / 2, score, -np.inf)


def first_of_best(scores: Tensor, axis: int = -1) -> Tensor:
    """Returns where the best score along an axis is, int32; the first place of several.

    It is `ops.argmax`, but exporters know it, and on TensorFlow it takes less time: Keras's looks for -0.0 first.
    """
    count = scores.shape[axis]
    shape = [1] * len(scores.shape)
    shape[axis] = count
    places = np.arange(count, dtype="int32").reshape(shape)
    is_best = scores == ops.max(scores, axis=axis, keepdims=True)
    return ops.min(ops.where(is_best, places, count - 1), axis=axis)


def scores_at(scores: Tensor, tokens: Tensor) -> Tensor:
    """Returns, of scores `(rows, vocabulary)`, those of one token in each row, `(rows,)`."""
    rows, vocabulary = ops.shape(scores)
    places = ops.cast(tokens, "int32") + vocabulary * ops.arange(rows, dtype="int32")
    return ops.take(ops.reshape(scores, (-1,)), places)

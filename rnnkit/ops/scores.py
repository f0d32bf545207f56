"""Scores: what is added up over a sequence, and compared."""

import numpy as np
from keras import ops

from rnnkit.annotations import Tensor

IMPOSSIBLE = -1e30  # the score of what cannot be: finite, so that no sum of scores and no gradient becomes NaN


def minus_infinity_if_impossible(score: Tensor) -> Tensor:
    """Returns the scores, with minus infinity for sums that hold `IMPOSSIBLE`."""
    return ops.where(score > IMPOSSIBLE / 2, score, -np.inf)

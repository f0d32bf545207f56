"""How much each token counts in a metric."""

import keras
from keras import ops

from rnnkit.annotations import Tensor


def token_weights(metric: keras.Metric, y_true: Tensor, sample_weight: Tensor | None) -> Tensor:
    """Returns the weight of each token, float32 `(batch, time)`, for targets `(batch, time)` and a `sample_weight`."""
    weights = ops.ones_like(y_true, dtype="float32")
    if sample_weight is None:
        return weights
    sample_weight = ops.cast(ops.convert_to_tensor(sample_weight), "float32")
    shape = tuple(sample_weight.shape)
    if len(shape) == 1:
        sample_weight = sample_weight[:, None]
    if len(shape) not in (1, 2) or not all(map(_spreads, sample_weight.shape, y_true.shape)):
        raise ValueError(
            f"{type(metric).__name__} expected sample_weight of shape (batch, time) or (batch,), received {shape} for "
            f"targets of shape {tuple(y_true.shape)}."
        )
    return weights * sample_weight


def same_size(one: int | None, other: int | None) -> bool:
    """Returns whether two sizes are the same, or might be: an unknown size is None."""
    return one is None or other is None or one == other


def _spreads(one, other):
    """Whether the first size is the second one, or 1, which broadcasts."""
    return one == 1 or same_size(one, other)

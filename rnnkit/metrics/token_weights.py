"""How much each token counts in a metric."""

from keras import ops


def token_weights(metric, y_true, sample_weight):
    """The weight of each token, float32 `(batch, time)`, as targets `(batch, time)` and a `sample_weight` say."""
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


def same_size(one, other):
    """Whether two sizes are the same, or might be: an unknown size is None."""
    return one is None or other is None or one == other


def _spreads(one, other):
    """Whether the first size is the second one, or 1, which stands for all."""
    return one == 1 or same_size(one, other)

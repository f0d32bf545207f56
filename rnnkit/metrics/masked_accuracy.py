"""How often the most likely token is the right one."""

import keras
from keras import ops

from rnnkit.annotations import Dtype, Tensor
from rnnkit.metrics.token_mean import TokenMean


@keras.saving.register_keras_serializable(package="rnnkit")
class MaskedAccuracy(TokenMean):
    """The share of unmasked tokens that are predicted right.

    It differs from `keras.metrics.SparseCategoricalAccuracy` in two things: padding never counts when `ignore_class`
    names it, and every token counts the same, in a long batch as in a short one (Keras averages over time first).

    Pass it to `compile` in `weighted_metrics`, not in `metrics`: only there does Keras pass on the `sample_weight`. A
    mask that the model itself carries (from `Embedding(mask_zero=True)`) works in both.

    Args:
        ignore_class: a target that never counts, such as that of the padding. Defaults to `None`: all targets count.
        name: name of the metric. Defaults to `"masked_accuracy"`.
        dtype: data type of the sums. Defaults to `None`, which is float32.

    Call arguments:
        y_true: ids of tokens, `(batch, time)`.
        y_pred: logits or probabilities, `(batch, time, vocabulary)`; the largest one is the prediction. Or the ids
            themselves, integers `(batch, time)`, as a CRF returns them.
        sample_weight: weights or a mask, `(batch, time)`, or `(batch,)` for whole sequences.

    Returns:
        A float32 scalar from 0 to 1; 0 before any token has counted.

    Raises:
        ValueError: targets, predictions or weights have other shapes than these.

    Example:

    >>> accuracy = MaskedAccuracy(ignore_class=0)
    >>> accuracy.update_state(y_true=[[1, 2, 0]], y_pred=[[[0.0, 3.0, 1.0], [0.0, 3.0, 1.0], [9.0, 0.0, 0.0]]])
    >>> print(f"{float(accuracy.result()):.3f}")
    0.500
    >>> accuracy.reset_state()
    >>> accuracy.update_state(y_true=[[1, 2, 0]], y_pred=[[1, 1, 1]])
    >>> print(f"{float(accuracy.result()):.3f}")
    0.500
    """

    def __init__(self, ignore_class: int | None = None, name: str = "masked_accuracy", dtype: Dtype = None):
        super().__init__(ignore_class=ignore_class, name=name, dtype=dtype)
        self._direction = "up"  # for callbacks with mode="auto", such as EarlyStopping

    takes_ids = True

    def token_values(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        found = ops.argmax(y_pred, axis=-1) if len(y_pred.shape) == 3 else y_pred
        return ops.cast(ops.equal(ops.cast(found, "int32"), y_true), "float32")

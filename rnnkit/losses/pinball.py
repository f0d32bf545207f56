"""The loss of quantiles."""

from collections.abc import Sequence

import keras
from keras import ops

from rnnkit.annotations import Config, Dtype, Tensor
from rnnkit.arguments import agree
from rnnkit.layers.value_decoder import check_quantiles


@keras.saving.register_keras_serializable(package="rnnkit")
class PinballLoss(keras.losses.Loss):
    """The loss that the quantiles of a distribution minimize: max(q (y - y_q), (q - 1) (y - y_q)), the mean over all q.

    Args:
        quantiles: rising numbers between 0 and 1, with 0.5 among them. Defaults to `(0.1, 0.5, 0.9)`.
        reduction: how the values become one, as in every Keras loss. Defaults to `"sum_over_batch_size"`.
        name: name of the loss. Defaults to `"pinball_loss"`.
        dtype: in which precision the values are computed. Defaults to `None`, Keras's own choice.

    Call arguments:
        y_true: tensor `(batch, time, features)`.
        y_pred: tensor `(batch, time, features, quantiles)`.

    Returns:
        A scalar; without a reduction, `(batch, time)`, the mean over features and quantiles.

    Raises:
        ValueError: the quantiles do not rise between 0 and 1; y_pred does not have one number for each of them.

    Example:

    >>> import numpy as np, rnnkit.losses
    >>> y_pred = np.array([[[[-1.0, 0.0, 1.0]]]])
    >>> print(f"{float(rnnkit.losses.PinballLoss()(np.full((1, 1, 1), 2.0), y_pred)):.4f}")
    0.7333

    References:
        Koenker and Bassett, "Regression quantiles", 1978.
    """

    def __init__(
        self,
        quantiles: Sequence[float] = (0.1, 0.5, 0.9),
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "pinball_loss",
        dtype: Dtype = None,
    ):
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.quantiles = check_quantiles("PinballLoss", quantiles)

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        if not agree(y_pred.shape, (*y_true.shape, len(self.quantiles))):
            raise ValueError(
                f"PinballLoss expected a number for each quantile, y_pred {(*y_true.shape, len(self.quantiles))}, "
                f"received {tuple(y_pred.shape)}."
            )
        levels = ops.cast(self.quantiles, y_pred.dtype)
        above = ops.cast(y_true, y_pred.dtype)[..., None] - y_pred
        return ops.mean(ops.maximum(levels * above, (levels - 1) * above), axis=(-2, -1))

    def get_config(self) -> Config:
        return {**super().get_config(), "quantiles": self.quantiles}

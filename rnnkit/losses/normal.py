"""The loss of a normal distribution."""

import math

import keras
from keras import ops

from rnnkit.annotations import Dtype, Tensor
from rnnkit.arguments import agree


@keras.saving.register_keras_serializable(package="rnnkit")
class NormalLoss(keras.losses.Loss):
    """-ln p(y) of a normal distribution, whose mean and standard deviation are predicted.

        ln deviation + (y - mean)^2 / (2 deviation^2) + ln(2 pi) / 2

    Args:
        reduction: how the values become one, as in every Keras loss. Defaults to `"sum_over_batch_size"`.
        name: name of the loss. Defaults to `"normal_loss"`.
        dtype: in which precision the values are computed. Defaults to `None`, Keras's own choice.

    Call arguments:
        y_true: tensor `(batch, time, features)`.
        y_pred: tensor `(batch, time, features, 2)`: mean, and standard deviation, above 0.

    Returns:
        A scalar, in nats per value; without a reduction, `(batch, time)`, the mean over features.

    Raises:
        ValueError: y_pred does not have two numbers for each of y_true.

    Example:

    >>> import numpy as np, rnnkit.losses
    >>> loss = rnnkit.losses.NormalLoss()(np.zeros((1, 1, 1)), np.array([[[[0.0, 1.0]]]]))
    >>> print(f"{float(loss):.4f}")
    0.9189

    References:
        Nix and Weigend, "Estimating the mean and variance of the target probability distribution", 1994.
    """

    def __init__(
        self, reduction: str | None = "sum_over_batch_size", name: str | None = "normal_loss", dtype: Dtype = None
    ):
        super().__init__(name=name, reduction=reduction, dtype=dtype)

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        if not agree(y_pred.shape, (*y_true.shape, 2)):
            raise ValueError(
                f"NormalLoss expected a mean and a deviation for each value, y_pred {(*y_true.shape, 2)}, received "
                f"{tuple(y_pred.shape)}."
            )
        mean, deviation = y_pred[..., 0], y_pred[..., 1]
        distance = (ops.cast(y_true, mean.dtype) - mean) / deviation
        return ops.mean(ops.log(deviation) + ops.square(distance) / 2 + math.log(2 * math.pi) / 2, axis=-1)

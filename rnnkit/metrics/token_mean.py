"""A mean in which every token of every batch counts the same, the base of the metrics over tokens."""

import keras
from keras import ops

from rnnkit.annotations import Config, Dtype, Tensor
from rnnkit.metrics.token_weights import same_size, token_weights


class TokenMean(keras.metrics.MeanMetricWrapper):
    """The mean of one value per token, over all unmasked tokens. A subclass defines the values in `token_values`.

    A token has the weight that `sample_weight` gives it, but 0 where the mask of the predictions is False (Keras
    attaches it to the output of a layer with a mask) or the target is `ignore_class`. The sums are kept in float32,
    whatever the precision of the predictions.

    Args:
        ignore_class: a target that never counts, such as that of the padding. Defaults to `None`: all targets count.
        name: name of the metric. Defaults to `None`, the name of the class.
        dtype: data type of the sums. Defaults to `None`, which is float32.

    Attributes:
        takes_ids: whether predictions may be ids, integers `(batch, time)`.
    """

    takes_ids = False

    def __init__(self, ignore_class: int | None = None, name: str | None = None, dtype: Dtype = None):
        super().__init__(self.token_values, name=name, dtype=dtype or "float32")
        self.ignore_class = ignore_class

    def token_values(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """Computes the values of which the metric is the mean.

        Args:
            y_true: targets `(batch, time)`, int32.
            y_pred: predictions `(batch, time, vocabulary)`.

        Returns:
            float32 tensor `(batch, time)`. It has to be finite: a masked token adds 0 times its value.
        """
        raise NotImplementedError

    def update_state(self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor | None = None) -> None:
        y_pred = ops.convert_to_tensor(y_pred)
        y_true = self._targets(ops.convert_to_tensor(y_true), y_pred)
        weights = token_weights(self, y_true, sample_weight)
        if self.ignore_class is not None:
            counts = ops.not_equal(y_true, self.ignore_class)
            weights = ops.where(counts, weights, 0.0)
            y_true = ops.where(counts, y_true, 0)  # -1 is a common ignore_class, but not a column of the predictions
        # MeanMetricWrapper applies the mask and averages over time, which would make a token of a long batch count
        # less than one of a short batch. The number of steps undoes that.
        super().update_state(y_true, y_pred, weights * ops.cast(ops.shape(y_true)[1], "float32"))

    def get_config(self) -> Config:
        return {"ignore_class": self.ignore_class, "name": self.name, "dtype": self.dtype}

    def _targets(self, y_true, y_pred):
        if len(y_true.shape) == 3 and y_true.shape[-1] == 1:
            y_true = ops.squeeze(y_true, -1)
        is_ids = self.takes_ids and len(y_pred.shape) == 2 and keras.backend.is_int_dtype(y_pred.dtype)
        shapes = [tuple(y_true.shape), tuple(y_pred.shape) if is_ids else tuple(y_pred.shape)[:-1]]
        if [len(shape) for shape in shapes] != [2, 2] or not all(map(same_size, *shapes)):
            or_ids = " or ids (batch, time)" if self.takes_ids else ""
            raise ValueError(
                f"{type(self).__name__} expected targets (batch, time) and predictions (batch, time, vocabulary)"
                f"{or_ids}, received shapes {tuple(y_true.shape)} and {tuple(y_pred.shape)}. Targets are ids, not "
                "one-hot rows."
            )
        return ops.cast(y_true, "int32")

"""What the metrics over tokens share: a mean in which every token of every batch counts the same."""

import keras
from keras import ops

from rnnkit.metrics.token_weights import same_size, token_weights


class TokenMean(keras.metrics.MeanMetricWrapper):
    """The mean of a value of each token, over all tokens that count.

    A token counts by its `sample_weight`, not at all where the mask of the predictions is False (Keras attaches it to
    what a layer with a mask returns) or the target is `ignore_class`. The sums are kept in float32, whatever the
    precision of the predictions.

    A subclass has a method `token_values(y_true, y_pred)`, which gets targets `(batch, time)` in int32 and predictions
    `(batch, time, vocabulary)`, and returns finite float32 values `(batch, time)`: a token that does not count adds 0
    times its value.
    """

    def __init__(self, ignore_class=None, name=None, dtype=None):
        super().__init__(self.token_values, name=name, dtype=dtype or "float32")
        self.ignore_class = ignore_class

    def update_state(self, y_true, y_pred, sample_weight=None):
        y_pred = ops.convert_to_tensor(y_pred)
        y_true = self._targets(ops.convert_to_tensor(y_true), y_pred)
        weights = token_weights(self, y_true, sample_weight)
        if self.ignore_class is not None:
            counts = ops.not_equal(y_true, self.ignore_class)
            weights = ops.where(counts, weights, 0.0)
            y_true = ops.where(counts, y_true, 0)  # -1 is a usual ignore_class, and no column of the predictions
        # MeanMetricWrapper applies the mask. Its mean over time would let a token of a long batch count less than one
        # of a short batch: times the number of steps, each counts as itself.
        super().update_state(y_true, y_pred, weights * ops.cast(ops.shape(y_true)[1], "float32"))

    def get_config(self):
        return {"ignore_class": self.ignore_class, "name": self.name, "dtype": self.dtype}

    def _targets(self, y_true, y_pred):
        if len(y_true.shape) == 3 and y_true.shape[-1] == 1:
            y_true = ops.squeeze(y_true, -1)
        shapes = [tuple(y_true.shape), tuple(y_pred.shape)[:-1]]
        if [len(shape) for shape in shapes] != [2, 2] or not all(map(same_size, *shapes)):
            raise ValueError(
                f"{type(self).__name__} expected targets (batch, time) and predictions (batch, time, vocabulary), "
                f"received shapes {tuple(y_true.shape)} and {tuple(y_pred.shape)}. Targets are ids, not one-hot rows."
            )
        return ops.cast(y_true, "int32")

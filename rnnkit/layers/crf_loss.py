"""The loss of a conditional random field."""

import keras
from keras import ops

from rnnkit.annotations import Dtype, Tensor
from rnnkit.arguments import agree
from rnnkit.layers.crf_origin import origin_of


@keras.saving.register_keras_serializable(package="rnnkit")
class CRFLoss(keras.losses.Loss):
    """-ln p(y) of a model whose output is a `CRF`, one value for each sequence.

    Args:
        reduction: how the values become one, as in every Keras loss. Defaults to `"sum_over_batch_size"`, the mean over
            the batch.
        name: name of the loss. Defaults to `"crf_loss"`.
        dtype: in which precision the values are weighted and reduced. Defaults to `None`, Keras's own choice.

    Call arguments:
        y_true: integer tags `(batch, time)`, or sets of tags `(batch, time, num_tags)`: see `CRF.log_likelihood`. What
            it holds at masked steps does not matter.
        y_pred: what the CRF returned, itself.
        sample_weight: `(batch,)`: weights of whole sequences. A sequence of weight 0 does not count, whatever its tags.
            Defaults to `None`, which weighs all sequences equally.

    Returns:
        A scalar; without a reduction, `(batch,)`. Infinity where no legal sequence fits the labels.

    Raises:
        ValueError: y_pred does not come directly from a CRF, or that layer is gone; sample_weight is not one number for
            each sequence.

    Example:

    >>> import keras, numpy as np, rnnkit.layers
    >>> crf = rnnkit.layers.CRF(4)
    >>> tags = crf(np.zeros((2, 3, 4), "float32"))
    >>> loss = keras.ops.convert_to_numpy(rnnkit.layers.CRFLoss()(np.zeros((2, 3), "int32"), tags))
    >>> print(f"{loss:.4f}, 3 ln 4 = {3 * np.log(4):.4f}")
    4.1589, 3 ln 4 = 4.1589

    References:
        Lafferty, McCallum and Pereira, "Conditional random fields: probabilistic models for segmenting and labeling
        sequence data", 2001.
    """

    def __init__(
        self, reduction: str | None = "sum_over_batch_size", name: str | None = "crf_loss", dtype: Dtype = None
    ):
        super().__init__(name=name, reduction=reduction, dtype=dtype)

    def __call__(self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor | None = None) -> Tensor:
        origin = origin_of(y_pred)
        if origin is None and _only_shapes_matter():
            return super().__call__(*[ops.zeros_like(y_pred[:, 0], dtype="float32")] * 2)
        values = self._values(origin, y_true)
        if sample_weight is not None:
            sample_weight = _sequence_weights(sample_weight, values)
            values = ops.where(sample_weight == 0, 0.0, values)  # zero times infinity is NaN
        return super().__call__(values, values, sample_weight)

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """Returns y_pred: Keras's part of the loss, weights and reduction, receives the finished values."""
        return y_pred

    def _values(self, origin, y_true):
        """-ln p(y_true), `(batch,)`."""
        if origin is None:
            raise ValueError(
                "CRFLoss expected as y_pred what a CRF layer returned, itself, received another tensor: make the CRF's "
                "output the model's output, with no layer or function between them."
            )
        crf = origin.crf()
        if crf is None:
            raise ValueError(
                "CRFLoss expected as y_pred the tags of a CRF layer, received those of a layer that no longer exists: "
                "keep the layer in a variable or a model until the loss is computed."
            )
        return -crf.log_likelihood(origin.emissions, y_true, origin.mask)


def _sequence_weights(sample_weight, values):
    """The weights `(batch,)`, from `(batch,)`, `(batch, 1)` or a number."""
    sample_weight = ops.convert_to_tensor(sample_weight, dtype=values.dtype)
    shape = tuple(sample_weight.shape)
    if len(shape) > 2 or len(shape) == 2 and shape[1] != 1 or not agree(shape[:1], values.shape[: len(shape)]):
        raise ValueError(
            f"CRFLoss expected sample_weight (batch,), one weight for each sequence, received shape {shape}. To leave "
            "out steps, mask them."
        )
    return ops.reshape(sample_weight, (-1,)) if len(shape) == 2 else sample_weight


def _only_shapes_matter():
    """Whether Keras builds a model (JAX, PyTorch): it then calls the loss on placeholders for the model's outputs."""
    with keras.SymbolicScope() as scope:
        return scope.original_scope is not None

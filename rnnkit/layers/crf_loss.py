"""The loss of a conditional random field."""

import math
from collections.abc import Mapping, Sequence

import keras
from keras import ops

from rnnkit.annotations import Config, Dtype, Tensor
from rnnkit.arguments import agree, check_rate
from rnnkit.layers.crf_callers import check_training
from rnnkit.layers.crf_origin import origin_of


@keras.saving.register_keras_serializable(package="rnnkit")
class CRFLoss(keras.losses.Loss):
    """-ln p(y) of a model whose output is a `CRF`, one value for each sequence.

    Tokens may have weights: those of their tags, in `tag_weights`, times those in `sample_weight`. With w_t, the
    product of both, the loss of a sequence is

        - sum over t of w_t ln p(y_t | y_s of all s < t with w_s > 0)

    This is -ln p(y) if all weights are one. A token of weight 0 has no label, but stays in its sequence; a mask takes
    it out.

    With `label_smoothing`, the loss is the cross-entropy between the model and a distribution over sequences that is
    smoothed at each step, by q_t(k) = (1 - label_smoothing) [y_t = k] + label_smoothing / num_tags, and restricted to
    the legal sequences. Labels may also be such distributions themselves: see `CRF.log_likelihood`.

    Keras's `class_weight` is for one label per row: use `tag_weights` instead. Metrics have to compare tags, which is
    what a CRF returns, as `rnnkit.metrics.MaskedAccuracy`, `EntityF1` and `keras.metrics.Accuracy()` do; the string
    "accuracy" makes Keras take the tags for scores. Training and evaluation raise an error for both.

    Args:
        reduction: how the values become one, as in every Keras loss. Defaults to `"sum_over_batch_size"`, the mean over
            the batch.
        name: name of the loss. Defaults to `"crf_loss"`.
        dtype: in which precision the values are weighted and reduced. Defaults to `None`, Keras's own choice.
        tag_weights: the weight of each tag, a list of `num_tags` numbers of 0 or more; or a dictionary from numbers of
            tags to weights, where the weight of all others is one. Defaults to `None`: all tags weigh the same.
        label_smoothing: a number from 0 to below 1, the share of a label that is spread over all tags. Defaults to 0.

    Call arguments:
        y_true: integer tags `(batch, time)`, sets of tags or distributions over tags `(batch, time, num_tags)`: see
            `CRF.log_likelihood`. What it holds at masked steps does not matter.
        y_pred: what the CRF returned, itself.
        sample_weight: `(batch,)` or `(batch, 1)`, weights of whole sequences, or `(batch, time)`, weights of tokens. A
            sequence or a token of weight 0 does not count, whatever its tags. Defaults to `None`, which weighs all
            equally.

    Returns:
        A scalar; without a reduction, `(batch,)`. Infinity where no legal sequence fits the labels.

    Raises:
        ValueError: tag_weights or label_smoothing are not of this kind; y_pred does not come directly from a CRF, or
            that layer is gone; sample_weight has another shape; weights of tokens, weights of tags or label_smoothing
            are given along with labels that they don't go with; the model is trained with a class_weight, or it has
            metrics of scores.

    Example:

    >>> import keras, numpy as np, rnnkit.layers
    >>> crf = rnnkit.layers.CRF(4)
    >>> tags = crf(np.zeros((2, 3, 4), "float32"))
    >>> loss = keras.ops.convert_to_numpy(rnnkit.layers.CRFLoss()(np.zeros((2, 3), "int32"), tags))
    >>> print(f"{loss:.4f}, 3 ln 4 = {3 * np.log(4):.4f}")
    4.1589, 3 ln 4 = 4.1589
    >>> loss = rnnkit.layers.CRFLoss(tag_weights={0: 0.5})
    >>> print(f"{keras.ops.convert_to_numpy(loss(np.array([[0, 0, 1], [0, 0, 0]]), tags)):.4f}")
    2.4260

    References:
        Lafferty, McCallum and Pereira, "Conditional random fields: probabilistic models for segmenting and labeling
        sequence data", 2001; Szegedy et al., "Rethinking the Inception architecture for computer vision", 2016, on
        smoothed labels.
    """

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "crf_loss",
        dtype: Dtype = None,
        tag_weights: Sequence[float] | Mapping[int, float] | None = None,
        label_smoothing: float = 0.0,
    ):
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.tag_weights = _checked_weights(tag_weights)
        self.label_smoothing = check_rate("CRFLoss", "label_smoothing", label_smoothing)

    def __call__(self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor | None = None) -> Tensor:
        check_training(y_pred)
        origin = origin_of(y_pred)
        if origin is None and _only_shapes_matter():
            return super().__call__(*[ops.zeros_like(y_pred[:, 0], dtype="float32")] * 2)
        crf, emissions, mask = _source(origin)
        y_true = ops.convert_to_tensor(y_true)
        weights = self._weights_of(y_true, crf)
        if sample_weight is not None:
            sample_weight, of_tokens = _split(ops.convert_to_tensor(sample_weight, dtype="float32"), y_pred)
            if of_tokens is not None:
                weights = of_tokens if weights is None else weights * of_tokens
        y_true = self._smoothed(y_true, crf, weights)
        values = -crf.log_likelihood(emissions, y_true, mask, weights)
        if sample_weight is not None:
            values = ops.where(sample_weight == 0, 0.0, values)  # zero times infinity is NaN
        return super().__call__(values, values, sample_weight)

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """Returns y_pred: Keras's part of the loss, weights and reduction, receives the finished values."""
        return y_pred

    def get_config(self) -> Config:
        weights = self.tag_weights
        if isinstance(weights, dict):
            weights = {str(tag): weight for tag, weight in weights.items()}
        return {**super().get_config(), "tag_weights": weights, "label_smoothing": self.label_smoothing}

    def _weights_of(self, y_true, crf):
        """The weights of the tags, `(batch, time)`, or None."""
        if self.tag_weights is None:
            return None
        given, number = self.tag_weights, crf.num_tags
        table = [given.get(tag, 1.0) for tag in range(number)] if isinstance(given, dict) else given
        if len(table) != number or isinstance(given, dict) and max(given, default=0) >= number:
            raise ValueError(f"CRFLoss expected tag_weights for the {number} tags of the CRF, received {given!r}.")
        if len(y_true.shape) != 2:
            raise ValueError(
                "CRFLoss expected integer tags (batch, time) along with tag_weights, received labels of shape "
                f"{tuple(y_true.shape)}: give weights of tokens as sample_weight (batch, time) instead."
            )
        tags = ops.clip(ops.cast(y_true, "int32"), 0, number - 1)
        return ops.take(ops.convert_to_tensor(table, dtype="float32"), tags, axis=0)

    def _smoothed(self, y_true, crf, weights):
        if self.label_smoothing == 0:
            return y_true
        if weights is not None:
            raise ValueError(
                "CRFLoss expected no weights of tags or tokens along with label_smoothing, received some: leave one of "
                "them out. Weights of whole sequences, (batch,), go with it; padding needs a mask."
            )
        if len(y_true.shape) == 2:
            y_true = ops.cast(y_true, "int32")[..., None] == ops.arange(crf.num_tags, dtype="int32")
        y_true = ops.cast(y_true, "float32")
        return (1 - self.label_smoothing) * y_true + self.label_smoothing / crf.num_tags


def _source(origin):
    """The layer, the emissions and the mask that tags come from."""
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
    return crf, origin.emissions, origin.mask


def _checked_weights(tag_weights):
    """A dictionary or a list of floats, or None."""
    if tag_weights is None:
        return None
    try:
        if isinstance(tag_weights, Mapping):
            weights = {int(tag): float(weight) for tag, weight in tag_weights.items()}
            numbers, tags = list(weights.values()), list(weights)
        else:
            weights = [float(weight) for weight in tag_weights]
            numbers, tags = weights, [0]
        if numbers and min(tags) >= 0 and all(0 <= weight < math.inf for weight in numbers):
            return weights
    except (TypeError, ValueError):
        pass
    raise ValueError(
        "CRFLoss expected tag_weights to be a list with the weight of each tag, 0 or more, or a dictionary from "
        f"numbers of tags to weights, received {tag_weights!r}."
    )


def _split(sample_weight, tags):
    """The weights of sequences and those of tokens, one of which is None."""
    shape = tuple(sample_weight.shape)
    if len(shape) == 2 and shape[1] == 1:
        sample_weight, shape = sample_weight[:, 0], shape[:1]
    if len(shape) <= 1 and agree(shape, tuple(tags.shape)[: len(shape)]):
        return sample_weight, None
    if len(shape) == 2 and agree(shape, tags.shape):
        return None, sample_weight
    raise ValueError(
        f"CRFLoss expected sample_weight (batch,), one weight for each sequence, or (batch, time) = "
        f"{tuple(tags.shape)}, one for each token, received shape {shape}."
    )


def _only_shapes_matter():
    """Whether Keras builds a model (JAX, PyTorch): it then calls the loss on placeholders for the model's outputs."""
    with keras.SymbolicScope() as scope:
        return scope.original_scope is not None

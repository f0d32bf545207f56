"""How many tokens a language model hesitates between."""

import keras
from keras import ops

from rnnkit.annotations import Config, Dtype, Tensor
from rnnkit.metrics.token_mean import TokenMean


@keras.saving.register_keras_serializable(package="rnnkit")
class Perplexity(TokenMean):
    r"""The perplexity of the predicted distributions: e to the mean cross-entropy over all unmasked tokens.

    $$\exp\left(-\frac{\sum_t w_t \ln p(y_t)}{\sum_t w_t}\right)$$

    Here y_t is the target and w_t the weight of a token: its `sample_weight`, or 0 if it is masked or its target is
    `ignore_class`. A model that gives each of V tokens the same probability has the perplexity V, a perfect one has 1.
    Every token counts the same, in a long batch as in a short one, and the sums are kept in float32.

    Pass it to `compile` in `weighted_metrics`, not in `metrics`: only there does Keras pass on the `sample_weight`. A
    mask that the model itself carries (from `Embedding(mask_zero=True)`) works in both.

    Args:
        from_logits: whether the predictions are logits; probabilities otherwise. A probability below
            `keras.config.epsilon()` is raised to it, as in Keras's losses. Defaults to `False`.
        ignore_class: a target that never counts, such as that of the padding. Defaults to `None`: all targets count.
        name: name of the metric. Defaults to `"perplexity"`.
        dtype: data type of the sums. Defaults to `None`, which is float32.

    Call arguments:
        y_true: ids of tokens, `(batch, time)`.
        y_pred: logits or probabilities, `(batch, time, vocabulary)`.
        sample_weight: weights or a mask, `(batch, time)`, or `(batch,)` for whole sequences.

    Returns:
        A float32 scalar, 1 or more; NaN before any token has counted.

    Raises:
        ValueError: targets, predictions or weights have other shapes than these.

    Example:

    >>> perplexity = Perplexity(from_logits=True, ignore_class=0)
    >>> perplexity.update_state(y_true=[[2, 1, 0]], y_pred=[[[0.0, 0.0, 0.0, 0.0]] * 3])
    >>> print(f"{float(perplexity.result()):.3f}")
    4.000

    References:
        Jelinek, Mercer, Bahl and Baker, "Perplexity: a measure of the difficulty of speech recognition tasks", 1977.
    """

    def __init__(
        self,
        from_logits: bool = False,
        ignore_class: int | None = None,
        name: str = "perplexity",
        dtype: Dtype = None,
    ):
        super().__init__(ignore_class=ignore_class, name=name, dtype=dtype)
        self.from_logits = from_logits
        self._direction = "down"  # for callbacks with mode="auto", such as EarlyStopping

    def token_values(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        y_pred = ops.cast(y_pred, "float32")
        if self.from_logits:
            log_probabilities = ops.log_softmax(y_pred, axis=-1)
        else:
            log_probabilities = ops.log(ops.maximum(y_pred, keras.config.epsilon()))
        cross_entropy = -ops.take_along_axis(log_probabilities, y_true[..., None], axis=-1)[..., 0]
        return ops.where(ops.isfinite(cross_entropy), cross_entropy, 1e30)  # 0 times infinity would be NaN

    def result(self) -> Tensor:
        return ops.where(self.count > 0, ops.exp(super().result()), float("nan"))

    def get_config(self) -> Config:
        return {"from_logits": self.from_logits, **super().get_config()}

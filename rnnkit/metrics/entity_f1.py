"""The F1 of whole entities, the measure of named entity recognition."""

from collections.abc import Iterable
from typing import NamedTuple

import keras
import numpy as np
from keras import ops

from rnnkit.annotations import Config, Dtype, Mask, Tensor
from rnnkit.metrics.token_weights import same_size, token_weights
from rnnkit.text.tags import check_tag_list, goes_on, split_tag


class EntityScores(NamedTuple):
    """How well entities were found; a ratio with the denominator 0 is 0.

    Attributes:
        precision: `right / predicted`.
        recall: `right / true`.
        f1: the harmonic mean of precision and recall.
        predicted: number of predicted entities.
        true: number of true entities.
        right: number of entities that are both.
    """

    precision: float
    recall: float
    f1: float
    predicted: float
    true: float
    right: float


@keras.saving.register_keras_serializable(package="rnnkit")
class EntityF1(keras.metrics.Metric):
    r"""The F1 of predicted entities: an entity is right if its beginning, its end and its type are.

    $$P = \frac{right}{predicted} \qquad R = \frac{right}{true} \qquad F_1 = \frac{2 P R}{P + R}$$

    The counts run over all entities of all types and batches (micro average); `report` returns them for each type.
    Most tokens of a text are in no entity. A tagger that never finds one still gets most tokens right: accuracy hides
    what F1 shows.

    One rule reads the tags of IOB1, BIO and BIOES: that of `rnnkit.text.tags_to_spans`, of the CoNLL evaluations and of
    seqeval in its default mode. Published figures follow it. It also reads tags that break their scheme, as a softmax
    at each token may predict them. You don't name the scheme, because the rule is the same for all of them.

    A token is left out if its `sample_weight` is 0, if the mask of the predictions is False there (Keras attaches it to
    the output of a layer with a mask), or if its target is `ignore_class`. This happens before the tags are read:
    padding may be on either side, and an entity may continue after pieces of words that have no tag. With other
    weights, an entity has the weight of its first token.

    Pass it to `compile` in `weighted_metrics`, not in `metrics`: only there does Keras pass on the `sample_weight`. A
    mask that the model itself carries (from `Embedding(mask_zero=True)`) works in both.

    Args:
        tags: list of all tags, in the order of their numbers. A `Vocabulary` of tags is such a list; its padding, the
            empty string, is read as O.
        ignore_class: a target that never counts, such as that of the padding. Defaults to `None`: all targets count.
        name: name of the metric. Defaults to `"entity_f1"`.
        dtype: data type of the sums. Defaults to `None`, which is float32.

    Call arguments:
        y_true: numbers of tags, `(batch, time)`.
        y_pred: numbers of tags, `(batch, time)`, as a CRF returns them, or scores `(batch, time, tags)`: the tag with
            the largest one is the prediction.
        sample_weight: weights or a mask, `(batch, time)`, or `(batch,)` for whole sequences.

    Returns:
        A float32 scalar from 0 to 1; 0 before there are any entities.

    Raises:
        ValueError: the list contains something else than a tag, a tag twice, or no tag of an entity, or targets,
            predictions or weights have other shapes than these.

    Example:

    >>> metric = EntityF1(["O", "B-LOC", "B-PER", "I-PER"])
    >>> metric.update_state(y_true=[[2, 3, 0, 1]], y_pred=[[2, 0, 0, 1]])
    >>> print(f"{float(metric.result()):.3f}")
    0.500
    >>> metric.report()["LOC"]
    EntityScores(precision=1.0, recall=1.0, f1=1.0, predicted=1.0, true=1.0, right=1.0)

    References:
        Tjong Kim Sang and De Meulder, "Introduction to the CoNLL-2003 shared task: language-independent named entity
        recognition", 2003.
        Nakayama, "seqeval: a Python framework for sequence labeling evaluation", 2018.
    """

    def __init__(
        self, tags: Iterable[str], ignore_class: int | None = None, name: str = "entity_f1", dtype: Dtype = None
    ):
        super().__init__(name=name, dtype=dtype or "float32")
        self.tags = check_tag_list("EntityF1", tags)
        self.ignore_class = ignore_class
        self._direction = "up"  # for callbacks with mode="auto", such as EarlyStopping
        read = [tag or "O" for tag in self.tags] + ["O"]  # the last one replaces a token that was left out
        types = [split_tag(tag)[1] for tag in read]
        self.types = sorted(set(types) - {""})
        if not self.types:
            raise ValueError(f"EntityF1 expected at least one tag of an entity, such as 'B-PER', received {self.tags}.")
        self._type_of = np.array([self.types.index(type) if type else len(self.types) for type in types], "int32")
        self._goes_on = np.array([[goes_on(before, tag) for tag in read] for before in read])
        self._mask_of = _Mask(autocast=False, name="mask")
        self.counts = self.add_variable((3, len(self.types)), initializer="zeros", dtype=self.dtype, name="counts")

    def update_state(self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor | None = None) -> None:
        y_pred = y_pred if ops.is_tensor(y_pred) else ops.convert_to_tensor(y_pred)
        mask = self._mask_of(y_pred)
        y_true, y_pred = self._numbers(ops.convert_to_tensor(y_true), y_pred)
        weights = self._weights(y_true, sample_weight, mask)
        y_true, y_pred, weights = self._without_padding(y_true, y_pred, weights)
        true, predicted = self._entities(y_true), self._entities(y_pred)
        right = _agreed(true, predicted)

        def count(counted, types):
            values = ops.reshape(ops.where(counted, weights, 0.0), (-1,))
            return ops.segment_sum(values, ops.reshape(types, (-1,)), len(self.types) + 1)[:-1]

        counts = [count(predicted.begins, predicted.types), count(true.begins, true.types), count(right, true.types)]
        self.counts.assign_add(ops.cast(ops.stack(counts), self.counts.dtype))

    def result(self) -> Tensor:
        predicted, true, right = ops.unstack(ops.sum(self.counts, axis=1), 3)
        return ops.divide_no_nan(2 * right, predicted + true)

    def report(self) -> dict[str, EntityScores]:
        """Returns the scores of each type, and of all types together.

        Returns:
            Dictionary from each type, and finally from `"micro"`, to its named tuple `(precision, recall, f1,
            predicted, true, right)` of floats. A ratio with the denominator 0 is 0.
        """
        counts = ops.convert_to_numpy(self.counts).astype("float64")
        columns = [*counts.T, counts.sum(axis=1)]
        return {
            name: _scores(*map(float, column)) for name, column in zip([*self.types, "micro"], columns, strict=True)
        }

    def get_config(self) -> Config:
        return {"tags": self.tags, "ignore_class": self.ignore_class, "name": self.name, "dtype": self.dtype}

    def _numbers(self, y_true, y_pred):
        """Targets and predictions as int32 of shape `(batch, time)`."""
        shapes = f"shapes {tuple(y_true.shape)} and {tuple(y_pred.shape)}"
        if len(y_true.shape) == 3 and y_true.shape[-1] == 1:
            y_true = ops.squeeze(y_true, -1)
        if len(y_pred.shape) == 3 and y_pred.shape[-1] == len(self.tags):
            y_pred = ops.argmax(y_pred, axis=-1)
        if not len(y_true.shape) == len(y_pred.shape) == 2 or not all(map(same_size, y_true.shape, y_pred.shape)):
            raise ValueError(
                "EntityF1 expected targets (batch, time) and predictions (batch, time) or "
                f"(batch, time, {len(self.tags)}), received {shapes}. Targets are numbers of tags, not one-hot rows."
            )
        return ops.cast(y_true, "int32"), ops.cast(y_pred, "int32")

    def _weights(self, y_true, sample_weight, mask):
        """The weight of each token, `(batch, time)`, 0 where it is left out."""
        weights = token_weights(self, y_true, sample_weight)
        if mask is not None:
            weights = ops.where(mask, weights, 0.0)
        if self.ignore_class is not None:
            weights = ops.where(ops.equal(y_true, self.ignore_class), 0.0, weights)
        return weights

    def _without_padding(self, y_true, y_pred, weights):
        """Each row without the tokens of weight 0, padded on the right with the last number, an O."""
        batch, time = ops.shape(y_true)
        counts = ops.cast(ops.not_equal(weights, 0), "int32")
        places = ops.arange(batch, dtype="int32")[:, None] * time + ops.cumsum(counts, axis=1) - 1
        places = ops.reshape(ops.where(counts > 0, places, batch * time), (-1,))

        def moved(values):  # each place receives at most one value: the sum is that value
            values = ops.segment_sum(ops.reshape(values, (-1,)), places, batch * time + 1)[:-1]
            return ops.reshape(values, (batch, time))

        outside = len(self.tags)
        return moved(y_true - outside) + outside, moved(y_pred - outside) + outside, moved(weights)

    def _entities(self, tags):
        """Where the entities of tags `(batch, time)` begin and end, and the type at each token."""
        types = ops.take(ops.convert_to_tensor(self._type_of, "int32"), tags)
        inside = ops.not_equal(types, len(self.types))
        outside = ops.full_like(tags[:, :1], len(self.tags))
        following = ops.concatenate([tags, outside], axis=1)
        before = ops.concatenate([outside, tags], axis=1)
        goes_on = ops.convert_to_tensor(self._goes_on.reshape(-1), "bool")
        goes_on = ops.take(goes_on, before * (len(self.tags) + 1) + following)
        begins = ops.logical_and(inside, ops.logical_not(goes_on[:, :-1]))
        ends = ops.logical_and(inside, ops.logical_not(goes_on[:, 1:]))
        return _Entities(begins, ends, types)


class _Entities(NamedTuple):
    begins: Tensor
    ends: Tensor
    types: Tensor


class _Mask(keras.Layer):
    """The mask that Keras has attached to a tensor, or None. Keras passes it to layers, but not to metrics."""

    supports_masking = True

    def call(self, inputs: Tensor, mask: Mask = None) -> Mask:
        return mask


def _agreed(true, predicted):
    """Where an entity begins that is in both, `(batch, time)`.

    The tokens are cut into stretches inside which nothing begins and nothing ends, neither in the truth nor in the
    prediction. An entity that is in both is one stretch: both begin where it begins, and both end where it ends. Sums
    over stretches find these without a loop over time.
    """
    shape = ops.shape(true.begins)
    ends = ops.logical_or(true.ends, predicted.ends)
    first = ops.ones_like(ends[:, :1])
    cuts = ops.logical_or(true.begins, predicted.begins)
    cuts = ops.logical_or(cuts, ops.concatenate([first, ends[:, :-1]], axis=1))
    stretches = ops.cumsum(ops.cast(ops.reshape(cuts, (-1,)), "int32")) - 1
    both_end = ops.reshape(ops.cast(ops.logical_and(true.ends, predicted.ends), "int32"), (-1,))
    whole = ops.take(ops.segment_sum(both_end, stretches, shape[0] * shape[1] + 1), stretches)
    both_begin = ops.logical_and(ops.logical_and(true.begins, predicted.begins), ops.equal(true.types, predicted.types))
    return ops.logical_and(both_begin, ops.reshape(whole, shape) > 0)


def _scores(predicted, true, right):
    precision = right / predicted if predicted else 0.0
    recall = right / true if true else 0.0
    f1 = 2 * right / (predicted + true) if predicted + true else 0.0
    return EntityScores(precision, recall, f1, predicted, true, right)

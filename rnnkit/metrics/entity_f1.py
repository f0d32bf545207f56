"""The F1 of whole entities, the measure of named entity recognition."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import keras
import numpy as np
from keras import ops

from rnnkit.annotations import Config, Dtype, Mask, Tensor
from rnnkit.metrics.token_weights import same_size, token_weights
from rnnkit.text.tags import OUTSIDE, read_tag_list, resolve

AVERAGES = ("micro", "macro", "weighted")


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

    The counts run over all entities of all types and batches (micro average); `report` returns them for each type. The
    macro average is the mean of the F1 of each type that occurs, in the truth or in the predictions; the weighted one
    weighs them by how many true entities of a type there are. Most tokens of a text are in no entity. A tagger that
    never finds one still gets most tokens right: accuracy hides what F1 shows.

    One rule reads the tags of all schemes: that of `rnnkit.text.tags_to_spans`, of the CoNLL evaluations and of seqeval
    in its default mode. Published figures follow it. It also reads tags that break their scheme, as a softmax at each
    token may predict them: an I after O begins an entity. With `strict`, tags that break their scheme mark nothing, as
    in seqeval's strict mode: an entity counts only if it begins and ends as the scheme demands. Lignos and Kamyab show
    how far the two habits are apart; say which one you followed.

    A token is left out if its `sample_weight` is 0, if the mask of the predictions is False there (Keras attaches it to
    the output of a layer with a mask), or if its target is `ignore_class` or a label of `ignore`. This happens before
    the tags are read: padding may be on either side, and an entity may continue after pieces of words that have no tag.
    With other weights, an entity has the weight of its first token.

    Pass it to `compile` in `weighted_metrics`, not in `metrics`: only there does Keras pass on the `sample_weight`. A
    mask that the model itself carries (from `Embedding(mask_zero=True)`) works in both.

    Args:
        tags: list of all tags, in the order of their numbers. A `Vocabulary` of tags is such a list; its padding, the
            empty string, is read as O.
        ignore_class: a target that never counts, such as that of the padding. Defaults to `None`: all targets count.
        scheme: one of the schemes of `rnnkit.text.find_scheme`, or `"auto"`, which finds it from `tags`; the attribute
            `scheme` then says what it found. Defaults to `None`: the letters of all schemes, before a hyphen and a
            type.
        strict: whether tags that break their scheme mark nothing. Without a scheme, it is that of `"auto"`. Defaults to
            `False`.
        average: what the metric returns: `"micro"`, `"macro"` or `"weighted"`. Defaults to `"micro"`.
        ignore: special labels in `tags` that are no tags, such as `["[CLS]", "X"]`. A token with such a target is left
            out; such a prediction is read as O. Defaults to `()`.
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
        ValueError: the list contains something else than a tag of the scheme, a tag twice, or no tag of an entity; the
            scheme or the average is unknown; or targets, predictions or weights have other shapes than these.

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
        Lignos and Kamyab, "If you build your own NER scorer, non-replicable results will come", 2020.
    """

    def __init__(
        self,
        tags: Iterable[str],
        ignore_class: int | None = None,
        scheme: str | None = None,
        strict: bool = False,
        average: str = "micro",
        ignore: Iterable[str] = (),
        name: str = "entity_f1",
        dtype: Dtype = None,
    ):
        super().__init__(name=name, dtype=dtype or "float32")
        if average not in AVERAGES:
            raise ValueError(f"EntityF1 expected average to be one of {', '.join(AVERAGES)}, received {average!r}.")
        self.tags = [tags] if isinstance(tags, str) else list(tags)
        self.ignore_class, self.strict, self.average, self.ignore = ignore_class, strict, average, list(ignore)
        reader = resolve("auto" if strict and scheme is None else scheme, self.tags, self.ignore)
        self.scheme = str(reader) if reader.name else None
        self._direction = "up"  # for callbacks with mode="auto", such as EarlyStopping
        read = [tag or OUTSIDE for tag in read_tag_list("EntityF1", tags, reader, self.ignore)]
        if all(tag.role == "O" for tag in read):
            raise ValueError(f"EntityF1 expected at least one tag of an entity, such as 'B-PER', received {self.tags}.")
        self.types = sorted({tag.type for tag in read if tag.role != "O"})
        self._tables = _tables([*read, OUTSIDE], self.types, reader)  # the last one replaces a token that was left out
        self._special = [self.tags.index(label) for label in self.ignore if label in self.tags]
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
        predicted, true, right = ops.unstack(ops.convert_to_tensor(self.counts), 3)
        if self.average == "micro":
            return ops.divide_no_nan(2 * ops.sum(right), ops.sum(predicted + true))
        weights = true if self.average == "weighted" else ops.cast(predicted + true > 0, self.counts.dtype)
        f1 = ops.divide_no_nan(2 * right, predicted + true)
        return ops.divide_no_nan(ops.sum(weights * f1), ops.sum(weights))

    def report(self, averages: Sequence[str] = ("micro",)) -> dict[str, EntityScores]:
        """Returns the scores of each type, and of all types together.

        Args:
            averages: which of `"micro"`, `"macro"` and `"weighted"` to add. Defaults to `("micro",)`.

        Returns:
            Dictionary from each type, and finally from each average, to its named tuple `(precision, recall, f1,
            predicted, true, right)` of floats. A ratio with the denominator 0 is 0.

        Raises:
            ValueError: an average is unknown.
        """
        if isinstance(averages, str) or not set(averages) <= set(AVERAGES):
            raise ValueError(f"report expected averages, a list with some of {AVERAGES}, received {averages!r}.")
        counts = ops.convert_to_numpy(self.counts).astype("float64")
        each = [_scores(*map(float, column)) for column in counts.T]
        total = tuple(map(float, counts.sum(axis=1)))
        found = dict(zip(self.types, each, strict=True))
        for average in averages:
            weights = [scores.true if average == "weighted" else float(scores[3] + scores[4] > 0) for scores in each]
            found[average] = _scores(*total) if average == "micro" else EntityScores(*_mean(each, weights), *total)
        return found

    def get_config(self) -> Config:
        config = {"tags": self.tags, "ignore_class": self.ignore_class, "name": self.name, "dtype": self.dtype}
        if self.scheme is not None:
            config |= {"scheme": self.scheme, "strict": self.strict}
        if self.average != "micro":
            config["average"] = self.average
        return config | ({"ignore": self.ignore} if self.ignore else {})

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
        for ignored in [self.ignore_class, *self._special]:
            if ignored is not None:
                weights = ops.where(ops.equal(y_true, ignored), 0.0, weights)
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
        outside = ops.full_like(tags[:, :1], len(self.tags))

        def holds(table, before, after):
            places = before * (len(self.tags) + 1) + after
            return ops.take(ops.convert_to_tensor(table.reshape(-1), "bool"), places)

        raw = ops.concatenate([outside, tags, outside], axis=1)
        if self.strict:
            tags = ops.where(holds(self._tables.reads, raw[:, :-2], tags), tags, len(self.tags))
        types = ops.take(ops.convert_to_tensor(self._tables.types, "int32"), tags)
        inside = ops.not_equal(types, len(self.types))
        bounded = ops.concatenate([outside, tags, outside], axis=1)
        goes_on = holds(self._tables.goes_on, bounded[:, :-1], bounded[:, 1:])
        begins = ops.logical_and(inside, ops.logical_not(goes_on[:, :-1]))
        ends = ops.logical_and(inside, ops.logical_not(goes_on[:, 1:]))
        if self.strict:
            may_begin = ops.take(ops.convert_to_tensor(self._tables.begins, "bool"), tags)
            wrong = ops.logical_and(begins, ops.logical_not(may_begin))
            may_end = holds(self._tables.ends, tags, raw[:, 2:])
            wrong = ops.logical_or(wrong, ops.logical_and(ends, ops.logical_not(may_end)))
            sound = _none_in_the_same(begins, wrong)
            begins, ends = ops.logical_and(begins, sound), ops.logical_and(ends, sound)
        return _Entities(begins, ends, types)


class _Tables(NamedTuple):
    """What `rnnkit.text.schemes` says about each tag, and about each pair of tags, row before column."""

    types: np.ndarray
    goes_on: np.ndarray
    reads: np.ndarray
    begins: np.ndarray
    ends: np.ndarray


def _tables(tags, types, scheme):
    def pairs(function):
        return np.array([[function(before, tag) for tag in tags] for before in tags])

    return _Tables(
        types=np.array([types.index(tag.type) if tag.role != "O" else len(types) for tag in tags], "int32"),
        goes_on=pairs(lambda before, tag: tag.goes_on_after(before)),
        reads=pairs(scheme.reads),
        begins=np.array([scheme.begins(tag) for tag in tags]),
        ends=pairs(scheme.ends),
    )


class _Entities(NamedTuple):
    begins: Tensor
    ends: Tensor
    types: Tensor


class _Mask(keras.Layer):
    """The mask that Keras has attached to a tensor, or None. Keras passes it to layers, but not to metrics."""

    supports_masking = True

    def call(self, inputs: Tensor, mask: Mask = None) -> Mask:
        return mask


def _none_in_the_same(begins, wrong):
    """For each token, whether the entity that began last has nothing that is wrong, `(batch, time)`."""
    number = ops.cumsum(ops.cast(ops.reshape(begins, (-1,)), "int32"))
    batch, time = ops.shape(begins)
    mistakes = ops.segment_sum(ops.cast(ops.reshape(wrong, (-1,)), "int32"), number, batch * time + 1)
    return ops.reshape(ops.equal(ops.take(mistakes, number), 0), (batch, time))


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


def _mean(scores, weights):
    """The weighted mean of precision, recall and F1; 0 without any weight."""
    total = sum(weights)
    each = [[weight * value for value in row[:3]] for row, weight in zip(scores, weights, strict=True)]
    return [sum(column) / total if total else 0.0 for column in zip(*each, strict=True)]

"""Attention: how much each position of a memory matters to a query."""

from collections.abc import Hashable
from typing import Any, NamedTuple

import keras
from keras import ops

from rnnkit.annotations import Config, Mask, Shape, Tensor
from rnnkit.arguments import agree, check_positive_integer
from rnnkit.layers.recurrent_cell import key_of
from rnnkit.ops.masking import check_mask, without_padding
from rnnkit.ops.scores import IMPOSSIBLE


class AttentionOutput(NamedTuple):
    """What an attention layer returns, in the letters of the lectures.

    Attributes:
        alignment: alpha_ts, `(batch, query_time, value_time)`: how much position s of the memory matters at step t.
            Each row sums to one, or is zero where there is nothing to attend to.
        context: c_t, `(batch, query_time, value_features)`: the sum of the memory's positions, weighted with alpha_ts.
        attention: a_t = tanh(W_c [c_t; h_t]), `(batch, query_time, units)`.
    """

    alignment: Tensor
    context: Tensor
    attention: Tensor


class Attention(keras.layers.Layer):
    """Base class of attention layers: everything but the score.

    An attention is divided as a cell is, into what can be done early and the rest. `keys(value)` is what can be done
    with the memory before there is a query: a decoder does it once and not at every step. `attend` is the rest.

    A subclass implements `keys` and `score`, and makes their weights in `_build_score`.

    Args:
        units: features of a_t.
        **kwargs: `name`, `dtype`, `trainable`.

    Call arguments:
        query: h_t, tensor `(batch, query_time, query_features)`.
        value: hbar_s, the memory, tensor `(batch, value_time, value_features)`.
        query_mask: boolean tensor `(batch, query_time)`; where it is False, all results are zeros. Defaults to `None`.
        value_mask: boolean tensor `(batch, value_time)`, True at the positions that can be attended to. Defaults to
            `None`: all positions.

    Returns:
        An `AttentionOutput`.

    Raises:
        ValueError: units is not a positive integer; query, value or masks have the wrong shape.
    """

    def __init__(self, units: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.units = check_positive_integer(type(self).__name__, "units", units)
        self.supports_masking = True

    def build(self, query_shape: Shape, value_shape: Shape) -> None:
        query_features, value_features = query_shape[-1], value_shape[-1]
        self.key_features = self._build_score(query_features, value_features)
        self.attention_kernel = self.add_weight((value_features + query_features, self.units), name="attention_kernel")

    def call(self, query: Tensor, value: Tensor, query_mask: Mask = None, value_mask: Mask = None) -> AttentionOutput:
        self._check(query, value, query_mask, value_mask)
        query_mask = None if query_mask is None else ops.cast(query_mask, "bool")
        attended = self.attend(without_padding(query, query_mask), *self.memory(value, value_mask))
        return AttentionOutput(*(without_padding(x, query_mask) for x in attended))

    def memory(self, value: Tensor, value_mask: Mask = None) -> tuple[Tensor, Mask, Tensor]:
        """Returns what `attend` needs besides the query: the value without its padding, its boolean mask, its keys."""
        value_mask = None if value_mask is None else ops.cast(value_mask, "bool")
        value = without_padding(value, value_mask)
        return value, value_mask, self.keys(value)

    def keys(self, value: Tensor) -> Tensor:
        """Computes what each position of the memory shows to a query, `(batch, value_time, key_features)`."""
        raise NotImplementedError(f"{type(self).__name__} must implement keys(value).")

    def score(self, query: Tensor, keys: Tensor) -> Tensor:
        """Computes how well each query fits each key, `(batch, query_time, value_time)`, on any scale."""
        raise NotImplementedError(f"{type(self).__name__} must implement score(query, keys).")

    def attend(self, query: Tensor, value: Tensor, value_mask: Mask, keys: Tensor) -> AttentionOutput:
        """Computes alignment, context and attention vector from a query and what `memory` returned, unchecked."""
        alignment = masked_softmax(self.score(query, keys), None if value_mask is None else value_mask[:, None, :])
        context = ops.matmul(alignment, value)
        attention = ops.tanh(ops.matmul(ops.concatenate([context, query], axis=-1), self.attention_kernel))
        return AttentionOutput(alignment, context, attention)

    def compute_mask(self, query: Tensor, mask: Mask = None) -> AttentionOutput:
        """Returns the mask of the query, for each of the three results."""
        return AttentionOutput(mask, mask, mask)

    def get_config(self) -> Config:
        return {**super().get_config(), "units": self.units}

    def _build_score(self, query_features, value_features):
        """Makes the weights of the score; returns the features of the keys."""
        raise NotImplementedError(f"{type(self).__name__} must implement _build_score(query_features, value_features).")

    def _check(self, query, value, query_mask, value_mask):
        for name, tensor, mask in (("query", query, query_mask), ("value", value, value_mask)):
            if len(tensor.shape) != 3:
                raise ValueError(
                    f"Layer {self.name!r} expected a {name} (batch, time, features), received shape "
                    f"{tuple(tensor.shape)}. A single step is a sequence of length 1: {name}[:, None]."
                )
            check_mask(f"Layer {self.name!r}", mask, tensor, f"{name}_mask", f"a {name}")
        if not agree(query.shape[:1], value.shape[:1]):
            raise ValueError(
                f"Layer {self.name!r} expected as many rows in the query as in the value, received shapes "
                f"{tuple(query.shape)} and {tuple(value.shape)}."
            )
        if value.shape[1] == 0:
            raise ValueError(
                f"Layer {self.name!r} expected one position or more to attend to, received an empty value."
            )


@keras.saving.register_keras_serializable(package="rnnkit")
class LuongAttention(Attention):
    """Luong's attention, with its three scores.

    With the query h_t and the positions hbar_s of the memory (in the letters of Khanzhina's lecture):

        score(h_t, hbar_s) = h_t . hbar_s                       "dot"
                           = h_t . W_a hbar_s                   "general"
                           = v_a . tanh(W_a [h_t; hbar_s])      "concat"

        alpha_ts = exp(score(h_t, hbar_s)) / sum over s' of exp(score(h_t, hbar_s'))
        c_t = sum over s of alpha_ts hbar_s
        a_t = tanh(W_c [c_t; h_t])

    The weights are `score_kernel` (W_a; with "concat" its upper rows belong to h_t), `score_vector` (v_a) and
    `attention_kernel` (W_c, its upper rows belong to c_t).

    Args:
        units: features of a_t, and with "concat" of the layer inside the score.
        score: `"dot"` (query and value must be equally wide), `"general"` or `"concat"`. Defaults to `"general"`.
        **kwargs: `name`, `dtype`, `trainable`.

    Call arguments:
        query: h_t, tensor `(batch, query_time, query_features)`.
        value: hbar_s, the memory, tensor `(batch, value_time, value_features)`.
        query_mask: boolean tensor `(batch, query_time)`; where it is False, all results are zeros. Defaults to `None`.
        value_mask: boolean tensor `(batch, value_time)`, True at the positions that can be attended to. A row without
            such a position gets zero weights and a zero context. Defaults to `None`: all positions.

    Returns:
        An `AttentionOutput`, a named tuple: `alignment` (alpha_ts) `(batch, query_time, value_time)`, `context` (c_t)
        `(batch, query_time, value_features)` and `attention` (a_t) `(batch, query_time, units)`.

    Raises:
        ValueError: units is not a positive integer; there is no such score; "dot" between different widths; query,
            value or masks have the wrong shape.

    Example:

    >>> import numpy as np, rnnkit.layers
    >>> memory, mask = np.ones((1, 4, 3), "float32"), np.array([[True, True, False, False]])
    >>> attended = rnnkit.layers.LuongAttention(8, score="dot")(np.ones((1, 2, 3), "float32"), memory, value_mask=mask)
    >>> np.array(attended.alignment).tolist()
    [[[0.5, 0.5, 0.0, 0.0], [0.5, 0.5, 0.0, 0.0]]]
    >>> tuple(attended.context.shape), tuple(attended.attention.shape)
    ((1, 2, 3), (1, 2, 8))

    References:
        Luong, Pham and Manning, "Effective approaches to attention-based neural machine translation", 2015; Khanzhina,
        "Recurrent neural networks", lecture, 2019.
    """

    def __init__(self, units: int, score: str = "general", **kwargs: Any):
        super().__init__(units, **kwargs)
        if score not in ("dot", "general", "concat"):
            raise ValueError(f"LuongAttention expected score to be 'dot', 'general' or 'concat', received {score!r}.")
        self.score_name = score

    def keys(self, value: Tensor) -> Tensor:
        if self.score_name == "dot":
            return value
        return ops.matmul(value, self.score_kernel[-value.shape[-1] :])  # with "general", all rows

    def score(self, query: Tensor, keys: Tensor) -> Tensor:
        if self.score_name == "concat":
            return additive_score(ops.matmul(query, self.score_kernel[: query.shape[-1]]), keys, self.score_vector)
        return ops.matmul(query, ops.swapaxes(keys, 1, 2))

    def get_config(self) -> Config:
        return {**super().get_config(), "score": self.score_name}

    def program_key(self) -> Hashable | None:
        """Names what the attention computes, apart from its weights; see `RecurrentCell.program_key`."""
        return key_of(self, LuongAttention, self.score_name)

    def _build_score(self, query_features, value_features):
        if self.score_name == "dot" and query_features != value_features:
            raise ValueError(
                f"LuongAttention(score='dot') expected query and value to be equally wide, received a query of "
                f"{query_features} features and a value of {value_features}: make them equal, or use score='general'."
            )
        if self.score_name == "general":
            self.score_kernel = self.add_weight((value_features, query_features), name="score_kernel")
        if self.score_name == "concat":
            self.score_kernel = self.add_weight((query_features + value_features, self.units), name="score_kernel")
            self.score_vector = self.add_weight((self.units,), name="score_vector")
            return self.units
        return query_features


@keras.saving.register_keras_serializable(package="rnnkit")
class BahdanauAttention(Attention):
    """Bahdanau's (additive) attention: a small network scores each pair of query and position.

        score(h_t, hbar_s) = v_a . tanh(W_q h_t + W_v hbar_s)

    The weights are `query_kernel` (W_q), `value_kernel` (W_v), `score_vector` (v_a) and `attention_kernel` (W_c). The
    paper continues with c_t; a_t is that of `LuongAttention`, whose "concat" score is this one with W_q and W_v on top
    of each other. In the paper, the query is the decoder's state before the step.

    Args:
        units: features of the layer inside the score, and of a_t.
        **kwargs: `name`, `dtype`, `trainable`.

    Call arguments:
        query: h_t, tensor `(batch, query_time, query_features)`.
        value: hbar_s, the memory, tensor `(batch, value_time, value_features)`.
        query_mask: boolean tensor `(batch, query_time)`; where it is False, all results are zeros. Defaults to `None`.
        value_mask: boolean tensor `(batch, value_time)`, True at the positions that can be attended to. A row without
            such a position gets zero weights and a zero context. Defaults to `None`: all positions.

    Returns:
        An `AttentionOutput`, a named tuple: `alignment` (alpha_ts) `(batch, query_time, value_time)`, `context` (c_t)
        `(batch, query_time, value_features)` and `attention` (a_t) `(batch, query_time, units)`.

    Raises:
        ValueError: units is not a positive integer; query, value or masks have the wrong shape.

    Example:

    >>> import numpy as np, rnnkit.layers
    >>> query, memory = np.ones((2, 5, 3), "float32"), np.ones((2, 7, 4), "float32")
    >>> alignment, context, attention = rnnkit.layers.BahdanauAttention(8)(query, memory)
    >>> tuple(alignment.shape), tuple(context.shape), tuple(attention.shape)
    ((2, 5, 7), (2, 5, 4), (2, 5, 8))

    References:
        Bahdanau, Cho and Bengio, "Neural machine translation by jointly learning to align and translate", 2015,
        appendix A.1.2; Khanzhina, "Recurrent neural networks", lecture, 2019.
    """

    def keys(self, value: Tensor) -> Tensor:
        return ops.matmul(value, self.value_kernel)

    def score(self, query: Tensor, keys: Tensor) -> Tensor:
        return additive_score(ops.matmul(query, self.query_kernel), keys, self.score_vector)

    def program_key(self) -> Hashable | None:
        """Names what the attention computes, apart from its weights; see `RecurrentCell.program_key`."""
        return key_of(self, BahdanauAttention)

    def _build_score(self, query_features, value_features):
        self.query_kernel = self.add_weight((query_features, self.units), name="query_kernel")
        self.value_kernel = self.add_weight((value_features, self.units), name="value_kernel")
        self.score_vector = self.add_weight((self.units,), name="score_vector")
        return self.units


def additive_score(query: Tensor, keys: Tensor, vector: Tensor) -> Tensor:
    """Computes v . tanh(q_t + k_s) for each t and s, `(batch, query_time, value_time)`."""
    inside = ops.tanh(ops.expand_dims(query, 2) + ops.expand_dims(keys, 1))
    # Not matmul: with Keras 3.13, for four axes by two, TensorFlow 2.20 and 2.21 write outside their memory on a CPU.
    return ops.tensordot(inside, vector, axes=1)


def masked_softmax(scores: Tensor, mask: Mask = None) -> Tensor:
    """Computes the softmax over the last axis, among what the mask leaves; zeros where it leaves nothing.

    It is computed in float32: half precision would overflow, or give weight to what is masked.
    """
    logits = ops.cast(scores, "float32")
    if mask is not None:
        logits = ops.where(mask, logits, IMPOSSIBLE)
    exponentials = ops.exp(logits - ops.stop_gradient(ops.max(logits, axis=-1, keepdims=True)))
    if mask is not None:
        exponentials = ops.where(mask, exponentials, 0.0)
    total = ops.sum(exponentials, axis=-1, keepdims=True)
    return ops.cast(exponentials / ops.where(total > 0, total, 1.0), scores.dtype)

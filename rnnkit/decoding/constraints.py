"""What a search may say: functions from logits to logits, which know the tokens so far."""

import numbers
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from keras import ops

from rnnkit.annotations import Tensor
from rnnkit.arguments import check_positive_integer

LOWEST = -5e4  # a logit as low as this forbids its token: minus infinity, -1e9, the least number of half precision
Constrain = Callable[[Tensor, Tensor, Tensor], Tensor]


def check_constraints(
    caller: str,
    vocabulary: int,
    end: int | None,
    forbidden: Iterable[int],
    min_length: int,
    no_repeat: int,
    repetition_penalty: float,
    constrain: Constrain | Sequence[Constrain] | None,
) -> tuple[Constrain, ...]:
    """Checks what the user demands; returns it as functions, those of the user first."""
    own = () if constrain is None else tuple(constrain) if isinstance(constrain, list | tuple) else (constrain,)
    for function in own:
        if not callable(function):
            raise ValueError(
                f"{caller} expected constrain to be a function constrain(tokens, step, logits) that returns logits, or "
                f"a list of such functions, received {constrain!r}."
            )
    found = list(own)
    forbidden = np.asarray(list(forbidden) if isinstance(forbidden, Iterable) else [forbidden])
    if forbidden.size:
        if forbidden.dtype.kind not in "iu" or forbidden.min() < 0 or forbidden.max() >= vocabulary:
            raise ValueError(
                f"{caller} expected forbidden to be token numbers from 0 to {vocabulary - 1}, received "
                f"{forbidden.tolist()!r}."
            )
        found.append(_Forbidden(tuple(sorted({int(token) for token in forbidden.ravel()}))))
    for name, value in (("min_length", min_length), ("no_repeat", no_repeat)):
        if value != 0 or isinstance(value, bool):
            check_positive_integer(caller, name, value)
    if min_length and end is not None:
        found.append(_MinLength(int(min_length), int(end)))
    if no_repeat:
        found.append(_NoRepeat(int(no_repeat)))
    wrong = not isinstance(repetition_penalty, numbers.Real) or isinstance(repetition_penalty, bool)
    if wrong or not 0 < repetition_penalty < np.inf:
        raise ValueError(
            f"{caller} expected repetition_penalty to be a number above 0, 1 for none, received {repetition_penalty!r}."
        )
    if repetition_penalty != 1:
        found.append(_RepetitionPenalty(float(repetition_penalty)))
    return tuple(found)


def is_built_in(constrain: Constrain) -> bool:
    """Returns whether a function is equal to others with the same settings."""
    return isinstance(constrain, _Forbidden | _MinLength | _NoRepeat | _RepetitionPenalty)


@dataclass(frozen=True)
class _Forbidden:
    tokens: tuple[int, ...]

    def __call__(self, tokens, step, logits):
        numbers = np.arange(logits.shape[-1])
        return ops.where(np.isin(numbers, self.tokens), -np.inf, logits)


@dataclass(frozen=True)
class _MinLength:
    length: int
    end: int

    def __call__(self, tokens, step, logits):
        is_end = np.arange(logits.shape[-1]) == self.end
        return ops.where(ops.logical_and(is_end, step < self.length), -np.inf, logits)


@dataclass(frozen=True)
class _NoRepeat:
    size: int

    def __call__(self, tokens, step, logits):
        time, before = tokens.shape[1], self.size - 1
        if time < self.size:
            return logits
        starts = ops.arange(time - before, dtype="int32")
        repeats = starts + before < step
        for place in range(before):
            last = ops.take(tokens, ops.maximum(step - before + place, 0), axis=1)
            repeats = ops.logical_and(repeats, tokens[:, place : time - before + place] == last[:, None])
        repeats = ops.broadcast_to(repeats, (ops.shape(tokens)[0], time - before))
        return ops.where(_said(tokens[:, before:], repeats, logits), -np.inf, logits)


@dataclass(frozen=True)
class _RepetitionPenalty:
    penalty: float

    def __call__(self, tokens, step, logits):
        lower = ops.where(logits > 0, logits / self.penalty, logits * self.penalty)
        return ops.where(_said(tokens, tokens >= 0, logits), lower, logits)


def _said(tokens, counts, logits):
    """Which tokens of the vocabulary are among those of each row that count: `(rows, vocabulary)`."""
    rows, vocabulary = ops.shape(logits)
    places = ops.arange(rows, dtype="int32")[:, None] * vocabulary + ops.maximum(tokens, 0)
    places = ops.reshape(ops.where(counts, places, rows * vocabulary), (-1, 1))
    said = ops.zeros((rows * vocabulary + 1,), dtype="float32")
    said = ops.scatter_update(said, places, ops.ones_like(places[:, 0], dtype="float32"))
    return ops.reshape(said[:-1], (rows, vocabulary)) > 0


class Moves:
    """A constraint for searches: which token may follow which.

    Args:
        table: booleans `(vocabulary, vocabulary)`: whether the token of the column may follow that of the row.
        first: booleans `(vocabulary,)`: whether a token may be the first one. Defaults to `None`: all may.

    Raises:
        ValueError: they have another shape or other values.

    Example:

    >>> import numpy as np
    >>> from rnnkit import decoding
    >>> moves = decoding.Moves([[1, 1, 1], [0, 0, 1], [1, 1, 1]])  # after 1, only 2
    >>> logits = np.zeros((1, 3), "float32")
    >>> np.array(moves(np.array([[1, -1]]), 1, logits)).tolist()
    [[-inf, -inf, 0.0]]
    """

    def __init__(self, table: Any, first: Any = None):
        self.table = np.asarray(table)
        size = len(self.table) if self.table.ndim else 0
        self.first = np.ones(size, bool) if first is None else np.asarray(first)
        shapes = self.table.shape, self.first.shape
        if shapes != ((size, size), (size,)) or not size or not all(np.isin(x, (0, 1)).all() for x in self._parts):
            raise ValueError(
                "Moves expected a table (vocabulary, vocabulary) and first (vocabulary,), of 0 and 1, received shapes "
                f"{shapes[0]} and {shapes[1]}."
            )
        self.table, self.first = (part.astype(bool) for part in self._parts)

    @property
    def _parts(self):
        return self.table, self.first

    def __call__(self, tokens: Tensor, step: Tensor, logits: Tensor) -> Tensor:
        if logits.shape[-1] != len(self.table):
            raise ValueError(
                f"Moves expected a vocabulary of {len(self.table)} tokens, as its table has, received logits of "
                f"{logits.shape[-1]}."
            )
        last = ops.take(ops.convert_to_tensor(tokens), ops.maximum(step - 1, 0), axis=1)
        allowed = ops.take(ops.convert_to_tensor(self.table), ops.maximum(last, 0), axis=0)
        allowed = ops.where(step == 0, ops.convert_to_tensor(self.first), allowed)
        return ops.where(allowed, logits, -np.inf)


class Trie:
    """A constraint for searches: only these sequences may be said.

    Args:
        sequences: lists of token numbers, without the end token.
        end: the token that ends a sequence, allowed after each whole one. Defaults to `None`: there is none, and
            nothing is allowed after a sequence that is no beginning of another one.

    Raises:
        ValueError: there is no sequence, or one is empty or no list of token numbers.

    Example:

    >>> import numpy as np
    >>> from rnnkit import decoding
    >>> trie = decoding.Trie([[3, 4], [3, 5]], end=2)
    >>> np.isfinite(np.array(trie(np.array([[3, -1, -1]]), 1, np.zeros((1, 6), "float32")))).nonzero()[1].tolist()
    [4, 5]

    References:
        De Cao, Izacard, Riedel and Petroni, "Autoregressive entity retrieval", 2021.
    """

    def __init__(self, sequences: Iterable[Sequence[int]], end: int | None = None):
        children: list[dict[int, int]] = [{}]  # of each node: a token, and the node that it leads to
        for sequence in sequences:
            array = np.asarray(sequence)
            if array.ndim != 1 or not array.size or array.dtype.kind not in "iu" or array.min() < 0:
                raise ValueError(f"Trie expected sequences of one token number or more, received {sequence!r}.")
            node = 0
            for token in [*array.tolist(), *([] if end is None else [int(end)])]:
                if token not in children[node]:
                    children[node][token] = len(children)
                    children.append({})
                node = children[node][token]
        if len(children) == 1:
            raise ValueError("Trie expected one sequence or more, received none.")
        width = max(map(len, children))
        self._tokens, self._nodes = (np.full((len(children), width), -1, "int32") for _ in range(2))
        for node, edges in enumerate(children):
            self._tokens[node, : len(edges)], self._nodes[node, : len(edges)] = list(edges), list(edges.values())
        self._largest = int(self._tokens.max())

    def __call__(self, tokens: Tensor, step: Tensor, logits: Tensor) -> Tensor:
        if self._largest >= logits.shape[-1]:
            raise ValueError(
                f"Trie expected a vocabulary with the token {self._largest}, received logits of {logits.shape[-1]}."
            )
        edges, nodes = map(ops.convert_to_tensor, (self._tokens, self._nodes))
        tokens = ops.cast(tokens, "int32")

        def read(t, node):
            follows = ops.take(edges, node, axis=0) == ops.take(tokens, t, axis=1)[:, None]
            reached = ops.max(ops.where(follows, ops.take(nodes, node, axis=0), -1), axis=1)
            return ops.where(node < 0, node, reached)  # outside of the trie there is no way back

        node = ops.fori_loop(0, step, read, ops.zeros_like(tokens[:, 0], dtype="int32"))
        allowed = ops.take(edges, ops.maximum(node, 0), axis=0)
        inside = ops.logical_and(allowed >= 0, (node >= 0)[:, None])
        return ops.where(_said(allowed, inside, logits), logits, -np.inf)

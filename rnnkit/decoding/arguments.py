"""Checks of the arguments that all searches share."""

import numbers
from typing import Any, NamedTuple

import numpy as np
from keras import ops, tree

from rnnkit import backend
from rnnkit.annotations import Tensor, Tensors
from rnnkit.arguments import check_positive_integer
from rnnkit.decoding.constraints import Constrain, check_constraints
from rnnkit.decoding.steps import Ensemble, Steps, as_steps
from rnnkit.layers.decoder import Decoder

ROOM = 32  # programs have room for a multiple of this many tokens: few lengths need one of their own


class Arguments(NamedTuple):
    """What the user gave to a search, checked.

    Attributes:
        decoder: a `Decoder`, a Keras model, an `Ensemble` or a function.
        steps: its `Steps`.
        states: flat list of the first states `(batch, ...)`.
        start: int32 `(batch,)`.
        end: the token that ends a sequence; -1 if none does.
        padding: the token after the end; -1 if that is no token.
        never: the padding if it is never said; otherwise -1.
        lengths: int32 `(batch,)`, how many tokens at most.
        longest: the largest of them.
        forced: int32 `(batch, room)`, the tokens that each row begins with, then -1; `(batch, 0)` if there are none.
        constraints: functions `constrain(tokens, step, logits)`.
        return_states: whether to return states to go on from.
        is_concrete: whether the numbers are known; they are not inside a compiled function.
    """

    decoder: Any
    steps: Steps
    states: list[Tensor]
    start: Any
    end: int
    padding: int
    never: int
    lengths: Any
    longest: int
    forced: Any
    constraints: tuple[Constrain, ...]
    return_states: bool
    is_concrete: bool

    @property
    def room(self) -> int:
        """How many tokens a program has room for."""
        return _room(self.longest)


def _room(longest):
    return -(-longest // ROOM) * ROOM


def check_arguments(
    caller: str,
    decoder: Any,
    states: Tensors,
    start: Any,
    end: int | None,
    max_length: Any,
    padding: int,
    prefix: Any,
    return_states: bool,
    **control: Any,
) -> Arguments:
    """Checks the arguments that all searches share; `caller` is the function that the user called."""
    if states is None:
        states = _zeros(caller, decoder, max(np.size(start), np.size(max_length)))
    states = tree.map_structure(ops.convert_to_tensor, states)
    flat = tree.flatten(states)
    is_concrete = all(map(backend.is_concrete, flat)) and not any(map(_is_unknown, (start, max_length, prefix)))
    batch = _batch(caller, flat, is_concrete) if flat else max(np.size(start), np.size(max_length))
    steps = as_steps(caller, decoder, states, batch)
    if padding != -1 or isinstance(padding, bool):
        _check_tokens(caller, "padding", padding, (), steps.vocabulary)
    if end is not None:
        _check_tokens(caller, "end", end, (), steps.vocabulary)
    if return_states and isinstance(decoder, Ensemble):
        raise ValueError(f"{caller} expected return_states=False for an Ensemble, received True.")
    masks = isinstance(decoder, Decoder) and padding == 0 and getattr(decoder.embedding, "mask_zero", False)
    never = padding if masks or end not in (None, padding) else -1
    constraints = check_constraints(caller, steps.vocabulary, end, **control)
    if is_concrete:
        lengths = _lengths(caller, max_length, batch)
        _check_tokens(caller, "start", start, (batch,), steps.vocabulary)
        start, longest = np.broadcast_to(np.asarray(start, "int32"), (batch,)), int(lengths.max())
    else:
        longest = check_positive_integer(caller, "max_length", max_length)
        lengths = ops.full((batch,), longest, dtype="int32")
        start = ops.broadcast_to(ops.cast(ops.convert_to_tensor(start), "int32"), (batch,))
    of_rows = lengths if is_concrete else longest
    forced = _forced(caller, prefix, batch, steps.vocabulary, never, of_rows, _room(longest))
    end = -1 if end is None else int(end)
    return Arguments(
        decoder,
        steps,
        flat,
        start,
        end,
        int(padding),
        never,
        lengths,
        longest,
        forced,
        constraints,
        bool(return_states),
        is_concrete,
    )


def _is_unknown(value):
    return ops.is_tensor(value) and not backend.is_concrete(value)


def _forced(caller, prefix, batch, vocabulary, never, lengths, room):
    """The tokens that each row begins with, then -1, `(batch, room)`."""
    if prefix is None:
        return ops.zeros((batch, 0), dtype="int32")
    if _is_unknown(prefix):
        prefix = ops.cast(ops.convert_to_tensor(prefix), "int32")
        if len(prefix.shape) != 2 or prefix.shape[1] is None or prefix.shape[1] > room:
            raise ValueError(
                f"{caller} expected inside of a compiled function a prefix (batch, length) of a known length, up to "
                f"max_length, received shape {tuple(prefix.shape)}."
            )
        is_padding = ops.logical_or(prefix < 0, prefix == never)
        order = ops.argsort(ops.cast(is_padding, "int32") * room + ops.arange(prefix.shape[1]), axis=1)
        prefix = ops.take_along_axis(ops.where(is_padding, -1, prefix), ops.cast(order, "int32"), axis=1)
        return ops.pad(prefix, [[0, 0], [0, room - prefix.shape[1]]], constant_values=-1)
    rows = _rows_of(prefix, batch if isinstance(batch, int) else 1)
    if rows is None:
        raise ValueError(
            f"{caller} expected prefix to be a list of token numbers, or one for each of {batch} rows, or an array "
            f"(batch, length) with padding before or after the tokens, received {prefix!r}."
        )
    forced = np.full((len(rows), room), -1, "int32")
    for number, row in enumerate(rows):
        inside = np.flatnonzero((row >= 0) & (row != never))
        row = row[inside[0] : inside[-1] + 1] if inside.size else row[:0]
        if len(row) != len(inside):
            raise ValueError(
                f"{caller} expected padding only before and after a prefix, received it in the middle of row {number}: "
                f"{row.tolist()}."
            )
        if len(row):
            _check_tokens(caller, "prefix", row, row.shape, vocabulary)
        longest = lengths[number] if isinstance(lengths, np.ndarray) else lengths
        if len(row) > longest:
            raise ValueError(
                f"{caller} expected a prefix of at most max_length={longest} tokens, received one of "
                f"{len(row)} in row {number}."
            )
        forced[number, : len(row)] = row
    return ops.broadcast_to(forced, (batch, room))


def _rows_of(prefix, batch):
    """The rows of a prefix as integer arrays; None if it is none."""
    try:
        prefix = prefix if isinstance(prefix, list | tuple) else np.asarray(prefix)
        if len(prefix) == 0 or np.ndim(prefix[0]) == 0:  # the same one for all rows
            prefix = [prefix] * batch
        rows = [np.asarray(row, "int32") if len(row) == 0 else np.asarray(row) for row in prefix]
    except (TypeError, ValueError):
        return None
    fits = len(rows) == batch and all(row.ndim == 1 and row.dtype.kind in "iu" for row in rows)
    return rows if fits else None


def check_at_most_vocabulary(caller: str, name: str, value: int | None, vocabulary: int) -> None:
    """Raises a `ValueError` if there is a value and it is more than there are tokens."""
    if value is not None and value > vocabulary:
        raise ValueError(
            f"{caller} expected {name} of at most {vocabulary}, the size of the vocabulary, received {value}."
        )


def _zeros(caller, decoder, batch):
    if not isinstance(decoder, Decoder):
        raise ValueError(
            f"{caller} expected states, received None: only a rnnkit.layers.Decoder has first states of its own."
        )
    return decoder.recurrent.get_initial_state(batch)


def _batch(caller, states, is_concrete):
    batches = {state.shape[0] if len(state.shape) else None for state in states}
    if not is_concrete and None in batches and all(len(state.shape) for state in states):
        return ops.shape(states[0])[0]
    if len(batches) != 1 or batches & {None, 0}:
        raise ValueError(
            f"{caller} expected states that all have the batch, one row or more, as their first axis, received shapes "
            f"{[tuple(state.shape) for state in states]}."
        )
    return batches.pop()


def _check_tokens(caller, name, tokens, shape, vocabulary):
    array = np.asarray(tokens)
    if array.dtype.kind not in "iu" or array.shape not in ((), shape):
        rows = f", or one for each of {shape[0]} rows" if shape else ""
        raise ValueError(f"{caller} expected {name} to be a token number{rows}, received {tokens!r}.")
    if array.min() < 0 or array.max() >= vocabulary:
        raise ValueError(
            f"{caller} expected {name} to be a token number from 0 to {vocabulary - 1}, as the vocabulary has "
            f"{vocabulary} tokens, received {tokens!r}."
        )


def _lengths(caller, max_length, batch):
    if isinstance(max_length, numbers.Integral):
        return np.full(batch, check_positive_integer(caller, "max_length", max_length), "int32")
    lengths = np.asarray(max_length)
    if lengths.dtype.kind not in "iu" or lengths.shape != (batch,) or lengths.min() < 1:
        raise ValueError(
            f"{caller} expected max_length to be a positive integer, or one for each of {batch} rows, received "
            f"{max_length!r}."
        )
    return lengths.astype("int32")

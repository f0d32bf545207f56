"""Checks of the arguments that all searches share."""

import numbers
from typing import Any, NamedTuple

import numpy as np
from keras import ops, tree

from rnnkit.annotations import Tensor, Tensors
from rnnkit.arguments import check_positive_integer
from rnnkit.decoding.steps import Steps, as_steps
from rnnkit.layers.decoder import Decoder

ROOM = 32  # programs have room for a multiple of this many tokens: few lengths need one of their own


class Arguments(NamedTuple):
    """What the user gave to a search, checked.

    Attributes:
        decoder: a `Decoder`, a Keras model or a function.
        steps: its `Steps`.
        states: flat list of the first states `(batch, ...)`.
        start: int32 `(batch,)`.
        end: the token that ends a sequence; -1 if none does.
        padding: the token after the end.
        lengths: int32 `(batch,)`, how many tokens at most.
    """

    decoder: Any
    steps: Steps
    states: list[Tensor]
    start: np.ndarray
    end: int
    padding: int
    lengths: np.ndarray

    @property
    def longest(self) -> int:
        return int(self.lengths.max())

    @property
    def room(self) -> int:
        """How many tokens a program has room for."""
        return -(-self.longest // ROOM) * ROOM


def check_arguments(
    caller: str, decoder: Any, states: Tensors, start: Any, end: int | None, max_length: Any, padding: int
) -> Arguments:
    """Checks the arguments that all searches share; `caller` is the function that the user called."""
    if states is None:
        states = _zeros(caller, decoder, max(np.size(start), np.size(max_length)))
    states = tree.map_structure(ops.convert_to_tensor, states)
    flat = tree.flatten(states)
    batch = _batch(caller, flat) if flat else max(np.size(start), np.size(max_length))
    steps = as_steps(caller, decoder, states, batch)
    lengths = _lengths(caller, max_length, batch)
    _check_tokens(caller, "start", start, (batch,), steps.vocabulary)
    _check_tokens(caller, "padding", padding, (), steps.vocabulary)
    if end is not None:
        _check_tokens(caller, "end", end, (), steps.vocabulary)
    start = np.broadcast_to(np.asarray(start, "int32"), (batch,))
    return Arguments(decoder, steps, flat, start, -1 if end is None else int(end), int(padding), lengths)


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


def _batch(caller, states):
    batches = {state.shape[0] if len(state.shape) else None for state in states}
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

"""What all searches share: the checks of their arguments, and one compiled program for each decoder and setting."""

import numbers
import weakref

import keras
import numpy as np
from keras import ops, tree

from rnnkit import backend
from rnnkit.arguments import check_positive_integer
from rnnkit.decoding.steps import steps_of
from rnnkit.layers.decoder import Decoder

ROOM = 32  # programs have room for a multiple of as many tokens, so that few lengths need one of their own
_programs = weakref.WeakKeyDictionary()  # for each decoder a dictionary from settings to its programs


def run(caller, search, decoder, states, start, end, max_length, padding, settings=(), arguments=(), **at_most):
    """Checks the arguments that all searches share, and runs a search as one compiled program.

    Args:
        caller: name of the function that the user called.
        search: function of `Steps`, a setting (room for how many tokens, `end`, `padding`, `settings`), states, `start`
            and `lengths` `(batch,)`, and `arguments`; returns what there is once, and what there is of each step.
        decoder, states, start, end, max_length, padding: as the user gave them.
        settings: hashable values, each of which makes another program.
        arguments: functions of the batch and the room for tokens, which make further tensors.
        **at_most: integers or None, by name, that must not be more than there are tokens.

    Returns:
        What the search returns, as NumPy arrays, of each step up to the longest of `max_length`.
    """
    if states is None:
        states = _zeros(caller, decoder, max(np.size(start), np.size(max_length)))
    states = tree.map_structure(ops.convert_to_tensor, states)
    flat = tree.flatten(states)
    batch = _batch(caller, flat) if flat else max(np.size(start), np.size(max_length))
    steps = steps_of(caller, decoder, states, batch)
    lengths = _lengths(caller, max_length, batch)
    _check_tokens(caller, "start", start, (batch,), steps.vocabulary)
    _check_tokens(caller, "padding", padding, (), steps.vocabulary)
    if end is not None:
        _check_tokens(caller, "end", end, (), steps.vocabulary)
    for name, value in at_most.items():
        if value is not None and value > steps.vocabulary:
            raise ValueError(
                f"{caller} expected {name} of at most {steps.vocabulary}, the size of the vocabulary, received {value}."
            )
    start = np.broadcast_to(np.asarray(start, "int32"), (batch,))
    longest = int(lengths.max())
    setting = (-(-longest // ROOM) * ROOM, -1 if end is None else int(end), int(padding), *settings)
    tensors = [start, lengths, *(make(batch, setting[0]) for make in arguments)]
    program = _program(search, decoder, steps, setting)
    once, each = tree.map_structure(ops.convert_to_numpy, program(flat, *map(ops.convert_to_tensor, tensors)))
    return once, tree.map_structure(lambda array: array[:longest], each)


def _program(search, decoder, steps, setting):
    if not isinstance(decoder, keras.layers.Layer):  # what a function refers to may change: it is compiled each time
        return backend.compiled(lambda *tensors: search(steps, setting, *tensors), [])
    programs, key = _programs.setdefault(decoder, {}), (search, setting)
    if key not in programs:
        reference, kind = weakref.ref(decoder), type(steps)  # a kept program must not keep its decoder

        def program(*tensors):
            return search(kind(reference()), setting, *tensors)

        programs[key] = backend.compiled(program, decoder.variables)
    return programs[key]


def _zeros(caller, decoder, batch):
    if not isinstance(decoder, Decoder):
        raise ValueError(f"{caller} expected states, as only a rnnkit.layers.Decoder tells which it begins with.")
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

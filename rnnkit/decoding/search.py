"""What the searches share: the loop over time, one compiled program per decoder and setting, and the result."""

import weakref
from collections.abc import Callable, Hashable, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops, tree

from rnnkit import backend
from rnnkit.annotations import Tensor
from rnnkit.decoding.arguments import Arguments
from rnnkit.decoding.steps import Steps

_programs = weakref.WeakKeyDictionary()  # for each decoder, a dictionary from searches and settings to programs


class Decoded(NamedTuple):
    """Decoded sequences, as NumPy arrays.

    Those of a beam search have an axis `n_best` after the batch, the best first.

    Attributes:
        tokens: integers `(batch, max_length)`, without the start token and with the end token; after it, `padding`.
        scores: `(batch,)`, the sum of ln p(token | tokens before) over each sequence, its end token included, under the
            decoder's own probabilities; in a beam search, with its penalties.
        alignments: `(batch, max_length, memory_time)`, alpha_ts of each step, zeros after the end; None if the decoder
            returns none.
    """

    tokens: np.ndarray
    scores: np.ndarray
    alignments: np.ndarray | None

    @classmethod
    def of(cls, results: Any) -> "Decoded":
        """Makes it of what `decode_loop` returns, with the time axis first."""
        scores, (tokens, alignments) = results
        return cls(tokens.T, scores, *([a.swapaxes(0, 1) for a in alignments] or [None]))


class Setting(NamedTuple):
    """What a program is compiled for, apart from shapes.

    Attributes:
        time: room for how many tokens.
        end: the token that ends a sequence; -1 if none does.
        padding: the token after the end.
        options: what a search adds, all hashable.
    """

    time: int
    end: int
    padding: int
    options: tuple[Hashable, ...]


def run(
    search: Callable[..., Any], arguments: Arguments, options: tuple[Hashable, ...] = (), tensors: Sequence[Tensor] = ()
) -> Any:
    """Runs a search as one compiled program.

    Args:
        search: function of `Steps`, a `Setting`, the list of states, `start` and `lengths` `(batch,)`, and `tensors`;
            it returns what there is once, and what there is for each step, time first.
        arguments: the checked arguments of the user.
        options: values of which each makes another program. Defaults to `()`.
        tensors: further tensors. Defaults to `()`.

    Returns:
        What the search returns, as NumPy arrays, up to the last step of the longest sequence.
    """
    setting = Setting(arguments.room, arguments.end, arguments.padding, options)
    program = _program(search, arguments, setting)
    tensors = [ops.convert_to_tensor(tensor) for tensor in (arguments.start, arguments.lengths, *tensors)]
    once, each = tree.map_structure(ops.convert_to_numpy, program(arguments.states, *tensors))
    return once, tree.map_structure(lambda array: array[: arguments.longest], each)


def _program(search, arguments, setting):
    decoder, steps = arguments.decoder, arguments.steps
    if not isinstance(decoder, keras.layers.Layer):  # what a function refers to may change: it is compiled each time
        return backend.compiled(lambda *tensors: search(steps, setting, *tensors), [])
    programs, key = _programs.setdefault(decoder, {}), (search, setting)
    if key not in programs:
        reference, kind = weakref.ref(decoder), type(steps)  # a kept program must not keep its decoder

        def program(*tensors):
            return search(kind(reference()), setting, *tensors)

        programs[key] = backend.compiled(program, decoder.variables)
    return programs[key]


def decode_loop(
    steps: Steps,
    setting: Setting,
    states: list[Tensor],
    start: Tensor,
    lengths: Tensor,
    choose: Callable[[Tensor, Tensor], Tensor],
) -> tuple[Tensor, tuple[Tensor, list[Tensor]]]:
    """Chooses one token per row and step: the loop of greedy search and of sampling.

    Args:
        steps: the decoder.
        setting: the `Setting` of the program.
        states: list of the first states `(batch, ...)`.
        start: the token before the first one, `(batch,)`.
        lengths: how many tokens at most, `(batch,)`.
        choose: `choose(log_p, t)` returns the tokens `(batch,)`, given ln p `(batch, vocabulary)` at step t.

    Returns:
        Scores `(batch,)`; and for each step the tokens `(time, batch)` and a list of no or one alignments `(time,
        batch, memory_time)`.
    """
    states, constants = steps.prepare(states)
    said = next_step(steps, start, states, constants)
    zeros = ops.zeros_like(said["logits"][:, 0])

    def step(carry):
        t, finished = carry["t"], carry["finished"]
        log_p = ops.log_softmax(carry["logits"], axis=-1)
        token = ops.cast(choose(log_p, t), "int32")
        gain = ops.squeeze(ops.take_along_axis(log_p, token[:, None], axis=-1), axis=-1)
        token = ops.where(finished, setting.padding, token)
        alignment = [ops.where(finished[:, None], 0.0, now) for now in carry["alignment"]]
        return {
            "t": t + 1,
            "finished": finished | (token == setting.end) | (t + 1 >= lengths),
            "scores": carry["scores"] + ops.where(finished, 0.0, gain),
            "tokens": write(carry["tokens"], t, token),
            "alignments": [write(past, t, now) for past, now in zip(carry["alignments"], alignment, strict=True)],
            **next_step(steps, token, carry["states"], constants),
        }

    first = {
        "t": ops.convert_to_tensor(0, "int32"),
        "finished": zeros > 1,
        "scores": zeros,
        "tokens": ops.full((setting.time, ops.shape(start)[0]), setting.padding, dtype="int32"),
        "alignments": [ops.zeros((setting.time, *ops.shape(a)), dtype="float32") for a in said["alignment"]],
        **said,
    }
    last = until_finished(step, first, setting.time)
    return last["scores"], (last["tokens"], last["alignments"])


def until_finished(step: Callable[[dict], dict], carry: dict[str, Any], time: int) -> dict[str, Any]:
    """Repeats `carry = step(carry)` until all of `carry["finished"]`, at most until `carry["t"]` is `time`."""

    def cond(carry):
        return ops.logical_and(carry["t"] < time, ops.logical_not(ops.all(carry["finished"])))

    return ops.while_loop(cond, step, carry)


def next_step(steps: Steps, tokens: Tensor, states: list[Tensor], constants: list[Tensor]) -> dict[str, Any]:
    """Runs a step of the decoder, in the types that a loop needs: states as they were, logits and alignment float32."""
    logits, new, alignment = steps.step(tokens, states, constants)
    return {
        "logits": ops.cast(logits, "float32"),
        "states": [ops.cast(state, old.dtype) for state, old in zip(new, states, strict=True)],
        "alignment": [ops.cast(a, "float32") for a in alignment],
    }


def write(past: Tensor, t: Tensor, now: Tensor) -> Tensor:
    """Returns `past` `(time, ...)` with `now` at step t."""
    return ops.scatter_update(past, ops.reshape(t, (1, 1)), now[None])

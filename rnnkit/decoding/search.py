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
from rnnkit.decoding.constraints import LOWEST, Constrain, is_built_in
from rnnkit.decoding.steps import Ensemble, Steps
from rnnkit.ops.scores import IMPOSSIBLE, minus_infinity_if_impossible, scores_at

KEPT = 4  # programs of a decoder with functions of the user's
_programs = weakref.WeakKeyDictionary()  # of each decoder, a list of `_Program`


class Decoded(NamedTuple):
    """Decoded sequences: NumPy arrays, or tensors if the search ran inside a compiled function.

    Those of a beam search have an axis `n_best` after the batch, the best first.

    Attributes:
        tokens: integers `(batch, max_length)`, without the start token and with the end token; after it, `padding`.
        scores: `(batch,)`, the sum of ln p(token | tokens before) over each sequence, its end token included, under the
            decoder's own probabilities; in a beam search, with its penalties. Minus infinity where there is no such
            sequence: nothing could be said that was not forbidden. The tokens are those up to there.
        alignments: `(batch, max_length, memory_time)`, alpha_ts of each step, zeros after the end; None if the decoder
            returns none.
        states: with `return_states`, the list of the states from which a search goes on, with the last token as its
            `start`; otherwise None.
    """

    tokens: Tensor
    scores: Tensor
    alignments: Tensor | None
    states: list[Tensor] | None = None


class Setting(NamedTuple):
    """What a program is compiled for, apart from shapes.

    Attributes:
        time: room for how many tokens.
        end: the token that ends a sequence; -1 if none does.
        padding: the token after the end; -1 if that is no token.
        never: a token that is never said, or -1.
        forces: whether there are tokens that have to be said.
        constraints: functions `constrain(tokens, step, logits)`.
        return_states: whether to return states to go on from.
        options: what a search adds, all hashable.
    """

    time: int
    end: int
    padding: int
    never: int
    forces: bool
    constraints: tuple[Constrain, ...]
    return_states: bool
    options: tuple[Hashable, ...]


class _Program(NamedTuple):
    search: Callable[..., Any]
    setting: Setting
    run: Callable[..., Any]


def run(
    search: Callable[..., Any], arguments: Arguments, options: tuple[Hashable, ...] = (), tensors: Sequence[Tensor] = ()
) -> Decoded:
    """Runs a search as one compiled program, or as a part of the function that is being compiled.

    Args:
        search: function of `Steps`, a `Setting`, the list of states, `start` and `lengths` `(batch,)`, `forced` as in
            `scores_of`, and `tensors`. It returns what a `Decoded` holds, with room for `arguments.room` tokens, and
            of the states those that change.
        arguments: the checked arguments of the user.
        options: values of which each makes another program. Defaults to `()`.
        tensors: further tensors. Defaults to `()`.
    """
    setting = Setting(
        arguments.room,
        arguments.end,
        arguments.padding,
        arguments.never,
        arguments.forced.shape[1] != 0,
        arguments.constraints,
        arguments.return_states,
        options,
    )
    tensors = [ops.convert_to_tensor(x) for x in (arguments.start, arguments.lengths, arguments.forced, *tensors)]
    if arguments.is_concrete:
        found = _program(search, arguments, setting)(arguments.states, *tensors)
        found = tree.map_structure(lambda x: None if x is None else ops.convert_to_numpy(x), found)
    else:
        found = search(arguments.steps, setting, arguments.states, *tensors)
    time, found = arguments.longest, Decoded(*found)
    alignments = None if found.alignments is None else found.alignments[..., :time, :]
    found = found._replace(tokens=found.tokens[..., :time], alignments=alignments)
    if found.states is None:
        return found
    others = arguments.states[len(found.states) :]  # what no step changes
    if arguments.is_concrete:
        others = [ops.convert_to_numpy(state) for state in others]
    return found._replace(states=[*found.states, *others])


def _program(search, arguments, setting):
    decoder, steps = arguments.decoder, arguments.steps
    if not isinstance(decoder, keras.layers.Layer | Ensemble):
        # What a function refers to may change: it is compiled each time.
        return backend.compiled(lambda *tensors: search(steps, setting, *tensors), [])
    programs = _programs.setdefault(decoder, [])
    for program in programs:
        if program.search is search and program.setting == setting:
            return program.run
    reference, kind = weakref.ref(decoder), type(steps)  # a kept program must not keep its decoder

    def run_search(*tensors):
        return search(kind(reference()), setting, *tensors)

    programs.append(_Program(search, setting, backend.compiled(run_search, decoder.variables)))
    # Each call may bring new functions `constrain`: of their programs, only the last ones are kept.
    of_functions = [program for program in programs if not all(map(is_built_in, program.setting.constraints))]
    for program in of_functions[:-KEPT]:
        programs.remove(program)
    return programs[-1].run


def scores_of(logits: Tensor, tokens: Tensor, t: Tensor, forced: Tensor, setting: Setting) -> tuple[Tensor, Tensor]:
    """Returns ln p of each token `(rows, vocabulary)`, and what counts in its place: `IMPOSSIBLE` if it is forbidden.

    Args:
        logits: `(rows, vocabulary)`, those of the decoder.
        tokens: int32 `(rows, time)`, what was said so far; -1 from step t on.
        t: the number of this step.
        forced: int32 `(rows, time)`: tokens that have to be said, -1 where there is a choice; `(rows, 0)` for none.
        setting: the `Setting`.
    """
    vocabulary = np.arange(logits.shape[-1])
    allowed = logits > LOWEST
    own = ops.log_softmax(ops.where(allowed, logits, IMPOSSIBLE), axis=-1)
    counts = own
    if setting.constraints:
        changed = logits
        for constrain in setting.constraints:
            changed = ops.cast(constrain(tokens, t, changed), logits.dtype)
        allowed = ops.logical_and(allowed, changed > LOWEST)
        counts = own + ops.where(allowed, changed - logits, 0.0)
    if setting.never >= 0:
        allowed = ops.logical_and(allowed, vocabulary != setting.never)
    if setting.forces:
        forced = ops.take(forced, t, axis=1)[:, None]
        is_forced = ops.logical_and(forced == vocabulary, logits > LOWEST)
        allowed = ops.where(forced < 0, allowed, is_forced)
    return own, ops.where(allowed, counts, IMPOSSIBLE)


def decode_loop(
    steps: Steps,
    setting: Setting,
    states: list[Tensor],
    start: Tensor,
    lengths: Tensor,
    forced: Tensor,
    choose: Callable[[Tensor, Tensor], Tensor],
) -> tuple:
    """Chooses one token per row and step: the loop of greedy search and of sampling.

    Args:
        steps: the decoder.
        setting: the `Setting` of the program.
        states: list of the first states `(batch, ...)`.
        start: the token before the first one, `(batch,)`.
        lengths: how many tokens at most, `(batch,)`.
        forced: as in `scores_of`.
        choose: `choose(scores, t)` returns the tokens `(batch,)`, given `(batch, vocabulary)` at step t: ln p, or
            `IMPOSSIBLE`. It chooses nothing that is impossible if there is anything else.

    Returns:
        What a `Decoded` holds.
    """
    states, constants = steps.prepare(states)
    said = next_step(steps, start, states, constants)
    zeros = ops.zeros_like(said["logits"][:, 0])

    def step(carry):
        t, finished = carry["t"], carry["finished"]
        tokens = ops.transpose(carry["tokens"]) if setting.constraints else None
        log_p, counts = scores_of(carry["logits"], tokens, t, forced, setting)
        token = ops.cast(choose(counts, t), "int32")
        stuck = scores_at(counts, token) < IMPOSSIBLE / 2
        gain = ops.where(stuck, IMPOSSIBLE, scores_at(log_p, token))
        silent = ops.logical_or(finished, stuck)
        alignment = [ops.where(silent[:, None], 0.0, now) for now in carry["alignment"]]
        more = {}
        if setting.return_states:
            more["before"] = [where_rows(silent, old, new) for old, new in _pairs(carry["before"], carry["states"])]
        following = next_step(steps, ops.where(silent, max(setting.padding, 0), token), carry["states"], constants)
        if setting.return_states:  # a row that has ended stays as it is
            following["states"] = [
                where_rows(silent, old, new) for old, new in _pairs(carry["states"], following["states"])
            ]
        return {
            "t": t + 1,
            "finished": silent | (token == setting.end) | (t + 1 >= lengths),
            "scores": carry["scores"] + ops.where(finished, 0.0, gain),
            "tokens": write(carry["tokens"], t, ops.where(silent, setting.padding, token)),
            "alignments": [write(past, t, now) for past, now in _pairs(carry["alignments"], alignment)],
            **more,
            **following,
        }

    nothing = -1 if setting.constraints else setting.padding
    first = {
        "t": ops.convert_to_tensor(0, "int32"),
        "finished": zeros > 1,
        "scores": zeros,
        "tokens": ops.full((setting.time, ops.shape(start)[0]), nothing, dtype="int32"),
        "alignments": [ops.zeros((setting.time, *ops.shape(a)), dtype="float32") for a in said["alignment"]],
        **({"before": states} if setting.return_states else {}),
        **said,
    }
    last = until_finished(step, first, setting.time)
    tokens = ops.transpose(last["tokens"])
    tokens = ops.where(ops.arange(setting.time) < last["t"], tokens, setting.padding)
    alignments = [ops.swapaxes(a, 0, 1) for a in last["alignments"]] or [None]
    return tokens, minus_infinity_if_impossible(last["scores"]), *alignments, last.get("before")


def _pairs(one, other):
    return zip(one, other, strict=True)


def where_rows(condition: Tensor, one: Tensor, other: Tensor) -> Tensor:
    """Returns the rows of `one` where a condition `(rows,)` holds, and those of `other` elsewhere."""
    return ops.where(ops.reshape(condition, (-1, *[1] * (len(one.shape) - 1))), one, other)


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

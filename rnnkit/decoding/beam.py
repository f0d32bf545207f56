"""Beam search: the best few beginnings at each step."""

import numbers
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from keras import ops

from rnnkit import backend
from rnnkit.annotations import Tensor, Tensors
from rnnkit.arguments import check_positive_integer
from rnnkit.decoding.arguments import check_arguments
from rnnkit.decoding.constraints import Constrain
from rnnkit.decoding.search import Decoded, next_step, run, scores_of, until_finished, where_rows, write
from rnnkit.ops.scores import IMPOSSIBLE


def beam_search(
    decoder: Any,
    states: Tensors,
    start: int | Tensor,
    end: int | None,
    max_length: int | Tensor,
    width: int = 5,
    length_penalty: float = 0.0,
    coverage_penalty: float = 0.0,
    n_best: int = 1,
    padding: int = 0,
    *,
    groups: int = 1,
    diversity: float = 0.5,
    prefix: Any = None,
    forbidden: Iterable[int] = (),
    min_length: int = 0,
    no_repeat: int = 0,
    repetition_penalty: float = 1.0,
    constrain: Constrain | Sequence[Constrain] | None = None,
    return_states: bool = False,
) -> Decoded:
    """Decodes with the best `width` beginnings, the beams, at each step.

    Each beam is tried with each token as the next one, and the best `width` of all these survive, with their states. A
    finished beam stays in the race as it is. With Y, the tokens so far, the score that decides is

        ln p(Y) / ((5 + |Y|) / 6) ** length_penalty + coverage_penalty * sum over s of ln min(1, sum over t of alpha_ts)

    All steps are one compiled loop, which stops when all beams have ended.

    Args:
        decoder: what is decoded; see `greedy_search`.
        states: the first states, each with the batch as its first axis: for a `Decoder` its `initial_state`, where None
            means zeros, with as many rows as `start` has.
        start: token number that comes before the first token, or an integer array `(batch,)`.
        end: token number that ends a sequence; None if there is none.
        max_length: how many tokens at most, or an integer array `(batch,)`.
        width: how many beams; 1 is greedy search. Defaults to `5`.
        length_penalty: 0 prefers short sequences, as each token makes a sequence less likely; 1 divides by the length.
            Defaults to `0.0`.
        coverage_penalty: how much it costs to leave positions of the memory without attention; needs alignments.
            Defaults to `0.0`.
        n_best: how many of the beams to return. Defaults to `1`.
        groups: into how many groups the beams are divided, each of which searches by itself. Defaults to `1`.
        diversity: how much it costs a group to say at some step what groups before it said there. It decides what
            survives, and is not in the scores. Defaults to `0.5`.
        padding: token number after the end, as in `greedy_search`. Defaults to `0`.
        prefix: tokens that each row begins with, as in `greedy_search`. Defaults to `None`.
        forbidden: token numbers that are never said. Defaults to `()`.
        min_length: how many tokens come before the `end` at least. Defaults to `0`.
        no_repeat: length of the sequences of tokens that a row says at most once. Defaults to `0`: no limit.
        repetition_penalty: makes tokens said before less likely, as in `greedy_search`. Defaults to `1.0`.
        constrain: functions that forbid tokens, as in `greedy_search`. Defaults to `None`.
        return_states: whether to return states to go on from. Defaults to `False`.

    What a constraint changes in the logits of allowed tokens counts in the scores. A beam that cannot go on dies, and
    the others go on. Places without a sequence are empty: padding, with a score of minus infinity. If no beam of a row
    can go on, the first place has the tokens up to there.

    Returns:
        `Decoded`: tokens `(batch, n_best, max_length)`, scores `(batch, n_best)`, alignments `(batch, n_best,
        max_length, memory_time)` or None, states `(batch, n_best, ...)` or None; the best first.

    Raises:
        ValueError: n_best is more than width; width is no multiple of groups; a penalty is negative, or there are no
            alignments for coverage_penalty; or as `greedy_search`.

    Example:

    >>> import keras, numpy as np, rnnkit.decoding, rnnkit.layers
    >>> cell, head = rnnkit.layers.GRUCell(8), keras.layers.Dense(20)
    >>> decoder = rnnkit.layers.Decoder(keras.layers.Embedding(20, 4), cell, head)
    >>> _ = decoder(np.array([[1]]))  # builds it
    >>> states = [np.zeros((3, 8), "float32")]
    >>> found = rnnkit.decoding.beam_search(decoder, states, start=1, end=2, max_length=6, width=4, n_best=2)
    >>> found.tokens.shape, found.scores.shape
    ((3, 2, 6), (3, 2))

    References:
        Wu et al., "Google's neural machine translation system", 2016, section 7 (both penalties); Vijayakumar et al.,
        "Diverse beam search", 2018 (groups).
    """
    width = check_positive_integer("beam_search", "width", width)
    n_best = check_positive_integer("beam_search", "n_best", n_best)
    if n_best > width:
        raise ValueError(f"beam_search expected n_best of at most width={width} beams, received {n_best}.")
    groups = check_positive_integer("beam_search", "groups", groups)
    if width % groups:
        raise ValueError(f"beam_search expected width={width} to be a multiple of groups, received groups={groups}.")
    penalties = {"length_penalty": length_penalty, "coverage_penalty": coverage_penalty, "diversity": diversity}
    for name, penalty in penalties.items():
        if not isinstance(penalty, numbers.Real) or isinstance(penalty, bool) or not 0 <= penalty < np.inf:
            raise ValueError(f"beam_search expected {name} to be a number of 0 or more, received {penalty!r}.")
    arguments = check_arguments(
        "beam_search",
        decoder,
        states,
        start,
        end,
        max_length,
        padding,
        prefix,
        return_states,
        forbidden=forbidden,
        min_length=min_length,
        no_repeat=no_repeat,
        repetition_penalty=repetition_penalty,
        constrain=constrain,
    )
    diversity = float(diversity) if groups > 1 else 0.0
    return run(
        _search, arguments, _Options(width, n_best, float(length_penalty), float(coverage_penalty), groups, diversity)
    )


class _Options(NamedTuple):
    """What makes another program of a beam search."""

    width: int
    n_best: int
    length_penalty: float
    coverage_penalty: float
    groups: int
    diversity: float


def _search(steps, setting, states, start, lengths, forced):
    width = setting.options.width
    states, constants = ([ops.repeat(x, width, axis=0) for x in tensors] for tensors in steps.prepare(states))
    said = next_step(steps, ops.repeat(start, width), states, constants)
    if setting.options.coverage_penalty and not said["alignment"]:
        raise ValueError(
            f"beam_search expected alignments for coverage_penalty={setting.options.coverage_penalty}, but the decoder "
            "returns none."
        )
    mask = steps.source_mask(constants)
    forced = ops.repeat(forced, width, axis=0)

    def step(carry):
        carry = _attend(carry)
        candidates = _expand(carry, forced, setting)
        scores, best = _select(_score(candidates, carry, mask, setting.options), setting.options)
        carry, tokens = _gather(carry, candidates, scores, best, setting)
        t, finished = carry["t"], carry["finished"]
        read = ops.reshape(ops.maximum(tokens, 0), (-1,))
        return {
            **carry,
            "t": t + 1,
            "finished": finished | (tokens == setting.end) | (t + 1 >= lengths)[:, None],
            **_following(steps, read, carry, constants, setting),
        }

    last = until_finished(step, _first_beams(said, states, setting, ops.shape(start)[0]), setting.time)
    return _follow_back(last, setting)


def _following(steps, tokens, carry, constants, setting):
    """The next step of all beams. States to go on from are those before the last token, which a finished beam keeps."""
    following = next_step(steps, tokens, carry["states"], constants)
    if not setting.return_states:
        return following
    finished, done = ops.reshape(carry["finished"], (-1,)), zip(carry["states"], following["states"], strict=True)
    following["states"] = [where_rows(finished, old, new) for old, new in done]
    before = zip(carry["before"], carry["states"], strict=True)
    return {**following, "before": [where_rows(finished, old, new) for old, new in before]}


def _first_beams(said, states, setting, batch):
    """The carry before the first token. Its tensors are `(batch, width)`, those of the decoder `(batch * width, ...)`.

    All beams of a group are equal here, so that only the first one of each group is possible.
    """
    width, groups = setting.options.width, setting.options.groups
    log_p = ops.zeros((batch, 1)) + ops.where(ops.arange(width) % (width // groups) == 0, 0.0, IMPOSSIBLE)
    places = (setting.time, batch, width)
    return {
        "t": ops.convert_to_tensor(0, "int32"),
        "finished": log_p < IMPOSSIBLE * 2,
        "length": ops.zeros_like(log_p),
        "log_p": log_p,
        "scores": log_p,
        "coverage": [ops.zeros_like(a) for a in said["alignment"]],
        "tokens": ops.full(places, setting.padding, dtype="int32"),
        "parents": ops.broadcast_to(ops.arange(width, dtype="int32"), places),
        "alignments": [ops.zeros((*places, ops.shape(a)[-1])) for a in said["alignment"]],
        **({"history": ops.full((batch * width, setting.time), -1, dtype="int32")} if setting.constraints else {}),
        **({"before": states} if setting.return_states else {}),
        **said,
    }


def _attend(carry):
    """Adds the alignment of this step to the coverage, and the step to the length, of beams that are not finished."""
    lives = ops.cast(ops.logical_not(carry["finished"]), "float32")
    alignment = [now * ops.reshape(lives, (-1, 1)) for now in carry["alignment"]]
    coverage = [past + now for past, now in zip(carry["coverage"], alignment, strict=True)]
    return {**carry, "alignment": alignment, "coverage": coverage, "length": carry["length"] + lives}


def _expand(carry, forced, setting):
    """ln p of each beam with each token as the next one, `(batch, width, vocabulary)`.

    Finished beams take padding: token 0, if there is none, which is not written.
    """
    _, scores = scores_of(carry["logits"], carry.get("history"), carry["t"], forced, setting)
    scores = _by_beam(scores, carry)
    only_padding = ops.where(ops.arange(scores.shape[-1]) == max(setting.padding, 0), 0.0, IMPOSSIBLE)
    return carry["log_p"][..., None] + ops.where(carry["finished"][..., None], only_padding, scores)


def _score(candidates, carry, mask, options):
    """The score that decides, of each candidate: its ln p with both penalties."""
    scores = candidates / (((5.0 + carry["length"]) / 6.0) ** options.length_penalty)[..., None]
    if options.coverage_penalty:
        (coverage,) = carry["coverage"]
        covered = ops.log(ops.clip(coverage, 1e-10, 1.0))
        covered = ops.sum(covered if mask is None else ops.where(mask, covered, 0.0), axis=-1)
        scores = scores + options.coverage_penalty * _by_beam(covered, carry)[..., None]
    order = ops.arange(1.0, 1.0 + candidates.shape[1])[:, None]  # where none is possible, the best beam so far is first
    return ops.where(candidates > IMPOSSIBLE / 2, scores, IMPOSSIBLE * order)


def _select(scores, options):
    """The best scores of each row, and their numbers among the candidates of the row: both `(batch, width)`.

    Each group of beams is selected by itself. What groups before it say costs `diversity` for each beam that says it.
    """
    batch, width, vocabulary = ops.shape(scores)
    size, found, chosen, said = width // options.groups, [], [], 0.0
    for group in range(options.groups):
        first = group * size
        own = scores[:, first : first + size]
        ranked, best = ops.top_k(_in_rows(own - options.diversity * said if group else own), size)
        best = ops.cast(best, "int32")
        found.append(ops.take_along_axis(_in_rows(own), best, axis=-1) if group else ranked)
        chosen.append(best + first * vocabulary)
        if options.diversity:
            said = said + ops.sum(ops.one_hot(best % vocabulary, vocabulary, dtype="float32"), axis=1, keepdims=True)
    return (found[0], chosen[0]) if options.groups == 1 else (ops.concatenate(x, axis=1) for x in (found, chosen))


def _gather(carry, candidates, scores, best, setting):
    """The carry of the selected candidates, and their last tokens `(batch, width)`."""
    batch, width, vocabulary = ops.shape(candidates)
    parents, tokens = best // vocabulary, best % vocabulary
    flat = ops.reshape(ops.arange(batch)[:, None] * width + parents, (-1,))

    def of_parents(tensors):
        return [ops.take(tensor, flat, axis=0) for tensor in tensors]

    finished = ops.take_along_axis(carry["finished"], parents, axis=-1)
    log_p = ops.take_along_axis(_in_rows(candidates), best, axis=-1)
    finished = ops.logical_or(finished, log_p < IMPOSSIBLE / 2)
    tokens = ops.where(finished, setting.padding, tokens)
    alignments = zip(carry["alignments"], carry["alignment"], strict=True)
    selected = {
        "finished": finished,
        "length": ops.take_along_axis(carry["length"], parents, axis=-1),
        "log_p": log_p,
        "scores": scores,
        "coverage": of_parents(carry["coverage"]),
        "states": of_parents(carry["states"]),
        "tokens": write(carry["tokens"], carry["t"], tokens),
        "parents": write(carry["parents"], carry["t"], parents),
        "alignments": [write(past, carry["t"], _by_beam(now, carry)) for past, now in alignments],
    }
    if "history" in carry:
        history = ops.transpose(of_parents([carry["history"]])[0])
        said = ops.where(finished, -1, tokens)
        selected["history"] = ops.transpose(write(history, carry["t"], ops.reshape(said, (-1,))))
    if "before" in carry:
        selected["before"] = of_parents(carry["before"])
    return {**carry, **selected}, tokens


def _by_beam(tensor, carry):
    """`(batch * width, ...)` as `(batch, width, ...)`."""
    return ops.reshape(tensor, (*ops.shape(carry["finished"]), *ops.shape(tensor)[1:]))


def _in_rows(tensor):
    """`(batch, width, vocabulary)` as `(batch, width * vocabulary)`."""
    batch, width, vocabulary = ops.shape(tensor)
    return ops.reshape(tensor, (batch, width * vocabulary))


def _follow_back(last, setting):
    """What a `Decoded` of the best beams holds: from their last tokens back to the first."""
    n_best, scores = setting.options.n_best, last["scores"]
    possible = last["log_p"] > IMPOSSIBLE / 2
    if setting.options.groups > 1:
        scores, order = ops.top_k(scores, n_best)
        best = ops.cast(order, "int32")
    else:
        scores, best = (
            scores[:, :n_best],
            ops.broadcast_to(ops.arange(n_best, dtype="int32"), (*ops.shape(scores)[:1], n_best)),
        )

    def back(beams, inputs):
        tokens, parents, *alignments = inputs
        before = ops.take_along_axis(parents, beams, axis=1)  # those that looked for the token that the beams say
        attended = [ops.take_along_axis(a, before[..., None], axis=1) for a in alignments]
        return before, [ops.take_along_axis(tokens, beams, axis=1), *attended]

    each = [last["tokens"], last["parents"], *last["alignments"]]
    like = [ops.zeros_like(best), *(ops.zeros_like(a[0, :, :n_best]) for a in last["alignments"])]
    (tokens, *alignments), _ = backend.scan(back, best, [ops.flip(x, axis=0) for x in each], like)
    tokens, *alignments = (ops.moveaxis(ops.flip(x, axis=0), 0, 2) for x in (tokens, *alignments))
    possible = ops.take_along_axis(possible, best, axis=1)
    scores = ops.where(possible, scores, -np.inf)
    # A row in which no beam could go on says in its first place how far it came. All other places are empty.
    stuck = ops.logical_and(ops.logical_not(ops.any(possible, axis=1, keepdims=True)), ops.arange(n_best) == 0)
    filled = ops.logical_or(possible, stuck)[..., None]
    tokens = ops.where(filled, tokens, setting.padding)
    alignments = [ops.where(filled[..., None], a, 0.0) for a in alignments] or [None]
    states = None
    if setting.return_states:
        rows = ops.arange(ops.shape(best)[0], dtype="int32")[:, None] * setting.options.width
        states = [ops.take(state, rows + best, axis=0) for state in last["before"]]
    return tokens, scores, *alignments, states

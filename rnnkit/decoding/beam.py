"""Beam search: the best few beginnings at each step."""

import numbers
from typing import Any, NamedTuple

import numpy as np
from keras import ops

from rnnkit.annotations import Tensor, Tensors
from rnnkit.arguments import check_positive_integer
from rnnkit.decoding.arguments import check_arguments, check_at_most_vocabulary
from rnnkit.decoding.search import Decoded, next_step, run, until_finished, write
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
        width: how many beams, at most as many as there are tokens; 1 is greedy search. Defaults to `5`.
        length_penalty: 0 prefers short sequences, as each token makes a sequence less likely; 1 divides by the length.
            Defaults to `0.0`.
        coverage_penalty: how much it costs to leave positions of the memory without attention; needs alignments.
            Defaults to `0.0`.
        n_best: how many of the beams to return. Defaults to `1`.
        padding: token number after the end. Defaults to `0`.

    Returns:
        `Decoded`: tokens `(batch, n_best, max_length)`, scores `(batch, n_best)`, alignments `(batch, n_best,
        max_length, memory_time)` or None; the best first.

    Raises:
        ValueError: width is more than the vocabulary or n_best more than width; a penalty is negative, or there are no
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
        Wu et al., "Google's neural machine translation system", 2016, section 7 (both penalties).
    """
    width = check_positive_integer("beam_search", "width", width)
    n_best = check_positive_integer("beam_search", "n_best", n_best)
    if n_best > width:
        raise ValueError(f"beam_search expected n_best of at most width={width} beams, received {n_best}.")
    for name, penalty in (("length_penalty", length_penalty), ("coverage_penalty", coverage_penalty)):
        if not isinstance(penalty, numbers.Real) or isinstance(penalty, bool) or not 0 <= penalty < np.inf:
            raise ValueError(f"beam_search expected {name} to be a number of 0 or more, received {penalty!r}.")
    arguments = check_arguments("beam_search", decoder, states, start, end, max_length, padding)
    check_at_most_vocabulary("beam_search", "width", width, arguments.steps.vocabulary)
    options = _Options(width, float(length_penalty), float(coverage_penalty))
    last, each = run(_search, arguments, options)
    return _follow_back(last, each, n_best, padding)


class _Options(NamedTuple):
    """What makes another program of a beam search."""

    width: int
    length_penalty: float
    coverage_penalty: float


def _search(steps, setting, states, start, lengths):
    """The number of steps and scores `(batch, width)`; and for each step the tokens, the beams that they continue
    `(time, batch, width)`, and a list of no or one alignments of these beams `(time, batch, width, memory_time)`."""
    width = setting.options.width
    states, constants = ([ops.repeat(x, width, axis=0) for x in tensors] for tensors in steps.prepare(states))
    said = next_step(steps, ops.repeat(start, width), states, constants)
    if setting.options.coverage_penalty and not said["alignment"]:
        raise ValueError(
            f"beam_search expected alignments for coverage_penalty={setting.options.coverage_penalty}, but the decoder "
            "returns none."
        )
    mask = steps.source_mask(constants)

    def step(carry):
        carry = _attend(carry)
        candidates = _expand(carry, setting)
        scores, best = _select(_score(candidates, carry, mask, setting.options), width)
        carry, tokens = _gather(carry, candidates, scores, best)
        t, finished = carry["t"], carry["finished"]
        return {
            **carry,
            "t": t + 1,
            "finished": finished | (tokens == setting.end) | (t + 1 >= lengths)[:, None],
            **next_step(steps, ops.reshape(tokens, (-1,)), carry["states"], constants),
        }

    last = until_finished(step, _first_beams(said, setting, ops.shape(start)[0]), setting.time)
    return (last["t"], last["scores"]), (last["tokens"], last["parents"], last["alignments"])


def _first_beams(said, setting, batch):
    """The carry before the first token. Its tensors are `(batch, width)`, those of the decoder `(batch * width, ...)`.

    All beams are equal here, so that only the first one of each row is possible.
    """
    width = setting.options.width
    log_p = ops.zeros((batch, 1)) + ops.where(ops.arange(width) == 0, 0.0, IMPOSSIBLE)
    places = (setting.time, batch, width)
    return {
        "t": ops.convert_to_tensor(0, "int32"),
        "finished": log_p > 1,
        "length": ops.zeros_like(log_p),
        "log_p": log_p,
        "scores": log_p,
        "coverage": [ops.zeros_like(a) for a in said["alignment"]],
        "tokens": ops.full(places, setting.padding, dtype="int32"),
        "parents": ops.zeros(places, dtype="int32"),
        "alignments": [ops.zeros((*places, ops.shape(a)[-1])) for a in said["alignment"]],
        **said,
    }


def _attend(carry):
    """Adds the alignment of this step to the coverage, and the step to the length, of beams that are not finished."""
    lives = ops.cast(ops.logical_not(carry["finished"]), "float32")
    alignment = [now * ops.reshape(lives, (-1, 1)) for now in carry["alignment"]]
    coverage = [past + now for past, now in zip(carry["coverage"], alignment, strict=True)]
    return {**carry, "alignment": alignment, "coverage": coverage, "length": carry["length"] + lives}


def _expand(carry, setting):
    """ln p of each beam with each token as the next one, `(batch, width, vocabulary)`; finished beams take padding."""
    log_p = _by_beam(ops.log_softmax(carry["logits"], axis=-1), carry)
    only_padding = ops.where(ops.arange(log_p.shape[-1]) == setting.padding, 0.0, IMPOSSIBLE)
    return carry["log_p"][..., None] + ops.where(carry["finished"][..., None], only_padding, log_p)


def _score(candidates, carry, mask, options):
    """The score that decides, of each candidate: its ln p with both penalties."""
    scores = candidates / (((5.0 + carry["length"]) / 6.0) ** options.length_penalty)[..., None]
    if options.coverage_penalty:
        (coverage,) = carry["coverage"]
        covered = ops.log(ops.clip(coverage, 1e-10, 1.0))
        covered = ops.sum(covered if mask is None else ops.where(mask, covered, 0.0), axis=-1)
        scores = scores + options.coverage_penalty * _by_beam(covered, carry)[..., None]
    return scores


def _select(scores, width):
    """The best scores of each row, and their numbers among the candidates of the row: both `(batch, width)`."""
    scores, best = ops.top_k(_in_rows(scores), width)
    return scores, ops.cast(best, "int32")


def _gather(carry, candidates, scores, best):
    """The carry of the selected candidates, and their last tokens `(batch, width)`."""
    batch, width, vocabulary = ops.shape(candidates)
    parents, tokens = best // vocabulary, best % vocabulary
    flat = ops.reshape(ops.arange(batch)[:, None] * width + parents, (-1,))

    def of_parents(tensors):
        return [ops.take(tensor, flat, axis=0) for tensor in tensors]

    alignments = zip(carry["alignments"], carry["alignment"], strict=True)
    selected = {
        "finished": ops.take_along_axis(carry["finished"], parents, axis=-1),
        "length": ops.take_along_axis(carry["length"], parents, axis=-1),
        "log_p": ops.take_along_axis(_in_rows(candidates), best, axis=-1),
        "scores": scores,
        "coverage": of_parents(carry["coverage"]),
        "states": of_parents(carry["states"]),
        "tokens": write(carry["tokens"], carry["t"], tokens),
        "parents": write(carry["parents"], carry["t"], parents),
        "alignments": [write(past, carry["t"], _by_beam(now, carry)) for past, now in alignments],
    }
    return {**carry, **selected}, tokens


def _by_beam(tensor, carry):
    """`(batch * width, ...)` as `(batch, width, ...)`."""
    return ops.reshape(tensor, (*ops.shape(carry["finished"]), *ops.shape(tensor)[1:]))


def _in_rows(tensor):
    """`(batch, width, vocabulary)` as `(batch, width * vocabulary)`."""
    batch, width, vocabulary = ops.shape(tensor)
    return ops.reshape(tensor, (batch, width * vocabulary))


def _follow_back(last, each, n_best, padding):
    """The `Decoded` of the best beams: from their last tokens back to the first."""
    (steps, scores), (tokens, parents, alignments) = last, each
    _, batch, _ = tokens.shape
    rows, beams = np.arange(batch)[:, None], np.tile(np.arange(n_best), (batch, 1))
    found = np.full((len(tokens), batch, n_best), padding, tokens.dtype)
    attended = [np.zeros((len(a), batch, n_best, a.shape[-1]), a.dtype) for a in alignments]
    for t in reversed(range(int(steps))):
        found[t] = tokens[t, rows, beams]
        beams = parents[t, rows, beams]
        for to, from_ in zip(attended, alignments, strict=True):
            to[t] = from_[t, rows, beams]
    alignments = [np.moveaxis(a, 0, 2) for a in attended] or [None]
    return Decoded(np.moveaxis(found, 0, 2), scores[:, :n_best], *alignments)

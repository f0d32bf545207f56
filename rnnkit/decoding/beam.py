"""Beam search: the best few beginnings at each step."""

import numbers

import numpy as np
from keras import ops

from rnnkit.arguments import check_positive_integer
from rnnkit.decoding.decoded import Decoded
from rnnkit.decoding.greedy import next_step, write
from rnnkit.decoding.search import run

NEVER = -1e30  # a score that nothing is worse than; minus infinity would become NaN when multiplied


def beam_search(
    decoder,
    states,
    start,
    end,
    max_length,
    width=5,
    length_penalty=0.0,
    coverage_penalty=0.0,
    n_best=1,
    padding=0,
):
    """Decodes with the best `width` beginnings, the beams, at each step.

    Each beam is tried with each token as the next one, and the best `width` of all these live on, with their states. A
    finished beam stays in the race as it is. The score that decides, Y the tokens so far, is

        ln p(Y) / ((5 + |Y|) / 6) ** length_penalty + coverage_penalty * sum over s of ln min(1, sum over t of alpha_ts)

    All steps are one compiled loop, which ends when all beams have ended.

    Args:
        decoder: what is decoded; see `greedy_search`.
        states: the first states, each with the batch as its first axis: for a `Decoder` its `initial_state`, where None
            means zeros, with as many rows as `start` has.
        start: token number that comes before the first token, or an integer array `(batch,)`.
        end: token number that ends a sequence; None where nothing does.
        max_length: tokens at most, or an integer array `(batch,)`.
        width: beams, at most as many as there are tokens; 1 is greedy search.
        length_penalty: 0 prefers short sequences, as each token makes a sequence less likely; 1 divides by the length.
        coverage_penalty: how much it costs to leave positions of the memory without attention; needs alignments.
        n_best: how many of the beams to return.
        padding: token number that stands behind the end.

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
    settings = (width, float(length_penalty), float(coverage_penalty))
    results = run("beam_search", _search, decoder, states, start, end, max_length, padding, settings, width=width)
    return _followed_back(*results, n_best, padding)


def _search(steps, setting, states, start, lengths):
    """The number of steps and scores `(batch, width)`; and of each step the tokens, the beams that they go on from
    `(time, batch, width)`, and a list of no or one alignments of these beams `(time, batch, width, memory_time)`."""
    time, end, padding, width, length_penalty, coverage_penalty = setting
    changing, constants = steps.prepare(states)
    batch = ops.shape(start)[0]
    rows = ops.arange(batch)[:, None] * width

    def repeated(tensors):
        return [ops.repeat(tensor, width, axis=0) for tensor in tensors]

    def beams(tensor):
        """`(batch * width, ...)` as `(batch, width, ...)`."""
        return ops.reshape(tensor, (batch, width, *ops.shape(tensor)[1:]))

    def chosen(tensors, places):
        return [ops.take(tensor, places, axis=0) for tensor in tensors]

    changing, constants = repeated(changing), repeated(constants)
    logits, changing, alignment = next_step(steps, ops.repeat(start, width), changing, constants)
    vocabulary = logits.shape[-1]
    mask = steps.source_mask(constants)
    if coverage_penalty and not alignment:
        raise ValueError(
            f"beam_search expected alignments for coverage_penalty={coverage_penalty}, but the decoder returns none."
        )
    source = [ops.ones_like(a, dtype="bool") if mask is None else mask for a in alignment]
    only_padding = ops.where(ops.arange(vocabulary) == padding, 0.0, NEVER)
    is_first = ops.cast(ops.arange(width) == 0, "float32")
    log_p = ops.zeros((batch, 1)) + ops.where(is_first > 0, 0.0, NEVER)  # all beams are equal: one is enough
    places = (time, batch, width)
    tokens, parents = ops.full(places, padding, dtype="int32"), ops.zeros(places, dtype="int32")
    alignments = [ops.zeros((time, batch, width, ops.shape(a)[-1])) for a in alignment]
    coverage = [ops.zeros_like(a) for a in alignment]

    def cond(t, finished, *_):
        return ops.logical_and(t < time, ops.logical_not(ops.all(finished)))

    def body(t, finished, length, log_p, _, coverage, tokens, parents, alignments, logits, alignment, changing):
        counts = ops.cast(ops.logical_not(finished), "float32")
        alignment = [a * ops.reshape(counts, (-1, 1)) for a in alignment]
        coverage = [past + now for past, now in zip(coverage, alignment, strict=True)]
        gains = ops.where(finished[..., None], only_padding, beams(ops.log_softmax(logits, axis=-1)))
        candidates = log_p[..., None] + gains
        length = length + counts
        ranked = candidates / (((5.0 + length) / 6.0) ** length_penalty)[..., None]
        if coverage_penalty:
            covered = ops.log(ops.clip(coverage[0], 1e-10, 1.0))
            covered = ops.sum(ops.where(source[0], covered, 0.0), axis=-1)
            ranked = ranked + coverage_penalty * beams(covered)[..., None]
        scores, best = ops.top_k(ops.reshape(ranked, (batch, width * vocabulary)), width)
        best = ops.cast(best, "int32")
        parent, token = best // vocabulary, best % vocabulary
        log_p = ops.take_along_axis(ops.reshape(candidates, (batch, width * vocabulary)), best, axis=-1)
        finished, length = (ops.take_along_axis(x, parent, axis=-1) for x in (finished, length))
        finished = ops.logical_or(finished, ops.logical_or(token == end, (t + 1 >= lengths)[:, None]))
        from_rows = ops.reshape(rows + parent, (-1,))
        changing, coverage = chosen(changing, from_rows), chosen(coverage, from_rows)
        tokens, parents = write(tokens, t, token), write(parents, t, parent)
        alignments = [write(past, t, beams(now)) for past, now in zip(alignments, alignment, strict=True)]
        logits, changing, alignment = next_step(steps, ops.reshape(token, (-1,)), changing, constants)
        return (
            t + 1,
            finished,
            length,
            log_p,
            scores,
            coverage,
            tokens,
            parents,
            alignments,
            logits,
            alignment,
            changing,
        )

    first = (ops.convert_to_tensor(0, "int32"), log_p > 1, ops.zeros_like(log_p), log_p, log_p, coverage)
    first = (*first, tokens, parents, alignments, logits, alignment, changing)
    t, _, _, _, scores, _, tokens, parents, alignments, *_ = ops.while_loop(cond, body, first)
    return (t, scores), (tokens, parents, alignments)


def _followed_back(last, each, n_best, padding):
    """From the last beams back to the first tokens."""
    (steps, scores), (tokens, parents, alignments) = last, each
    _, batch, _ = tokens.shape
    rows, beams = np.arange(batch)[:, None], np.tile(np.arange(n_best), (batch, 1))
    found = np.full((len(tokens), batch, n_best), padding, tokens.dtype)
    looked = [np.zeros((len(a), batch, n_best, a.shape[-1]), a.dtype) for a in alignments]
    for t in reversed(range(int(steps))):
        found[t] = tokens[t, rows, beams]
        beams = parents[t, rows, beams]
        for to, from_ in zip(looked, alignments, strict=True):
            to[t] = from_[t, rows, beams]
    alignments = [np.moveaxis(a, 0, 2) for a in looked] or [None]
    return Decoded(np.moveaxis(found, 0, 2), scores[:, :n_best], *alignments)

"""Greedy search: the most likely token at each step; and the loop that it shares with sampling."""

from keras import ops

from rnnkit.decoding.decoded import Decoded
from rnnkit.decoding.search import run


def greedy_search(decoder, states, start, end, max_length, padding=0):
    """Decodes with the most likely token at each step.

    All steps are one compiled loop, which ends when all rows have ended.

    Args:
        decoder: a `rnnkit.layers.Decoder`; a Keras model from `[tokens, *states]` to `[logits, *states]`, or to
            `[logits, *states, alignment]`, for tokens `(batch,)` or `(batch, 1)`; or a function `step(tokens, states)`
            that returns `(logits, states)` or `(logits, states, alignment)`. Logits, not probabilities. A program is
            kept for the next call, but for a function, which is compiled in each.
        states: the first states, each with the batch as its first axis: for a `Decoder` its `initial_state`, where None
            means zeros, with as many rows as `start` has.
        start: token number that comes before the first token, or an integer array `(batch,)`.
        end: token number that ends a sequence; None where nothing does.
        max_length: tokens at most, or an integer array `(batch,)`.
        padding: token number that stands behind the end.

    Returns:
        `Decoded`: tokens `(batch, max_length)`, scores `(batch,)`, alignments `(batch, max_length, memory_time)` or
        None.

    Raises:
        ValueError: there are no such tokens, states of another number or shape, nothing to look at; max_length is not
            positive; the decoder is none, or its head ends with a softmax.

    Example:

    >>> import keras, numpy as np, rnnkit.decoding, rnnkit.layers
    >>> cell, head = rnnkit.layers.GRUCell(8), keras.layers.Dense(20)
    >>> decoder = rnnkit.layers.Decoder(keras.layers.Embedding(20, 4), cell, head)
    >>> _ = decoder(np.array([[1]]))  # builds it
    >>> found = rnnkit.decoding.greedy_search(decoder, [np.zeros((3, 8), "float32")], start=1, end=2, max_length=5)
    >>> found.tokens.shape, found.scores.shape
    ((3, 5), (3,))
    """
    return Decoded.of(run("greedy_search", _search, decoder, states, start, end, max_length, padding))


def _search(steps, setting, states, start, lengths):
    return decode_loop(steps, setting, states, start, lengths, lambda log_p, t: ops.argmax(log_p, axis=-1))


def decode_loop(steps, setting, states, start, lengths, choose):
    """The loop over time: `choose(log_p, t)` takes a token `(batch,)` for each row of ln p `(batch, vocabulary)`.

    Returns:
        Scores `(batch,)`; and of each step tokens `(time, batch)` and a list of no or one alignments `(time, batch,
        memory_time)`.
    """
    time, end, padding, *_ = setting
    changing, constants = steps.prepare(states)
    logits, changing, alignment = next_step(steps, start, changing, constants)
    zeros = ops.zeros_like(logits[:, 0])
    tokens = ops.full((time, ops.shape(start)[0]), padding, dtype="int32")
    alignments = [ops.zeros((time, *ops.shape(a)), dtype="float32") for a in alignment]

    def cond(t, finished, *_):
        return ops.logical_and(t < time, ops.logical_not(ops.all(finished)))

    def body(t, finished, scores, tokens, alignments, logits, alignment, changing):
        log_p = ops.log_softmax(logits, axis=-1)
        token = ops.cast(choose(log_p, t), "int32")
        gain = ops.squeeze(ops.take_along_axis(log_p, token[:, None], axis=-1), axis=-1)
        scores = scores + ops.where(finished, 0.0, gain)
        token = ops.where(finished, padding, token)
        tokens = write(tokens, t, token)
        counts = ops.cast(ops.logical_not(finished), "float32")[:, None]
        alignments = [write(past, t, counts * now) for past, now in zip(alignments, alignment, strict=True)]
        finished = ops.logical_or(finished, ops.logical_or(token == end, t + 1 >= lengths))
        logits, changing, alignment = next_step(steps, token, changing, constants)
        return t + 1, finished, scores, tokens, alignments, logits, alignment, changing

    first = (ops.convert_to_tensor(0, "int32"), zeros > 1, zeros, tokens, alignments, logits, alignment, changing)
    _, _, scores, tokens, alignments, *_ = ops.while_loop(cond, body, first)
    return scores, (tokens, alignments)


def next_step(steps, tokens, changing, constants):
    """A step whose states keep their types and whose logits and alignment are float32, as loops want them."""
    logits, new, alignment = steps.step(tokens, changing, constants)
    new = [ops.cast(state, old.dtype) for state, old in zip(new, changing, strict=True)]
    return ops.cast(logits, "float32"), new, [ops.cast(a, "float32") for a in alignment]


def write(past, t, now):
    """`past` `(time, ...)` with `now` at step t."""
    return ops.scatter_update(past, ops.reshape(t, (1, 1)), now[None])

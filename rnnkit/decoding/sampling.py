"""Sampling: a token is drawn at each step."""

import numbers
import random

import numpy as np
from keras import ops

from rnnkit.arguments import check_positive_integer
from rnnkit.decoding.decoded import Decoded
from rnnkit.decoding.greedy import decode_loop
from rnnkit.decoding.search import run


def sample(decoder, states, start, end, max_length, temperature=1.0, top_k=None, top_p=None, seed=None, padding=0):
    """Decodes with a token drawn at random at each step.

    All steps are one compiled loop, which ends when all rows have ended. One row and one seed give the same sequence
    in each call.

    Args:
        decoder: what is decoded; see `greedy_search`.
        states: the first states, each with the batch as its first axis: for a `Decoder` its `initial_state`, where None
            means zeros, with as many rows as `start` has.
        start: token number that comes before the first token, or an integer array `(batch,)`.
        end: token number that ends a sequence; None where nothing does.
        max_length: tokens at most, or an integer array `(batch,)`.
        temperature: what the logits are divided by: below 1 likely tokens become more likely, above 1 less.
        top_k: draw among this many most likely tokens only.
        top_p: draw among the fewest most likely tokens only that have this probability together.
        seed: integer, for the same tokens in each call; if left out, `keras.utils.set_random_seed` counts.
        padding: token number that stands behind the end.

    Returns:
        `Decoded`: tokens `(batch, max_length)`, scores `(batch,)`, alignments `(batch, max_length, memory_time)` or
        None. The scores are those of the decoder as it is, without temperature, top_k and top_p.

    Raises:
        ValueError: temperature is not positive, top_k not a positive integer up to the vocabulary, top_p not in (0, 1];
            or as `greedy_search`.

    Example:

    >>> import keras, numpy as np, rnnkit.decoding, rnnkit.layers
    >>> cell, head = rnnkit.layers.GRUCell(8), keras.layers.Dense(20)
    >>> decoder = rnnkit.layers.Decoder(keras.layers.Embedding(20, 4), cell, head)
    >>> _ = decoder(np.array([[1]]))  # builds it
    >>> states = [np.zeros((3, 8), "float32")]
    >>> drawn = rnnkit.decoding.sample(decoder, states, start=1, end=None, max_length=50, top_k=5, seed=0)
    >>> drawn.tokens.shape
    (3, 50)

    References:
        Holtzman et al., "The curious case of neural text degeneration", 2020 (top_p).
    """
    for name, value, limit in (("temperature", temperature, np.inf), ("top_p", top_p, 1)):
        wrong = not isinstance(value, numbers.Real) or isinstance(value, bool) or not 0 < value <= limit
        if wrong and not (name == "top_p" and value is None):
            upto = "" if limit == np.inf else f" and at most {limit}"
            raise ValueError(f"sample expected {name} to be a number above 0{upto}, received {value!r}.")
    if top_k is not None:
        check_positive_integer("sample", "top_k", top_k)
    rng = np.random.default_rng(random.getrandbits(32) if seed is None else seed)
    arguments = (
        lambda batch, time: rng.random((batch, time), dtype="float32").T,
        lambda batch, time: np.float32(max(temperature, 1e-30)),
        lambda batch, time: np.float32(1 if top_p is None else top_p),
    )
    return Decoded.of(
        run("sample", _search, decoder, states, start, end, max_length, padding, (top_k,), arguments, top_k=top_k)
    )


def _search(steps, setting, states, start, lengths, uniform, temperature, top_p):
    top_k = setting[-1]

    def choose(log_p, t):
        vocabulary = log_p.shape[-1]
        log_p, order = ops.top_k(log_p, min(top_k or vocabulary, vocabulary))  # the most likely first
        p = ops.exp((log_p - log_p[:, :1]) / temperature)  # at most 1, however low the temperature
        p = p / ops.sum(p, axis=-1, keepdims=True)
        until = ops.cumsum(p, axis=-1)
        p = ops.where(until - p < top_p, p, 0.0)
        until = ops.cumsum(p, axis=-1)
        drawn = ops.take(uniform, t, axis=0)[:, None] * until[:, -1:]
        before, allowed = (ops.sum(ops.cast(x, "int32"), axis=-1, keepdims=True) for x in (until <= drawn, p > 0))
        place = ops.minimum(before, allowed - 1)  # however the sums are rounded
        return ops.squeeze(ops.take_along_axis(order, place, axis=-1), axis=-1)

    return decode_loop(steps, setting, states, start, lengths, choose)

"""Sampling: a token is drawn at each step."""

import numbers
import random
from typing import Any

import numpy as np
from keras import ops

from rnnkit.annotations import Tensor, Tensors
from rnnkit.arguments import check_positive_integer
from rnnkit.decoding.arguments import check_arguments, check_at_most_vocabulary
from rnnkit.decoding.search import Decoded, decode_loop, run


def sample(
    decoder: Any,
    states: Tensors,
    start: int | Tensor,
    end: int | None,
    max_length: int | Tensor,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    seed: int | None = None,
    padding: int = 0,
) -> Decoded:
    """Decodes with a token drawn at random at each step.

    All steps are one compiled loop, which stops when all rows have ended. The same rows and the same seed give the same
    sequences in each call.

    Args:
        decoder: what is decoded; see `greedy_search`.
        states: the first states, each with the batch as its first axis: for a `Decoder` its `initial_state`, where None
            means zeros, with as many rows as `start` has.
        start: token number that comes before the first token, or an integer array `(batch,)`.
        end: token number that ends a sequence; None if there is none.
        max_length: how many tokens at most, or an integer array `(batch,)`.
        temperature: what the logits are divided by: below 1, likely tokens become more likely; above 1, less. Defaults
            to `1.0`.
        top_k: draw only among this many most likely tokens. Defaults to `None`: all tokens.
        top_p: draw only among the fewest most likely tokens that together have this probability. Defaults to `None`:
            all tokens.
        seed: integer, for the same tokens in each call. Defaults to `None`, which follows
            `keras.utils.set_random_seed`.
        padding: token number after the end. Defaults to `0`.

    Returns:
        `Decoded`: tokens `(batch, max_length)`, scores `(batch,)`, alignments `(batch, max_length, memory_time)` or
        None. The scores are under the decoder's own probabilities, without temperature, top_k and top_p.

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
            up_to = "" if limit == np.inf else f" and at most {limit}"
            raise ValueError(f"sample expected {name} to be a number above 0{up_to}, received {value!r}.")
    if top_k is not None:
        check_positive_integer("sample", "top_k", top_k)
    arguments = check_arguments("sample", decoder, states, start, end, max_length, padding)
    check_at_most_vocabulary("sample", "top_k", top_k, arguments.steps.vocabulary)
    rng = np.random.default_rng(random.getrandbits(32) if seed is None else seed)
    tensors = [
        rng.random((len(arguments.lengths), arguments.room), dtype="float32").T,
        np.float32(max(temperature, 1e-30)),
        np.float32(1 if top_p is None else top_p),
    ]
    return Decoded.of(run(_search, arguments, (top_k,), tensors))


def _search(steps, setting, states, start, lengths, uniform, temperature, top_p):
    (top_k,) = setting.options

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

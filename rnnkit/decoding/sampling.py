"""Sampling: a token is drawn at each step."""

import numbers
import random
from collections.abc import Iterable, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from rnnkit.annotations import Tensor, Tensors
from rnnkit.arguments import check_positive_integer
from rnnkit.decoding.arguments import check_arguments, check_at_most_vocabulary
from rnnkit.decoding.constraints import Constrain
from rnnkit.decoding.search import Decoded, decode_loop, run
from rnnkit.ops.scores import IMPOSSIBLE


def sample(
    decoder: Any,
    states: Tensors,
    start: int | Tensor,
    end: int | None,
    max_length: int | Tensor,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    seed: int | Sequence[int] | None = None,
    padding: int = 0,
    *,
    prefix: Any = None,
    forbidden: Iterable[int] = (),
    min_length: int = 0,
    no_repeat: int = 0,
    repetition_penalty: float = 1.0,
    constrain: Constrain | Sequence[Constrain] | None = None,
    return_states: bool = False,
) -> Decoded:
    """Decodes with a token drawn at random at each step.

    All steps are one compiled loop, which stops when all rows have ended. A row and a seed always give the same
    sequence, whatever the other rows and `max_length` are. With one seed for all, each row draws numbers of its own.

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
        seed: integer, for the same tokens in each call, or one for each row, for the same tokens in each order of the
            rows. Defaults to `None`, which follows `keras.utils.set_random_seed`.
        padding: token number after the end, as in `greedy_search`. Defaults to `0`.
        prefix: tokens that each row begins with, as in `greedy_search`. Defaults to `None`.
        forbidden: token numbers that are never said. Defaults to `()`.
        min_length: how many tokens come before the `end` at least. Defaults to `0`.
        no_repeat: length of the sequences of tokens that a row says at most once. Defaults to `0`: no limit.
        repetition_penalty: makes tokens said before less likely, as in `greedy_search`. Defaults to `1.0`.
        constrain: functions that forbid tokens, as in `greedy_search`. Defaults to `None`.
        return_states: whether to return states to go on from. Defaults to `False`.

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
    arguments = check_arguments(
        "sample",
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
    check_at_most_vocabulary("sample", "top_k", top_k, arguments.steps.vocabulary)
    tensors = [
        _uniform(seed, arguments),
        np.float32(max(temperature, 1e-30)),
        np.float32(1 if top_p is None else top_p),
    ]
    return run(_search, arguments, (top_k,), tensors)


def _uniform(seed, arguments):
    """A number from 0 to 1 for each row and step, `(batch, room)`. Each row has a generator of its own."""
    if not arguments.is_concrete:
        if not isinstance(seed, numbers.Integral):
            raise ValueError(f"sample expected an integer as seed inside a compiled function, received {seed!r}.")
        return keras.random.uniform((ops.shape(arguments.start)[0], arguments.room), seed=int(seed))
    batch = len(arguments.lengths)
    if seed is None or isinstance(seed, numbers.Integral):
        seeds = [[random.getrandbits(32) if seed is None else int(seed), row] for row in range(batch)]
    else:
        given = np.asarray(seed)
        if given.shape != (batch,) or given.dtype.kind not in "iu":
            raise ValueError(
                f"sample expected seed to be an integer, or one for each of {batch} rows, received {seed!r}."
            )
        seeds = [[int(one), 0] for one in given]
    return np.stack([np.random.default_rng(one).random(arguments.room, dtype="float32") for one in seeds])


def _search(steps, setting, states, start, lengths, forced, uniform, temperature, top_p):
    (top_k,) = setting.options

    def choose(log_p, t):
        vocabulary = log_p.shape[-1]
        log_p, order = ops.top_k(log_p, min(top_k or vocabulary, vocabulary))  # the most likely first
        p = ops.exp((log_p - log_p[:, :1]) / temperature)  # at most 1, however low the temperature
        p = ops.where(log_p > IMPOSSIBLE / 2, p, 0.0)
        p = p / ops.maximum(ops.sum(p, axis=-1, keepdims=True), 1e-30)
        until = ops.cumsum(p, axis=-1)
        p = ops.where(until - p < top_p, p, 0.0)
        until = ops.cumsum(p, axis=-1)
        drawn = ops.take(uniform, t, axis=1)[:, None] * until[:, -1:]
        before, allowed = (ops.sum(ops.cast(x, "int32"), axis=-1, keepdims=True) for x in (until <= drawn, p > 0))
        place = ops.maximum(ops.minimum(before, allowed - 1), 0)  # however the sums are rounded
        return ops.squeeze(ops.take_along_axis(order, place, axis=-1), axis=-1)

    return decode_loop(steps, setting, states, start, lengths, forced, choose)

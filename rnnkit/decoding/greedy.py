"""Greedy search: the most likely token at each step."""

from typing import Any

from keras import ops

from rnnkit.annotations import Tensor, Tensors
from rnnkit.decoding.arguments import check_arguments
from rnnkit.decoding.search import Decoded, decode_loop, run


def greedy_search(
    decoder: Any, states: Tensors, start: int | Tensor, end: int | None, max_length: int | Tensor, padding: int = 0
) -> Decoded:
    """Decodes with the most likely token at each step.

    All steps are one compiled loop, which stops when all rows have ended.

    Args:
        decoder: a `rnnkit.layers.Decoder`; a Keras model from `[tokens, *states]` to `[logits, *states]`, or to
            `[logits, *states, alignment]`, for tokens `(batch,)` or `(batch, 1)`; or a function `step(tokens, states)`
            that returns `(logits, states)` or `(logits, states, alignment)`. Logits, not probabilities. The compiled
            program is kept for the next call, except for a function, which is compiled in each call.
        states: the first states, each with the batch as its first axis: for a `Decoder` its `initial_state`, where None
            means zeros, with as many rows as `start` has.
        start: token number that comes before the first token, or an integer array `(batch,)`.
        end: token number that ends a sequence; None if there is none.
        max_length: how many tokens at most, or an integer array `(batch,)`.
        padding: token number after the end. Defaults to `0`.

    Returns:
        `Decoded`: tokens `(batch, max_length)`, scores `(batch,)`, alignments `(batch, max_length, memory_time)` or
        None.

    Raises:
        ValueError: there are no such tokens; states have the wrong number or shape; there is nothing to attend to;
            max_length is not positive; `decoder` is none of the three, or its head ends with a softmax.

    Example:

    >>> import keras, numpy as np, rnnkit.decoding, rnnkit.layers
    >>> cell, head = rnnkit.layers.GRUCell(8), keras.layers.Dense(20)
    >>> decoder = rnnkit.layers.Decoder(keras.layers.Embedding(20, 4), cell, head)
    >>> _ = decoder(np.array([[1]]))  # builds it
    >>> found = rnnkit.decoding.greedy_search(decoder, [np.zeros((3, 8), "float32")], start=1, end=2, max_length=5)
    >>> found.tokens.shape, found.scores.shape
    ((3, 5), (3,))

    References:
        Sutskever, Vinyals and Le, "Sequence to sequence learning with neural networks", 2014.
    """
    return Decoded.of(run(_search, check_arguments("greedy_search", decoder, states, start, end, max_length, padding)))


def _search(steps, setting, states, start, lengths):
    return decode_loop(steps, setting, states, start, lengths, lambda log_p, t: ops.argmax(log_p, axis=-1))

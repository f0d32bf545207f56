"""Greedy search: the most likely token at each step."""

from collections.abc import Iterable, Sequence
from typing import Any

from rnnkit.annotations import Tensor, Tensors
from rnnkit.decoding.arguments import check_arguments
from rnnkit.decoding.constraints import Constrain
from rnnkit.decoding.search import Decoded, decode_loop, run
from rnnkit.ops.scores import first_of_best


def greedy_search(
    decoder: Any,
    states: Tensors,
    start: int | Tensor,
    end: int | None,
    max_length: int | Tensor,
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
    """Decodes with the most likely token at each step.

    All steps are one compiled loop, which stops when all rows have ended.

    Args:
        decoder: a `rnnkit.layers.Decoder`; a Keras model from `[tokens, *states]` to `[logits, *states]`, or to
            `[logits, *states, alignment]`, for tokens `(batch,)` or `(batch, 1)`; a function `step(tokens, states)`
            that returns `(logits, states)` or `(logits, states, alignment)`; or an `Ensemble`. Logits, not
            probabilities. The compiled program is kept for the next call, except for a function, which is compiled in
            each call.
        states: the first states, each with the batch as its first axis: for a `Decoder` its `initial_state`, where None
            means zeros, with as many rows as `start` has.
        start: token number that comes before the first token, or an integer array `(batch,)`.
        end: token number that ends a sequence; None if there is none.
        max_length: how many tokens at most, or an integer array `(batch,)`.
        padding: token number after the end; -1 if none is to spare. It is never said if there is an `end`, or if the
            decoder's embedding masks it. Defaults to `0`.
        prefix: tokens that a row begins with: one list of token numbers, a list for each row, or an integer array
            `(batch, length)` with -1 before or after the tokens, or with `padding` where that is never said. They count
            in `max_length` and in the scores. Defaults to `None`.
        forbidden: token numbers that are never said. Defaults to `()`.
        min_length: how many tokens come before the `end` at least. Defaults to `0`.
        no_repeat: length of the sequences of tokens that a row says at most once. Defaults to `0`: no limit.
        repetition_penalty: what the logits of tokens said before are divided by where they are positive, and multiplied
            by where they are negative. Defaults to `1.0`.
        constrain: a function `constrain(tokens, step, logits)`, or a list of them, which returns logits `(rows,
            vocabulary)`, with -inf for what is forbidden. `tokens` are those so far, int32 `(rows, room)`, -1 from
            `step` on. It runs inside the compiled loop, on `keras.ops`. `Trie` and `Moves` are such functions. Of
            compiled programs with one, only the last is kept. Defaults to `None`.
        return_states: whether to return states to go on from, with the last token as `start`. Defaults to `False`.

    A logit of -50,000 or less forbids its token: minus infinity, -1e9, the least number of half precision. A row that
    cannot go on ends there, with a score of minus infinity. A token of the prefix is said even if it is forbidden.

    Inside a compiled function, such as a `tf.function` or a served model, a search returns tensors. There `max_length`
    is an integer, and the batch may be unknown.

    Returns:
        `Decoded`: tokens `(batch, max_length)`, scores `(batch,)`, alignments `(batch, max_length, memory_time)` or
        None.

    Raises:
        ValueError: there are no such tokens; states have the wrong number or shape; there is nothing to attend to;
            max_length is not positive; a prefix or what is forbidden holds other tokens; `decoder` is none of these, or
            its head ends with a softmax.

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
    arguments = check_arguments(
        "greedy_search",
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
    return run(_search, arguments)


def _search(steps, setting, states, start, lengths, forced):
    return decode_loop(steps, setting, states, start, lengths, forced, lambda scores, t: first_of_best(scores))

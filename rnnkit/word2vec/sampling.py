"""What word2vec learns from: the pairs of a text, the words that subsampling keeps, the negatives that it draws."""

import numpy as np
from numpy.typing import ArrayLike

from rnnkit.arguments import check_positive_integer


def skip_gram_pairs(tokens: ArrayLike, window: int) -> np.ndarray:
    """Lists all (center, context) pairs of a text with a fixed window.

    A text of n tokens has the sum over d = 1 .. window of 2 max(n - d, 0) pairs.

    Args:
        tokens: ids of the words, integers `(time,)`.
        window: largest distance between the two words of a pair.

    Returns:
        Integers `(pairs, 2)`, ordered by the position of the center, then of the context.

    Raises:
        ValueError: tokens is not one row of integer ids, or window is not a positive integer.

    Example:

    >>> from rnnkit.word2vec import skip_gram_pairs
    >>> skip_gram_pairs([7, 8, 9], window=1).tolist()
    [[7, 8], [8, 7], [8, 9], [9, 8]]

    References:
        Mikolov et al., "Efficient estimation of word representations in vector space", 2013.
    """
    tokens = np.asarray(tokens)
    check_positive_integer("skip_gram_pairs", "window", window)
    if tokens.ndim != 1 or (tokens.size and not np.issubdtype(tokens.dtype, np.integer)):
        raise ValueError(
            f"skip_gram_pairs expected tokens to be one row of integer ids, received {tokens.dtype} of shape "
            f"{tokens.shape}. Number the words first."
        )
    offsets = np.delete(np.arange(-window, window + 1), window)
    center = np.repeat(np.arange(len(tokens)), 2 * window)
    context = center + np.tile(offsets, len(tokens))
    exists = (context >= 0) & (context < len(tokens))
    return np.stack([tokens[center[exists]], tokens[context[exists]]], axis=1)


def keep_probability(counts: ArrayLike, sample: float = 1e-3) -> np.ndarray:
    """Computes the probability that an occurrence of a word is kept: min(1, sqrt(t / f) + t / f), f its frequency.

    This is what word2vec.c and gensim compute. The paper prints sqrt(t / f), which keeps fewer.

    Args:
        counts: occurrences of each word, above 0, `(vocabulary,)`.
        sample: the threshold t; 0 keeps every word. Defaults to `1e-3`.

    Returns:
        float64 `(vocabulary,)`.

    Raises:
        ValueError: counts is not one row of numbers above 0.

    Example:

    >>> from rnnkit.word2vec import keep_probability
    >>> keep_probability([60, 30, 10], sample=0.1).round(2).tolist()
    [0.57, 0.91, 1.0]

    References:
        Mikolov et al., "Distributed representations of words and phrases and their compositionality", 2013.
    """
    share = _shares("keep_probability", counts)
    return np.minimum(1.0, np.sqrt(sample / share) + sample / share) if sample else np.ones_like(share)


def negative_probability(counts: ArrayLike) -> np.ndarray:
    """Computes the probability that a word is drawn as a negative: its count to the power 0.75, normalized.

    Args:
        counts: occurrences of each word, above 0, `(vocabulary,)`.

    Returns:
        float64 `(vocabulary,)`, with the sum 1.

    Raises:
        ValueError: counts is not one row of numbers above 0.

    Example:

    >>> from rnnkit.word2vec import negative_probability
    >>> negative_probability([81, 16]).round(2).tolist()
    [0.77, 0.23]

    References:
        Mikolov et al., "Distributed representations of words and phrases and their compositionality", 2013.
    """
    return _shares("negative_probability", _shares("negative_probability", counts) ** 0.75)


def _shares(owner, counts):
    counts = np.asarray(counts, np.float64)
    if counts.ndim != 1 or not counts.size or not np.all(counts > 0):
        raise ValueError(
            f"{owner} expected counts to be one row of numbers above 0, received {counts!r:.80}. Leave out words that "
            "do not occur."
        )
    return counts / counts.sum()

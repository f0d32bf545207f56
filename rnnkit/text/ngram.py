"""The language model without a network: n-grams, counted and smoothed."""

import math
from collections import Counter

import numpy as np


class NGram:
    r"""Interpolated Witten-Bell n-gram model: the baseline that a recurrent language model has to beat.

    The probability of a token w after the context h mixes what followed h with what followed the context h', which is h
    without its first token:

    $$p(w | h) = \frac{c(h, w) + t(h) \, p(w | h')}{c(h) + t(h)}$$

    c(h, w) counts w after h, c(h) counts h with any successor, and t(h) counts the distinct successors of h: a context
    with many different successors trusts its own counts less. The recursion ends with 1 / (size of the vocabulary).

    Args:
        order: n, the length of the counted n-grams. A token is predicted from the `order - 1` tokens before it.
        ends: whether sequences have a start and an end that the model learns, as names and sentences have. Pass False
            for running text.
        vocabulary: iterable of all tokens that may occur. By default the tokens that `fit` sees.

    Raises:
        ValueError: when `order` is not a positive integer.

    Example:

    >>> model = NGram(order=2).fit(["hello", "hell"])
    >>> round(model.probability("e", "h"), 3)  # (2 + 1 * p("e")) / (2 + 1), where p("e") = (2 + 5 * 1/5) / (11 + 5)
    0.729
    >>> round(model.probability(None, "hell"), 3)  # the probability that the sequence ends here
    0.223
    >>> round(model.cross_entropy(["hello"]), 3)  # nats per token, the end included
    0.652

    References:
        Witten and Bell 1991, "The zero-frequency problem", IEEE Transactions on Information Theory 37(4), method C.
        Chen and Goodman 1999, "An empirical study of smoothing techniques for language modeling".
    """

    def __init__(self, order, ends=True, vocabulary=None):
        if isinstance(order, bool) or not isinstance(order, (int, np.integer)) or order < 1:
            raise ValueError(f"Expected order to be an integer of at least 1, got {order!r}.")
        self.order = int(order)
        self.ends = ends
        self.vocabulary = None if vocabulary is None else set(vocabulary)
        self._counts = None

    def fit(self, sequences):
        """Count the n-grams of `sequences`, an iterable of sequences of tokens; earlier counts are forgotten.

        Returns:
            The model itself.

        Raises:
            ValueError: when there are no tokens, or one string is passed instead of a list of strings.
            KeyError: when a token is not in the given `vocabulary`.
        """
        sequences = _sequences(sequences)
        seen = {token for sequence in sequences for token in sequence}
        if not seen:
            raise ValueError("Expected sequences with at least one token, got none.")
        vocabulary = seen if self.vocabulary is None else self.vocabulary
        if not seen <= vocabulary:
            missing = ", ".join(sorted(map(repr, seen - vocabulary)))
            raise KeyError(f"Tokens that are not in the given vocabulary: {missing}. Add them to vocabulary=.")
        counts = Counter()
        for sequence in sequences:
            tokens = (None, *sequence, None) if self.ends else sequence
            for n in range(1, self.order + 1):
                counts.update(zip(*(tokens[start:] for start in range(n)), strict=False))
        if self.ends:
            counts[(None,)] -= len(sequences)  # None stands for both boundaries, but only the end is ever predicted
        self._tokens = vocabulary | ({None} if self.ends else set())
        self._counts, self._totals, self._types = counts, Counter(), Counter()
        for (*context, _), count in counts.items():
            self._totals[tuple(context)] += count
            self._types[tuple(context)] += 1
        return self

    def probability(self, token, context=()):
        """The probability that `token` follows `context`.

        Args:
            token: a token, or None for the end of the sequence (with `ends`).
            context: the tokens before it, from the start of the sequence. Only the last `order - 1` make a difference.

        Returns:
            A float between 0 and 1. Over all tokens (and the end) the probabilities sum to 1 for every context.

        Raises:
            KeyError: when the token is unknown.
            ValueError: when the model has not been fitted.
        """
        if self._counts is None:
            raise ValueError("This NGram has not seen any text. Call fit first.")
        if token not in self._tokens:
            raise KeyError(
                f"Token {token!r} is unknown to this NGram, which has {len(self._tokens)} tokens. "
                "Build it with vocabulary= a list of all tokens that may occur."
            )
        context = (None, *context) if self.ends else tuple(context)
        probability = 1 / len(self._tokens)
        for n in range(min(self.order, len(context) + 1)):
            history = context[len(context) - n :]
            if history not in self._totals:
                break  # nothing ever followed this context, so no longer one either
            total, types = self._totals[history], self._types[history]
            probability = (self._counts.get((*history, token), 0) + types * probability) / (total + types)
        return probability

    def cross_entropy(self, sequences):
        """The mean of -ln p over all tokens of `sequences`, in nats per token; with `ends` each end counts as a token.

        Returns:
            A float. Its exponential is the perplexity.

        Raises:
            KeyError: when a token is unknown.
            ValueError: when there are no tokens, the model has not been fitted, or one string is passed instead of a
                list of strings.
        """
        total, count = 0.0, 0
        for sequence in _sequences(sequences):
            for position, token in enumerate((*sequence, None) if self.ends else sequence):
                # The start of a long text is out of sight: no need to copy it for every token.
                context = sequence[max(0, position - self.order) : position]
                total -= math.log(self.probability(token, context))
                count += 1
        if count == 0:
            raise ValueError("Expected sequences with at least one token, got none.")
        return total / count


def _sequences(sequences):
    if isinstance(sequences, str):
        raise ValueError(f"Expected a list of sequences, got one string, {sequences!r:.40}. Put it into a list.")
    return [tuple(sequence) for sequence in sequences]

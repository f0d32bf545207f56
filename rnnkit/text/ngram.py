"""A language model without a network: n-grams, counted and smoothed."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Self

from rnnkit.annotations import Tokens
from rnnkit.arguments import check_integer


class NGram:
    r"""Interpolated Witten-Bell n-gram model: the baseline that a recurrent language model has to beat.

    The probability of a token w after the context h mixes what followed h with what followed the context h', which is h
    without its first token:

    $$p(w | h) = \frac{c(h, w) + t(h) \, p(w | h')}{c(h) + t(h)}$$

    c(h, w) counts w after h, c(h) counts h with any successor, and t(h) counts the distinct successors of h: a context
    with many different successors trusts its own counts less. The recursion ends with 1 / (size of the vocabulary).

    Args:
        order: n, the length of the n-grams that are counted. A token is predicted from the `order - 1` tokens before
            it.
        ends: whether sequences have a start and an end that the model learns, as names and sentences have. Pass
            `False` for running text. Defaults to `True`.
        vocabulary: iterable of all tokens that may occur. Defaults to `None`, the tokens that `fit` sees.

    Raises:
        ValueError: `order` is not a positive integer.

    Example:

    >>> model = NGram(order=2).fit(["hello", "hell"])
    >>> round(model.probability("e", "h"), 3)  # (2 + 1 * p("e")) / (2 + 1), where p("e") = (2 + 5 * 1/5) / (11 + 5)
    0.729
    >>> round(model.probability(None, "hell"), 3)  # the probability that the sequence ends here
    0.223
    >>> round(model.cross_entropy(["hello"]), 3)  # nats per token, the end included
    0.652

    References:
        Witten and Bell, "The zero-frequency problem: estimating the probabilities of novel events in adaptive text
        compression", 1991, method C.
        Chen and Goodman, "An empirical study of smoothing techniques for language modeling", 1999.
    """

    def __init__(self, order: int, ends: bool = True, vocabulary: Iterable[str] | None = None):
        self.order = check_integer("NGram", "order", order)
        self.ends = ends
        self.vocabulary = None if vocabulary is None else set(vocabulary)
        self._counts: Counter[tuple[str | None, ...]] | None = None

    def fit(self, sequences: Iterable[Tokens]) -> Self:
        """Counts the n-grams of sequences, and forgets earlier counts.

        Args:
            sequences: iterable of sequences of tokens.

        Returns:
            The model itself.

        Raises:
            ValueError: there are no tokens, or one string is passed instead of a list of strings.
            KeyError: a token is not in the given `vocabulary`.
        """
        texts = _sequences(sequences)
        seen = {token for sequence in texts for token in sequence}
        if not seen:
            raise ValueError("NGram expected sequences with at least one token, received none.")
        vocabulary = seen if self.vocabulary is None else self.vocabulary
        if not seen <= vocabulary:
            missing = ", ".join(sorted(map(repr, seen - vocabulary)))
            raise KeyError(f"NGram expected tokens of its vocabulary, received {missing}. Add them to vocabulary=.")
        counts: Counter[tuple[str | None, ...]] = Counter()
        for sequence in texts:
            tokens: tuple[str | None, ...] = (None, *sequence, None) if self.ends else sequence
            for n in range(1, self.order + 1):
                counts.update(zip(*(tokens[start:] for start in range(n)), strict=False))
        if self.ends:
            counts[(None,)] -= len(texts)  # None is the start and the end, but only the end is ever predicted
        self._tokens = vocabulary | ({None} if self.ends else set())
        self._counts = counts
        self._totals: Counter[tuple[str | None, ...]] = Counter()
        self._types: Counter[tuple[str | None, ...]] = Counter()
        for (*context, _), count in counts.items():
            self._totals[tuple(context)] += count
            self._types[tuple(context)] += 1
        return self

    def probability(self, token: str | None, context: Sequence[str] = ()) -> float:
        """Computes the probability that `token` follows `context`.

        Args:
            token: a token, or None for the end of the sequence (with `ends`).
            context: the tokens before it, from the start of the sequence. Only the last `order - 1` make a difference.
                Defaults to `()`, the start itself.

        Returns:
            A float between 0 and 1. Over all tokens (and the end) the probabilities sum to 1 for every context.

        Raises:
            KeyError: the token is unknown.
            ValueError: the model has not been fitted.
        """
        if self._counts is None:
            raise ValueError("NGram.probability expected a fitted model, received one without counts. Call fit first.")
        if token not in self._tokens:
            raise KeyError(
                f"Token {token!r} is unknown to this NGram, which has {len(self._tokens)} tokens. "
                "Build it with vocabulary= a list of all tokens that may occur."
            )
        before: tuple[str | None, ...] = (None, *context) if self.ends else tuple(context)
        probability = 1 / len(self._tokens)
        for n in range(min(self.order, len(before) + 1)):
            history = before[len(before) - n :]
            if history not in self._totals:
                break  # nothing ever followed this context, or a longer one
            total, types = self._totals[history], self._types[history]
            probability = (self._counts.get((*history, token), 0) + types * probability) / (total + types)
        return probability

    def cross_entropy(self, sequences: Iterable[Tokens]) -> float:
        """Computes the mean of -ln p over all tokens, in nats per token; with `ends` each end counts as a token.

        Args:
            sequences: iterable of sequences of tokens.

        Returns:
            A float. Its exponential is the perplexity.

        Raises:
            KeyError: a token is unknown.
            ValueError: there are no tokens, the model has not been fitted, or one string is passed instead of a
                list of strings.
        """
        total, count = 0.0, 0
        for sequence in _sequences(sequences):
            tokens: tuple[str | None, ...] = (*sequence, None) if self.ends else sequence
            for position, token in enumerate(tokens):
                # The start of a long text makes no difference: don't copy it for every token.
                context = sequence[max(0, position - self.order) : position]
                total -= math.log(self.probability(token, context))
                count += 1
        if count == 0:
            raise ValueError("NGram expected sequences with at least one token, received none.")
        return total / count


def _sequences(sequences: Iterable[Tokens]) -> list[tuple[str, ...]]:
    if isinstance(sequences, str):
        raise ValueError(
            f"NGram expected a list of sequences, received one string, {sequences!r:.40}. Put it into a list."
        )
    return [tuple(sequence) for sequence in sequences]

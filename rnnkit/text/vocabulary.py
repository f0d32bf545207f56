"""Turns tokens into integers."""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from rnnkit.annotations import Tensor, Tokens


class Vocabulary:
    """The tokens of a text, numbered from 1. Number 0 is padding.

    Tokens are numbered in the order in which they first appear; `unknown` and `specials` come before all others.

    Args:
        sequences: iterable of sequences of tokens: strings (the tokens are characters) or lists of words. A single
            string also works.
        unknown: token that replaces every token outside the vocabulary, such as `"<unknown>"`. Defaults to `None`:
            such tokens raise an error.
        specials: tokens that occur in no text, such as `("<start>", "<end>")`. You add them to sequences yourself.
            Defaults to `()`.

    Raises:
        ValueError: there are no tokens at all, one of them is the empty string (that is the padding), or
            `specials` is one string.

    Attributes:
        tokens: list of all tokens. `tokens[0]` is the padding, an empty string.
        unknown: the argument of that name.

    Example:

    >>> characters = Vocabulary(["hello", "hell"])
    >>> characters.tokens
    ['', 'h', 'e', 'l', 'o']
    >>> characters.encode(["hello", "hell"])
    array([[1, 2, 3, 3, 4],
           [1, 2, 3, 3, 0]], dtype=int32)
    >>> words = Vocabulary([["the", "cat", "runs"]], unknown="<unknown>")
    >>> words.decode(words.encode([["the", "dog", "runs"]]))
    [['the', '<unknown>', 'runs']]
    """

    def __init__(self, sequences: Iterable[Tokens], unknown: str | None = None, specials: Iterable[str] = ()):
        if isinstance(specials, str):
            raise ValueError(f"Vocabulary expected specials to be a list of tokens, received one string, {specials!r}.")
        first = ([] if unknown is None else [unknown]) + list(specials)
        tokens = dict.fromkeys([*first, *(token for sequence in sequences for token in sequence)])
        if len(tokens) == len(dict.fromkeys(first)):
            raise ValueError(
                "Vocabulary expected sequences with at least one token, received none. Pass texts, or lists of words."
            )
        if "" in tokens:
            raise ValueError(
                "Vocabulary expected tokens of at least one character, received ''. It is the padding: leave it out."
            )
        self.unknown = unknown
        self.tokens = ["", *tokens]
        self._ids = {token: index for index, token in enumerate(self.tokens)}

    def __len__(self) -> int:
        return len(self.tokens)

    def __iter__(self) -> Iterator[str]:
        return iter(self.tokens)

    def __contains__(self, token: object) -> bool:
        return token in self._ids

    def __getitem__(self, token: str) -> int:
        """Returns the number of `token`; if it isn't in the vocabulary, that of `unknown`, or raises a `KeyError`."""
        index = self._ids.get(token)
        if index is None and self.unknown is not None:
            index = self._ids[self.unknown]
        if index is None:
            raise KeyError(self._missing(token))
        return index

    def encode(self, sequences: Iterable[Tokens], length: int | None = None) -> np.ndarray:
        """Numbers the tokens of a batch of sequences.

        Args:
            sequences: list of sequences of tokens.
            length: number of columns of the result. Defaults to `None`, the length of the longest sequence.

        Returns:
            int32 array of shape `(batch, time)`. Shorter sequences are padded with 0 on the right.

        Raises:
            KeyError: a token is not in the vocabulary and there is no `unknown`.
            ValueError: a sequence is longer than `length`, or `sequences` is one string instead of a batch.
        """
        if isinstance(sequences, str):
            raise ValueError(
                f"Vocabulary.encode expected a list of sequences, received one string, {sequences!r:.40}. "
                "Put it into a list."
            )
        rows = [list(sequence) for sequence in sequences]
        longest = max(map(len, rows), default=0)
        length = longest if length is None else length
        if longest > length:
            raise ValueError(
                f"Vocabulary.encode expected sequences of at most length={length} tokens, received one of {longest}. "
                f"Cut the sequences, or pass length={longest} or more."
            )
        ids = np.zeros((len(rows), length), dtype="int32")
        for row, sequence in enumerate(rows):
            try:
                ids[row, : len(sequence)] = [self[token] for token in sequence]
            except KeyError:
                column = next(column for column, token in enumerate(sequence) if token not in self)
                raise KeyError(self._missing(sequence[column], f" at position {column} of sequence {row}")) from None
        return ids

    def decode(self, ids: Tensor) -> list[Any]:
        """Returns the tokens that numbers represent, without the padding.

        Args:
            ids: integers of shape `(batch, time)`, or `(time,)` for one sequence.

        Returns:
            One list of tokens for each sequence; a single list when `ids` has one dimension.

        Raises:
            ValueError: `ids` are not integers, have another number of dimensions, or are outside the vocabulary.
        """
        ids = np.asarray(ids)
        if ids.size and not np.issubdtype(ids.dtype, np.integer):
            raise ValueError(
                f"Vocabulary.decode expected integer ids, received {ids.dtype}. Take the argmax of probabilities first."
            )
        if ids.ndim not in (1, 2):
            raise ValueError(
                f"Vocabulary.decode expected ids of shape (batch, time) or (time,), received shape {ids.shape}."
            )
        if ids.size and not (0 <= ids.min() and ids.max() < len(self)):
            raise ValueError(
                f"Vocabulary.decode expected ids from 0 to {len(self) - 1}, received ids from {ids.min()} to "
                f"{ids.max()}. Decode with the vocabulary that encoded them."
            )
        if ids.ndim == 2:
            return [self.decode(row) for row in ids]
        return [self.tokens[index] for index in ids if index != 0]

    def _missing(self, token: str, where: str = "") -> str:
        known = ", ".join(map(repr, self.tokens[1:6])) + (", ..." if len(self) > 6 else "")
        return (
            f"Unknown token {token!r}{where}; the vocabulary has {len(self) - 1} tokens: {known}. "
            "Build the vocabulary from sequences that contain the token, or with unknown='<unknown>'."
        )

"""Words letter by letter, for models that read spelling."""

from collections.abc import Sequence

import numpy as np

from rnnkit.annotations import Tokens
from rnnkit.text.vocabulary import Vocabulary


def encode_characters(
    sentences: Sequence[Tokens], characters: Vocabulary, length: int | None = None, word_length: int | None = None
) -> np.ndarray:
    """Numbers the characters of each word of a batch of sentences.

    A model that reads them sees what words have in common: capitals, digits, "-ville", "-son". Even
    a word that is in no vocabulary of words then says something about itself.

    Args:
        sentences: list of sentences, each a list of words.
        characters: the `Vocabulary` that numbers the characters. With an `unknown` token it takes any
            character.
        length: number of words in a row of the result. Defaults to `None`, the length of the longest sentence.
        word_length: number of characters for each word. Defaults to `None`, the length of the longest word.

    Returns:
        int32 array `(batch, time, characters)`. Shorter words and shorter sentences are padded with 0 on the right.

    Raises:
        KeyError: a character is not in the vocabulary, and it has no `unknown`.
        ValueError: a sentence is longer than `length`, a word longer than `word_length`, or a sentence is a string
            instead of a list of words.

    Example:

    >>> from rnnkit.text import Vocabulary
    >>> sentences = [["a", "bad", "cab"], ["cab"]]
    >>> characters = Vocabulary(word for sentence in sentences for word in sentence)
    >>> encode_characters(sentences, characters)
    array([[[1, 0, 0],
            [2, 1, 3],
            [4, 1, 2]],
    <BLANKLINE>
           [[4, 1, 2],
            [0, 0, 0],
            [0, 0, 0]]], dtype=int32)

    References:
        Lample, Ballesteros, Subramanian, Kawakami and Dyer, "Neural architectures for named entity recognition", 2016.
    """
    if isinstance(sentences, str) or any(isinstance(sentence, str) for sentence in sentences):
        raise ValueError("encode_characters expected a list of lists of words, received a string. Split it into words.")
    sizes = [len(sentence) for sentence in sentences]
    length = max(sizes, default=0) if length is None else length
    if max(sizes, default=0) > length:
        raise ValueError(
            f"encode_characters expected sentences of at most length={length} words, received one of {max(sizes)}. "
            f"Cut the sentences, or pass length={max(sizes)} or more."
        )
    words = [word for sentence in sentences for word in sentence]
    longest = max(words, key=len, default="")
    word_length = len(longest) if word_length is None else word_length
    if len(longest) > word_length:
        raise ValueError(
            f"encode_characters expected words of at most word_length={word_length} characters, received {longest!r}, "
            f"which has {len(longest)}. Cut the words, or pass word_length={len(longest)} or more."
        )
    ids = np.zeros((len(sizes), length, word_length), dtype="int32")
    ids[np.arange(length) < np.reshape(sizes, (-1, 1))] = characters.encode(words, word_length)
    return ids

"""Documents as `Word2Vec` reads them: the words of a corpus, counted, and the ids of the known ones."""

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import repeat

import numpy as np

from rnnkit.annotations import Tokens

READ_AGAIN = (
    "Documents are read once for the vocabulary and once per epoch: pass a list, or an object whose __iter__ starts a "
    "new pass."
)


def count_words(documents: Iterable[Tokens]) -> Counter[str]:
    """How often each word occurs; raises an error for anything but a corpus."""
    if isinstance(documents, str) or not isinstance(documents, Iterable):
        raise ValueError(
            f"Word2Vec expected documents to be a list of token lists, received {documents!r:.60} of "
            f"type {type(documents).__name__}. Split each text into words."
        )
    one_pass = iter(documents)
    if one_pass is documents:
        raise ValueError(
            f"Word2Vec expected documents that can be read again, received an iterator of type "
            f"{type(documents).__name__}, which can be read only once. {READ_AGAIN}"
        )
    counter: Counter[str] = Counter()
    for number, document in enumerate(one_pass):
        if isinstance(document, str) or not isinstance(document, Iterable):
            raise ValueError(
                f"Word2Vec expected each document to be a list of tokens, received {document!r:.60} as document "
                f'{number}. Split each text into words: ["a", "cat"].'
            )
        counter.update(document)
    for token in counter:
        if not isinstance(token, str):
            raise ValueError(
                f"Word2Vec expected tokens to be strings, received {token!r:.60} of type {type(token).__name__}. "
                "Pass words, not their ids."
            )
    if not counter:
        raise ValueError("Word2Vec expected documents with words, received none. Pass a list of token lists.")
    return counter


def frequent_words(counter: Counter[str], min_count: int) -> list[str]:
    """The words that occur at least `min_count` times, most frequent first."""
    return [word for word, count in counter.most_common() if count >= min_count]


def encode(documents: Iterable[Tokens], index: dict[str, int]) -> Iterator[tuple[np.ndarray, int]]:
    """The ids of the known words of each document, and the number of all its words."""
    for document in documents:
        numbers = np.array([*map(index.get, document, repeat(-1))], np.int32)
        yield numbers[numbers >= 0], len(numbers)

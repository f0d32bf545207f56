"""Pairs of sentences that differ only after an ambiguous word."""

from typing import NamedTuple

from rnnkit.datasets.data_file import data_file


class MinimalPair(NamedTuple):
    """Two sentences with the same beginning, in lower case.

    Attributes:
        left: list of the words before the ambiguous word, in both sentences.
        word: the ambiguous word.
        name: list of the words after it in the sentence where it is a person's name.
        other: list of the words after it in the sentence where it is not.
    """

    left: list[str]
    word: str
    name: list[str]
    other: list[str]


class MinimalPairs(NamedTuple):
    """The pairs in three parts.

    Attributes:
        train: list of 317 `MinimalPair`s to train on.
        validation: list of 79 `MinimalPair`s to validate on.
        test: list of 88 `MinimalPair`s to test on.
    """

    train: list[MinimalPair]
    validation: list[MinimalPair]
    test: list[MinimalPair]


def minimal_pairs() -> MinimalPairs:
    """Loads 484 pairs of sentences in which only the right context shows whether a word is a person's name.

    "he said teddy" continues with "roosevelt was a great president" or with "bears are on sale". Everything is in lower
    case and without punctuation, which leaves only the words on the right to distinguish the two. A model that reads
    from left to right has seen the same words of both sentences when it reaches the ambiguous word.

    The ambiguous words of the validation pairs ("rose", "mark", "hope") also occur in training pairs, in other
    sentences. The 17 ambiguous words of the test pairs occur in no other pair: knowing what follows "rose" does not
    help there. No right context occurs twice. No network and no other package is needed.

    Returns:
        Named tuple `(train, validation, test)` of lists of 317, 79 and 88 named tuples `(left, word, name, other)`.

    Example:

    >>> pair = minimal_pairs().test[0]
    >>> " ".join([*pair.left, pair.word, *pair.name])
    'he said teddy roosevelt was a great president'
    >>> " ".join([*pair.left, pair.word, *pair.other])
    'he said teddy bears are on sale'

    References:
        The first test pair is from Khanzhina, "Recurrent neural networks", lecture, 2019, after A. Ng; the others were
        written for this course.
    """
    text = data_file("minimal_pairs.txt").read_text(encoding="utf-8")
    parts: dict[str, list[MinimalPair]] = {name: [] for name in MinimalPairs._fields}
    for line in text.splitlines():
        part, left, word, name, other = line.split(" | ")
        parts[part].append(MinimalPair(left.split(), word, name.split(), other.split()))
    return MinimalPairs(**parts)

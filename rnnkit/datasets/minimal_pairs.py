"""Pairs of sentences that only differ behind an ambiguous word."""

from typing import NamedTuple

from rnnkit.datasets.data_file import data_file


class MinimalPair(NamedTuple):
    """Two sentences with the same beginning, each part a list of lower-case words.

    `left` and `word` begin both sentences. Before `name` the word is a person's name, before `other` it is not.
    """

    left: list
    word: str
    name: list
    other: list


class MinimalPairs(NamedTuple):
    """Pairs to train on, to validate on, and to test with."""

    train: list
    validation: list
    test: list


def minimal_pairs():
    """484 pairs of sentences in which only the right context tells whether a word is a person's name.

    "he said teddy" goes on with "roosevelt was a great president" or with "bears are on sale". Everything is lower case
    and without punctuation, so that nothing but the words to the right can tell the two apart. A model that reads from
    left to right has seen the same words of both sentences when it comes to the ambiguous word.

    The words of the validation pairs ("rose", "mark", "hope") are words of the training pairs too, in other sentences.
    The 17 words of the test pairs stand in no other pair: knowing what follows "rose" is not enough there.
    No right context stands twice. No network and no other package is needed.

    Returns:
        Named tuple `(train, validation, test)` of lists of 317, 79 and 88 named tuples `(left, word, name, other)`.

    Example:

    >>> pair = minimal_pairs().test[0]
    >>> " ".join([*pair.left, pair.word, *pair.name])
    'he said teddy roosevelt was a great president'
    >>> " ".join([*pair.left, pair.word, *pair.other])
    'he said teddy bears are on sale'

    References:
        The first test pair is that of Khanzhina, "Recurrent neural networks" (deck), 2019, after A. Ng; the others were
        written for this course.
    """
    text = data_file("minimal_pairs.txt").read_text(encoding="utf-8")
    parts = {name: [] for name in MinimalPairs._fields}
    for line in text.splitlines():
        part, left, word, name, other = line.split(" | ")
        parts[part].append(MinimalPair(left.split(), word, name.split(), other.split()))
    return MinimalPairs(**parts)

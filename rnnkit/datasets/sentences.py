"""Toy sentences, few enough to train word vectors on by hand."""

from rnnkit.datasets.data_file import data_file


def sentences() -> list[list[str]]:
    """Loads 347 short English sentences over 64 words, written for this course.

    Words of one kind occur in the same contexts: king, queen, prince, princess; man, woman, boy, girl; cat, dog, horse;
    bread, cheese, soup; river, lake, sea; london, paris, rome. No network and no other package is needed.

    Returns:
        A list of sentences, each a list of lower-case words.

    Example:

    >>> len(sentences())
    347
    """
    text = data_file("sentences.txt").read_text(encoding="utf-8")
    return [line.split() for line in text.splitlines()]

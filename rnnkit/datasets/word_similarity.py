"""What people say about words: the questions that word vectors are judged by."""

from pathlib import Path
from typing import NamedTuple

from rnnkit.datasets.cache import ANALOGIES, SIMLEX999, WORDSIM353, require, shipped

_SETS = {"wordsim353": WORDSIM353, "simlex999": SIMLEX999}


class Questions(NamedTuple):
    """Rows to read and the path of the file that they stand in, which gensim's evaluations take."""

    rows: list
    path: Path


def word_similarity(name="wordsim353"):
    """Pairs of words with the similarity that people gave them, from 0 to 10.

    Args:
        name: `"wordsim353"` (353 pairs; related words count as similar, such as "coffee" and "cup") or `"simlex999"`
            (999 pairs; only words for the same kind of thing do).

    Returns:
        Named tuple `(rows, path)`: a list of `(word, other word, score)`, and the file for gensim's
        `KeyedVectors.evaluate_word_pairs`.

    Raises:
        ValueError: when `name` is none of the two.
        ImportError: when gensim, which ships the files, is not installed.
        DataError: when gensim's file is missing or changed.

    Example:

    >>> word_similarity().rows[:2]
    [('love', 'sex', 6.77), ('tiger', 'cat', 7.35)]

    References:
        Finkelstein et al. 2002, "Placing search in context: the concept revisited" (WordSim-353).
        Hill, Reichart and Korhonen 2015, "SimLex-999: evaluating semantic models with (genuine) similarity estimation".
    """
    if name not in _SETS:
        raise ValueError(f"Expected name to be one of {sorted(_SETS)}, got {name!r}.")
    path = _gensim_file(_SETS[name])
    lines = [line.split("\t") for line in _lines(path) if not line.startswith("#")]
    return Questions([(word, other, float(score)) for word, other, score in lines], path)


def analogies():
    """Analogy questions: as `a` is to `b`, so is `c` to `d`.

    Returns:
        Named tuple `(rows, path)`: 19,544 rows `(section, a, b, c, d)` in 14 sections, and the file for gensim's
        `KeyedVectors.evaluate_word_analogies`.

    Raises:
        ImportError: when gensim, which ships the file, is not installed.
        DataError: when gensim's file is missing or changed.

    Example:

    >>> analogies().rows[0]
    ('capital-common-countries', 'Athens', 'Greece', 'Baghdad', 'Iraq')

    References:
        Mikolov, Chen, Corrado and Dean 2013, "Efficient estimation of word representations in vector space".
    """
    path = _gensim_file(ANALOGIES)
    rows = []
    for line in _lines(path):
        if line.startswith(":"):
            section = line[1:].strip()
        else:
            rows.append((section, *line.split()))
    return Questions(rows, path)


def _gensim_file(file):
    try:
        from gensim.test.utils import datapath
    except ImportError as error:
        raise require("rnnkit.datasets.word_similarity", "gensim") from error
    return shipped(file, datapath(file.name), "gensim")


def _lines(path):
    return [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]

"""Human judgments about words: the questions that test word vectors."""

from pathlib import Path
from typing import NamedTuple

from rnnkit.datasets.cache import ANALOGIES, SIMLEX999, WORDSIM353, require, shipped

_SETS = {"wordsim353": WORDSIM353, "simlex999": SIMLEX999}


class Questions(NamedTuple):
    """Questions, and the file that they come from.

    Attributes:
        rows: list of tuples, one per question.
        path: path of the file, for gensim's own evaluations.
    """

    rows: list[tuple]
    path: Path


def word_similarity(name: str = "wordsim353") -> Questions:
    """Loads pairs of words with their similarity as people rated it, from 0 to 10.

    Args:
        name: `"wordsim353"` (353 pairs; related words such as "coffee" and "cup" count as similar) or `"simlex999"`
            (999 pairs; only words for the same kind of thing count as similar). Defaults to `"wordsim353"`.

    Returns:
        Named tuple `(rows, path)`: a list of `(word, other word, score)`, and the file for gensim's
        `KeyedVectors.evaluate_word_pairs`.

    Raises:
        ValueError: `name` is neither of the two.
        ImportError: gensim, which ships the files, is not installed.
        DataError: the file of gensim is missing or changed.

    Example:

    >>> word_similarity().rows[:2]
    [('love', 'sex', 6.77), ('tiger', 'cat', 7.35)]

    References:
        Finkelstein et al., "Placing search in context: the concept revisited", 2002 (WordSim-353); Hill, Reichart and
        Korhonen, "SimLex-999: evaluating semantic models with (genuine) similarity estimation", 2015.
    """
    if name not in _SETS:
        raise ValueError(f"word_similarity expected name to be one of {sorted(_SETS)}, received {name!r}.")
    path = _gensim_file(_SETS[name])
    lines = [line.split("\t") for line in _lines(path) if not line.startswith("#")]
    return Questions([(word, other, float(score)) for word, other, score in lines], path)


def analogies() -> Questions:
    """Loads analogy questions: `a` is to `b` as `c` is to `d`.

    Returns:
        Named tuple `(rows, path)`: 19,544 rows `(section, a, b, c, d)` in 14 sections, and the file for gensim's
        `KeyedVectors.evaluate_word_analogies`.

    Raises:
        ImportError: gensim, which ships the file, is not installed.
        DataError: the file of gensim is missing or changed.

    Example:

    >>> analogies().rows[0]
    ('capital-common-countries', 'Athens', 'Greece', 'Baghdad', 'Iraq')

    References:
        Mikolov, Chen, Corrado and Dean, "Efficient estimation of word representations in vector space", 2013.
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

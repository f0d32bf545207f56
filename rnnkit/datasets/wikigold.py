"""Wikigold: sentences from Wikipedia with their named entities."""

from rnnkit.datasets.cache import WIKIGOLD, cached
from rnnkit.text.read_conll import Sentences, read_conll
from rnnkit.text.tags import convert_tags


def wikigold() -> Sentences:
    """Loads 1,696 sentences from Wikipedia with the people, organizations, places and other names in them.

    There are 39,007 tokens and 3,558 entities of four types: PER, ORG, LOC and MISC. The corpus has no official split.
    Its sentences follow the order of 145 articles: the end of the corpus, cut off as a test part, comes from articles
    that the rest has never seen. The first call downloads the file; see `rnnkit.datasets` for where it is stored.

    Returns:
        Named tuple `(tokens, tags)` of two lists: the list of tokens of each sentence, and its list of tags in BIO (the
        file itself is in IOB1).

    Raises:
        DataError: the file is changed, or it is missing and cannot be downloaded.

    Example (not run as a test, as it downloads 320 kilobytes):

        tokens, tags = rnnkit.datasets.wikigold()

    References:
        Balasuriya, Ringland, Nothman, Murphy and Curran, "Named entity recognition in Wikipedia", 2009, CC BY 4.0.
    """
    tokens, tags = read_conll(cached(WIKIGOLD))
    return Sentences(tokens, [convert_tags(row, "IOB1", "BIO") for row in tags])

"""Wikigold: sentences of Wikipedia with their named entities."""

from rnnkit.datasets.cache import WIKIGOLD, cached
from rnnkit.text.read_conll import Sentences, read_conll
from rnnkit.text.tags import convert_tags


def wikigold():
    """1,696 sentences of Wikipedia with the people, organizations, places and other names in them.

    39,007 tokens and 3,558 entities of four types: PER, ORG, LOC and MISC. The corpus has no official split; its order
    is that of 145 articles, so that a part cut off at the end comes from articles of its own. The file is downloaded at
    the first call; see `rnnkit.datasets` about the cache.

    Returns:
        Named tuple `(tokens, tags)` of two lists: for each sentence its list of tokens, and its list of tags in BIO
        (the file itself is in IOB1).

    Raises:
        DataError: when the file is changed, or missing and cannot be downloaded.

    Example (downloads 320 kilobytes, so it is no doctest):

        tokens, tags = rnnkit.datasets.wikigold()

    References:
        Balasuriya, Ringland, Nothman, Murphy and Curran 2009, "Named entity recognition in Wikipedia", CC BY 4.0.
    """
    tokens, tags = read_conll(cached(WIKIGOLD))
    return Sentences(tokens, [convert_tags(row, "IOB1", "BIO") for row in tags])

"""Wikipedia: the real text that word vectors are trained on."""

import bz2

from rnnkit.datasets.cache import WIKIPEDIA, require, shipped


def wikipedia():
    """106 English Wikipedia articles as lists of lower-case words.

    452,944 words from an extract that gensim ships, in the order of the dump, tokenised as gensim's `WikiCorpus` does:
    without markup, words of 2 to 15 letters, articles of at least 50 words. Takes a few seconds and no network.

    Returns:
        List of documents, each a list of strings.

    Raises:
        ImportError: when gensim is not installed.
        DataError: when gensim's file is missing or changed.

    Example:

    >>> documents = wikipedia()
    >>> len(documents), sum(map(len, documents))
    (106, 452944)
    >>> documents[0][:6]
    ['anarchism', 'is', 'political', 'philosophy', 'that', 'advocates']

    References:
        Wikipedia's authors, CC BY-SA. The file is part of gensim (Rehurek and Sojka 2010, "Software framework for topic
        modelling with large corpora").
    """
    try:
        from gensim.corpora import wikicorpus
        from gensim.test.utils import datapath
    except ImportError as error:
        raise require("rnnkit.datasets.wikipedia", "gensim") from error
    # WikiCorpus itself forks a pool of processes, which is unsafe once TensorFlow has started its threads.
    with bz2.open(shipped(WIKIPEDIA, datapath(WIKIPEDIA.name), "gensim")) as dump:
        pages = wikicorpus.extract_pages(dump, filter_namespaces=("0",))
        documents = [wikicorpus.process_article((text, title, page))[0] for title, text, page in pages]
    return [document for document in documents if len(document) >= wikicorpus.ARTICLE_MIN_WORDS]

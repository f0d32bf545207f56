"""Wikipedia: real text to train word vectors on."""

import bz2

from rnnkit.datasets.cache import WIKIPEDIA, require, shipped


def wikipedia() -> list[list[str]]:
    """Loads 106 English Wikipedia articles as lists of lower-case words.

    The 452,944 words come from an extract that gensim ships, in the order of the dump. They are tokenized as gensim's
    `WikiCorpus` does it: no markup, words of 2 to 15 letters, articles of at least 50 words. Loading takes a few
    seconds and no network.

    Returns:
        A list of documents, each a list of strings.

    Raises:
        ImportError: gensim, which ships the file, is not installed.
        DataError: the file of gensim is missing or changed.

    Example:

    >>> documents = wikipedia()
    >>> len(documents), sum(map(len, documents))
    (106, 452944)
    >>> documents[0][:6]
    ['anarchism', 'is', 'political', 'philosophy', 'that', 'advocates']

    References:
        The authors of Wikipedia, CC BY-SA. The file is part of gensim: Rehurek and Sojka, "Software framework for topic
        modelling with large corpora", 2010.
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

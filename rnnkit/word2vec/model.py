"""Word2Vec: word vectors from text, by skip-gram or CBOW with negative sampling, in NumPy.

The class comes first, then the three functions that the lesson draws. How it trains stands in `word2vec_training`.
"""

import difflib
import json
import os
import tempfile
import time
import warnings
import zipfile
from collections import Counter
from collections.abc import Iterable
from itertools import repeat

import numpy as np
from threadpoolctl import threadpool_limits

from rnnkit.word2vec.trainer import ARCHITECTURES, LARGEST_WINDOW, Trainer, stretches


class Word2Vec:
    """Learns a vector for each word from the words that stand around it (Mikolov 2013).

    For a centre word with vector v and a word of its window with context vector u, skip-gram with negative sampling
    minimises

        -log s(u . v) - sum over k negatives of log s(-u_k . v),    s(x) = 1 / (1 + exp(-x))

    CBOW puts the mean of the window's vectors in place of v, and the centre word in place of u. Negatives are drawn
    from the word frequencies to the power 0.75.

    The settings mean what they mean in word2vec.c and gensim: the window of each centre is a random one of 1 to
    `window` words to each side, it does not cross documents, frequent words are dropped at random (see
    `keep_probability`), unknown words are skipped before windows are made, vectors start uniform in
    +-0.5 / dimensions and context vectors at zero, and the learning rate falls linearly to 1e-4, from 0.025 for
    skip-gram and 0.05 for CBOW (the defaults of word2vec.c; gensim starts CBOW at 0.025).

    What differs is the order of the work. A block of neighbouring centres shares its negatives, and a batch of blocks
    is one step of gradient descent, so that a few matrix products take the place of a loop over pairs. Training draws
    from one generator, and its two threads wait for each other at each step: the same seed gives the same vectors, bit
    for bit, on the same machine and NumPy.

    Args:
        dimensions: Length of a vector.
        window: Largest distance, in words, between a centre and a word of its window.
        negatives: Negative samples for each pair (skip-gram) or each centre (CBOW).
        architecture: `"skip_gram"` or `"cbow"`.
        min_count: Words that occur less often are ignored.
        sample: Threshold t of `keep_probability`; 0 keeps every word.
        seed: Seed of all random draws.

    Raises:
        ValueError: For an argument out of range, a corpus that cannot be used, or vectors asked for before `fit`.
        KeyError: For a word that is not in the vocabulary.

    Example:

    >>> from rnnkit.word2vec import Word2Vec
    >>> documents = [["the", "cat", "drinks", "milk"], ["the", "dog", "drinks", "water"]] * 20
    >>> model = Word2Vec(dimensions=8, min_count=1, sample=0).fit(documents, epochs=2, progress=False)
    >>> model.vectors.shape
    (6, 8)
    >>> model.vocabulary[:2], model["cat"].shape
    (['the', 'drinks'], (8,))

    References: Mikolov et al. 2013, Efficient Estimation of Word Representations in Vector Space; Mikolov et al. 2013,
    Distributed Representations of Words and Phrases and their Compositionality; Khanzhina 2019; Jumadinova 2021.
    """

    def __init__(
        self, dimensions=100, window=5, negatives=5, architecture="skip_gram", min_count=5, sample=1e-3, seed=1
    ):
        self.dimensions = _whole_number("dimensions", dimensions)
        self.window = _whole_number("window", window)
        if window > LARGEST_WINDOW:
            raise ValueError(f"window must be at most {LARGEST_WINDOW}, not {window}: a batch holds whole windows.")
        self.negatives = _whole_number("negatives", negatives)
        self.min_count = _whole_number("min_count", min_count)
        self.seed = _whole_number("seed", seed, at_least=0)
        if architecture not in ARCHITECTURES:
            raise ValueError(f'architecture must be "skip_gram" or "cbow", not {architecture!r}.')
        if not isinstance(sample, int | float) or not 0 <= sample < float("inf"):
            raise ValueError(f"sample must be a number of 0 or more, not {sample!r}. 0 keeps every word.")
        self.architecture = architecture
        self.sample = sample
        self._vectors = None

    def fit(self, documents, epochs=10, progress=True):
        """Learns the vocabulary and the vectors, from nothing: an earlier result is replaced.

        Args:
            documents: The corpus, a list of token lists, or any object whose `__iter__` starts a new pass over token
                lists, such as one that reads a file line by line. A list is encoded once. Anything else may be larger
                than memory: it is read once for the vocabulary and once each epoch, and nothing of it is kept but the
                words with their counts, and about 131,000 tokens at a time (or one document, if it is longer). A
                generator can be read only once, and is refused: write an `__iter__` that starts a new one.
            epochs: Passes over the corpus.
            progress: Whether to print a line for each epoch: words read per second, and the loss of a pair
                (skip-gram) or centre (CBOW), which starts at (1 + negatives) ln 2.

        Returns:
            The model itself.
        """
        _whole_number("epochs", epochs)
        vocabulary, counts = _count(documents, self.min_count)
        index = {word: number for number, word in enumerate(vocabulary)}
        rng = np.random.default_rng(self.seed)
        vectors = rng.random((len(vocabulary), self.dimensions), dtype=np.float32)
        vectors -= 0.5
        vectors /= self.dimensions
        context_vectors = np.zeros_like(vectors)
        keep, negative = keep_probability(counts, self.sample), negative_probability(counts)
        trainer = Trainer(self, vectors, context_vectors, keep, negative, rng)
        in_memory = isinstance(documents, list | tuple)
        encoded = list(_encode(documents, index)) if in_memory else None
        once, done, measured = int(counts.sum()), 0, False
        with threadpool_limits(1, user_api="blas"):  # many small products: BLAS's own threads would only wait
            for epoch in range(1, epochs + 1):
                start, words, losses = time.perf_counter(), 0, []
                for stretch, read in stretches(encoded if in_memory else _encode(documents, index)):
                    known = sum(map(len, stretch))
                    if done + known > epoch * once:
                        break
                    losses += trainer.train(stretch, done / (epochs * once), (done + known) / (epochs * once))
                    words, done = words + read, done + known
                if done != epoch * once or known > once:
                    raise ValueError(
                        f"documents gave another text in epoch {epoch} than when the vocabulary was counted "
                        f"({once} known words): each pass must give the same. {_READ_AGAIN}"
                    )
                measured = measured or bool(losses)
                if progress:
                    rate = words / (time.perf_counter() - start)
                    loss = f"{np.mean(losses):.4f}" if losses else "not measured (no pair was kept)"
                    print(f"epoch {epoch}/{epochs}: {rate:,.0f} words/s, loss {loss}", flush=True)
        if not measured:
            warnings.warn(
                f"Word2Vec has learned nothing: subsampling with sample={self.sample} left no two words side by side. "
                "Pass sample=0 for so small a text.",
                stacklevel=2,
            )
        self._remember(vectors, vocabulary, counts, index)
        return self

    @property
    def vectors(self):
        """The word vectors, float32 (vocabulary, dimensions), in the order of `vocabulary`."""
        return self._fitted()._vectors

    @property
    def vocabulary(self):
        """The known words, the most frequent first."""
        return self._fitted()._vocabulary

    @property
    def counts(self):
        """How often each word of `vocabulary` occurs, int64 (vocabulary,)."""
        return self._fitted()._counts

    def __contains__(self, word):
        return word in self._fitted()._index

    def __getitem__(self, word):
        """The vector of a word, float32 (dimensions,)."""
        return self.vectors[self._number(word)]

    def most_similar(self, words, n=10):
        """The words nearest to a word, or to the mean of several, by cosine: a list of `n` (word, cosine) pairs."""
        words = [words] if isinstance(words, str) else list(words)
        if not words:
            raise ValueError("most_similar expects a word or at least one word in a list, not an empty list.")
        return self._nearest([(word, 1.0) for word in words], n)

    def analogy(self, a, b, c, n=1):
        """What is to c as b is to a: the words nearest to b - a + c (unit vectors), as `n` (word, cosine) pairs."""
        return self._nearest([(b, 1.0), (a, -1.0), (c, 1.0)], n)

    def to_keyed_vectors(self):
        """The vectors and counts as a gensim `KeyedVectors`, with all that gensim does with one."""
        try:
            from gensim.models import KeyedVectors
        except ImportError as error:
            raise ImportError("to_keyed_vectors needs gensim: pip install gensim") from error
        keyed = KeyedVectors(self.dimensions)
        keyed.add_vectors(self.vocabulary, self.vectors)
        keyed.expandos["count"] = self.counts.copy()
        return keyed

    def save(self, path):
        """Writes settings, vocabulary, counts and vectors to one .npz file, whole or not at all."""
        settings = {name: getattr(self, name) for name in _SETTINGS}
        text = json.dumps({"settings": settings, "vocabulary": self.vocabulary}).encode()
        path = os.fspath(path)
        handle, unfinished = tempfile.mkstemp(dir=os.path.dirname(path) or ".", suffix=".unfinished")
        try:
            with os.fdopen(handle, "wb") as file:
                np.savez(file, vectors=self.vectors, counts=self.counts, text=np.frombuffer(text, np.uint8))
            mask = os.umask(0)
            os.umask(mask)
            os.chmod(unfinished, 0o666 & ~mask)  # mkstemp lets only the owner read
            os.replace(unfinished, path)
        except BaseException:
            os.unlink(unfinished)
            raise

    @classmethod
    def load(cls, path):
        """Reads a model that `save` wrote."""
        if not zipfile.is_zipfile(path):
            open(path, "rb").close()  # a missing file says so itself
            raise ValueError(f"{os.fspath(path)} is not a file of Word2Vec.save: expected an .npz file.")
        with np.load(path, allow_pickle=False) as file:
            missing = {"vectors", "counts", "text"} - set(file)
            if missing:
                raise ValueError(f"{os.fspath(path)} is not a file of Word2Vec.save: it has no {sorted(missing)}.")
            text = json.loads(file["text"].tobytes())
            model = cls(**text["settings"])
            index = {word: number for number, word in enumerate(text["vocabulary"])}
            model._remember(file["vectors"], text["vocabulary"], file["counts"], index)
        return model

    def _remember(self, vectors, vocabulary, counts, index):
        self._vectors, self._vocabulary, self._counts, self._index = vectors, vocabulary, counts, index

    def _fitted(self):
        if self._vectors is None:
            raise ValueError("This Word2Vec has no vectors yet: call fit(documents) first.")
        return self

    def _number(self, word):
        number = self._fitted()._index.get(word)
        if number is None:
            close = difflib.get_close_matches(str(word), self.vocabulary, n=3)
            hint = f" Close spellings: {', '.join(close)}." if close else ""
            raise KeyError(f"{word!r} is not in the vocabulary of {len(self.vocabulary)} words.{hint}")
        return number

    def _nearest(self, weighted_words, n):
        _whole_number("n", n)
        numbers = [self._number(word) for word, _ in weighted_words]
        lengths = np.maximum(np.linalg.norm(self.vectors, axis=1), np.finfo(np.float32).tiny)
        weights = np.array([weight for _, weight in weighted_words], np.float32)
        query = (weights / lengths[numbers]) @ self.vectors[numbers]
        cosines = self.vectors @ query / (lengths * max(np.linalg.norm(query), np.finfo(np.float32).tiny))
        cosines[numbers] = -np.inf
        known = len(cosines) - len(set(numbers))
        return [(self.vocabulary[k], float(cosines[k])) for k in np.argsort(-cosines, kind="stable")[: min(n, known)]]


def skip_gram_pairs(tokens, window):
    """All (centre, context) pairs of a text with a fixed window.

    A text of n tokens has the sum over d = 1 .. window of 2 max(n - d, 0) pairs.

    Args:
        tokens: Ids of the words, integers (time,).
        window: Largest distance between the two words of a pair.

    Returns:
        Integers (pairs, 2), by place of the centre, then of the context.

    Example:

    >>> from rnnkit.word2vec import skip_gram_pairs
    >>> skip_gram_pairs([7, 8, 9], window=1).tolist()
    [[7, 8], [8, 7], [8, 9], [9, 8]]
    """
    tokens = np.asarray(tokens)
    _whole_number("window", window)
    if tokens.ndim != 1 or (tokens.size and not np.issubdtype(tokens.dtype, np.integer)):
        raise ValueError(f"tokens must be one row of integer ids, not {tokens.dtype} of shape {tokens.shape}.")
    offsets = np.delete(np.arange(-window, window + 1), window)
    centre = np.repeat(np.arange(len(tokens)), 2 * window)
    context = centre + np.tile(offsets, len(tokens))
    exists = (context >= 0) & (context < len(tokens))
    return np.stack([tokens[centre[exists]], tokens[context[exists]]], axis=1)


def keep_probability(counts, sample=1e-3):
    """Probability that an occurrence of a word is kept: min(1, sqrt(t / f) + t / f), f its share of all words.

    This is what word2vec.c and gensim compute. The paper prints sqrt(t / f), which keeps fewer.

    Args:
        counts: Occurrences of each word, above 0 (vocabulary,).
        sample: The threshold t; 0 keeps every word.

    Returns:
        float64 (vocabulary,).

    Example:

    >>> from rnnkit.word2vec import keep_probability
    >>> keep_probability([60, 30, 10], sample=0.1).round(2).tolist()
    [0.57, 0.91, 1.0]
    """
    share = _shares(counts)
    return np.minimum(1.0, np.sqrt(sample / share) + sample / share) if sample else np.ones_like(share)


def negative_probability(counts):
    """Probability that a word is drawn as a negative: its count to the power 0.75, divided by the sum of these.

    Args:
        counts: Occurrences of each word, above 0 (vocabulary,).

    Returns:
        float64 (vocabulary,).

    Example:

    >>> from rnnkit.word2vec import negative_probability
    >>> negative_probability([81, 16]).round(2).tolist()
    [0.77, 0.23]
    """
    return _shares(_shares(counts) ** 0.75)


_SETTINGS = ("dimensions", "window", "negatives", "architecture", "min_count", "sample", "seed")
_READ_AGAIN = "They are read once for the vocabulary and once each epoch: pass a list, or an object with __iter__."


def _count(documents, min_count):
    """Vocabulary, most frequent first, and counts; refuses what is no corpus."""
    if isinstance(documents, str) or not isinstance(documents, Iterable):
        raise ValueError(f"documents must be a list of token lists, not a {type(documents).__name__}.")
    one_pass = iter(documents)
    if one_pass is documents:
        raise ValueError(f"documents is a {type(documents).__name__}, which can be read only once. {_READ_AGAIN}")
    counter = Counter()
    for number, document in enumerate(one_pass):
        if isinstance(document, str) or not isinstance(document, Iterable):
            raise ValueError(
                f"Document {number} is {document!r:.60}, but each document must be a list of tokens, "
                'such as ["a", "cat"]: split your text into words.'
            )
        counter.update(document)
    for token in counter:
        if not isinstance(token, str):
            raise ValueError(f"Tokens must be strings, but one is {token!r:.60}, a {type(token).__name__}.")
    if not counter:
        raise ValueError("documents hold no words: expected a list of token lists.")
    known = [(word, count) for word, count in counter.most_common() if count >= min_count]
    if not known:
        word, longest = counter.most_common(1)[0]
        raise ValueError(
            f"No word occurs min_count={min_count} times; the most frequent, {word!r}, occurs {longest} times. "
            f"Pass min_count={longest} or less, or more text."
        )
    return [word for word, _ in known], np.array([count for _, count in known], np.int64)


def _encode(documents, index):
    """(word numbers of the known words, number of all words) of each document."""
    for document in documents:
        numbers = np.array([*map(index.get, document, repeat(-1))], np.int32)
        yield numbers[numbers >= 0], len(numbers)


def _shares(counts):
    counts = np.asarray(counts, np.float64)
    if counts.ndim != 1 or not counts.size or not np.all(counts > 0):
        raise ValueError(f"counts must be one row of numbers above 0, not {counts!r:.80}.")
    return counts / counts.sum()


def _whole_number(name, value, at_least=1):
    if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < at_least:
        raise ValueError(f"{name} must be a whole number of {at_least} or more, not {value!r}.")
    return int(value)

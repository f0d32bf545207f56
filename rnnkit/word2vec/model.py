"""Word2Vec: word vectors from text, by skip-gram or CBOW with negative sampling, in NumPy.

How it trains is in `trainer`; which pairs, words and negatives it trains on is in `sampling`.
"""

import difflib
import json
import os
import tempfile
import time
import warnings
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import repeat
from typing import Any, Self

import numpy as np
from threadpoolctl import threadpool_limits

from rnnkit.annotations import Tokens
from rnnkit.arguments import check_integer, check_positive_integer
from rnnkit.word2vec.sampling import keep_probability, negative_probability
from rnnkit.word2vec.trainer import ARCHITECTURES, LARGEST_WINDOW, Trainer, stretches


class Word2Vec:
    """Learns a vector for each word from the words around it.

    For a center word with vector v and a word of its window with context vector u, skip-gram with negative sampling
    minimizes

        -log s(u . v) - sum over k negatives of log s(-u_k . v),    s(x) = 1 / (1 + exp(-x))

    CBOW replaces v with the mean of the window's vectors, and u with the context vector of the center word. Negatives
    are drawn from the word frequencies to the power 0.75.

    The settings mean what they mean in word2vec.c and gensim: the window of each center is a random one of 1 to
    `window` words on each side, it does not cross documents, frequent words are dropped at random (see
    `keep_probability`), unknown words are skipped before windows are made, vectors start uniform in
    +-0.5 / dimensions and context vectors at zero, and the learning rate falls linearly to 1e-4, from 0.025 for
    skip-gram and 0.05 for CBOW (the defaults of word2vec.c; gensim starts CBOW at 0.025).

    Only the order of the work differs. The centers of a block, which are neighbors in the text, share their negatives,
    and a batch of blocks is one step of gradient descent: a few matrix products replace a loop over pairs. Training
    draws from one generator, and its two threads wait for each other at each step. The same seed therefore gives the
    same vectors, bit for bit, on the same machine with the same NumPy.

    Args:
        dimensions: length of a vector. Defaults to `100`.
        window: largest distance, in words, between a center and a word of its window; at most 50. Defaults to `5`.
        negatives: negative samples for each pair (skip-gram) or each center (CBOW). Defaults to `5`.
        architecture: `"skip_gram"` or `"cbow"`. Defaults to `"skip_gram"`.
        min_count: words that occur less often are ignored. Defaults to `5`.
        sample: threshold t of `keep_probability`; 0 keeps every word. Defaults to `1e-3`.
        seed: seed of all random draws, 0 or more. Defaults to `1`.

    Raises:
        ValueError: an argument is out of range, the corpus cannot be used, or `fit` has not been called yet.
        KeyError: a word is not in the vocabulary.

    Example:

    >>> from rnnkit.word2vec import Word2Vec
    >>> documents = [["the", "cat", "drinks", "milk"], ["the", "dog", "drinks", "water"]] * 20
    >>> model = Word2Vec(dimensions=8, min_count=1, sample=0).fit(documents, epochs=2, progress=False)
    >>> model.vectors.shape
    (6, 8)
    >>> model.vocabulary[:2], model["cat"].shape
    (['the', 'drinks'], (8,))

    References:
        Mikolov et al., "Efficient estimation of word representations in vector space", 2013; Mikolov et al.,
        "Distributed representations of words and phrases and their compositionality", 2013; Khanzhina, "Recurrent
        neural networks", lecture, 2019; Jumadinova, "Recurrent neural networks (RNN)", lecture, 2021.
    """

    def __init__(
        self,
        dimensions: int = 100,
        window: int = 5,
        negatives: int = 5,
        architecture: str = "skip_gram",
        min_count: int = 5,
        sample: float = 1e-3,
        seed: int = 1,
    ):
        self.dimensions = check_positive_integer("Word2Vec", "dimensions", dimensions)
        self.window = check_positive_integer("Word2Vec", "window", window)
        if window > LARGEST_WINDOW:
            raise ValueError(
                f"Word2Vec expected window to be at most {LARGEST_WINDOW}, received {window}. A batch holds whole "
                "windows: pass a smaller one."
            )
        self.negatives = check_positive_integer("Word2Vec", "negatives", negatives)
        self.min_count = check_positive_integer("Word2Vec", "min_count", min_count)
        self.seed = check_integer("Word2Vec", "seed", seed, at_least=0)
        if architecture not in ARCHITECTURES:
            raise ValueError(f'Word2Vec expected architecture to be "skip_gram" or "cbow", received {architecture!r}.')
        if not isinstance(sample, int | float) or not 0 <= sample < float("inf"):
            raise ValueError(
                f"Word2Vec expected sample to be a number of at least 0, received {sample!r}. Pass 0 to keep "
                "every word."
            )
        self.architecture = architecture
        self.sample = sample
        self._vectors: np.ndarray | None = None

    def fit(self, documents: Iterable[Tokens], epochs: int = 10, progress: bool = True) -> Self:
        """Learns the vocabulary and the vectors from scratch; an earlier result is replaced.

        Args:
            documents: the corpus: a list of token lists, or any object whose `__iter__` starts a new pass over token
                lists, such as one that reads a file line by line. A list is encoded once. Anything else may be larger
                than memory: it is read once for the vocabulary and once per epoch, and only the words with their
                counts and about 131,000 tokens at a time (or one document, if it is longer) are held. A generator can
                be read only once and is refused: write an `__iter__` that starts a new one.
            epochs: passes over the corpus. Defaults to `10`.
            progress: whether to print a line for each epoch: words read per second, and the loss of a pair
                (skip-gram) or center (CBOW), which starts at (1 + negatives) ln 2. Defaults to `True`.

        Returns:
            The model itself.

        Raises:
            ValueError: epochs is not a positive integer; documents is not a corpus, has no word that occurs
                `min_count` times, or changes between two passes.
        """
        check_positive_integer("Word2Vec.fit", "epochs", epochs)
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
        with threadpool_limits(1, user_api="blas"):  # in many small products, BLAS's own threads would only wait
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
                        f"Word2Vec expected documents to give the same text in each pass, received another text in "
                        f"epoch {epoch} than when the vocabulary was counted ({once} known words). {_READ_AGAIN}"
                    )
                measured = measured or bool(losses)
                if progress:
                    rate = words / (time.perf_counter() - start)
                    loss = f"{np.mean(losses):.4f}" if losses else "not measured (no pair was kept)"
                    print(f"epoch {epoch}/{epochs}: {rate:,.0f} words/s, loss {loss}", flush=True)
        if not measured:
            warnings.warn(
                f"Word2Vec learned nothing: subsampling with sample={self.sample} left no two words side by side. "
                "Pass sample=0 for a text this small.",
                stacklevel=2,
            )
        self._remember(vectors, vocabulary, counts, index)
        return self

    @property
    def vectors(self) -> np.ndarray:
        """The word vectors, float32 `(vocabulary, dimensions)`, in the order of `vocabulary`."""
        return self._fitted()._vectors

    @property
    def vocabulary(self) -> list[str]:
        """The known words, most frequent first."""
        return self._fitted()._vocabulary

    @property
    def counts(self) -> np.ndarray:
        """How often each word of `vocabulary` occurs, int64 `(vocabulary,)`."""
        return self._fitted()._counts

    def __contains__(self, word: str) -> bool:
        """Returns whether a word is in the vocabulary."""
        return word in self._fitted()._index

    def __getitem__(self, word: str) -> np.ndarray:
        """Returns the vector of a word, float32 `(dimensions,)`."""
        return self.vectors[self._number(word)]

    def most_similar(self, words: str | Sequence[str], n: int = 10) -> list[tuple[str, float]]:
        """Finds the words nearest to a word, or to the mean of several.

        Args:
            words: a word, or a list of words.
            n: how many to return. Defaults to `10`.

        Returns:
            (word, cosine) pairs, the nearest first.

        Raises:
            ValueError: words is an empty list, n is not a positive integer, or `fit` has not been called yet.
            KeyError: a word is not in the vocabulary.
        """
        words = [words] if isinstance(words, str) else list(words)
        if not words:
            raise ValueError("Word2Vec.most_similar expected a word or a list of words, received an empty list.")
        return self._nearest("most_similar", [(word, 1.0) for word in words], n)

    def analogy(self, a: str, b: str, c: str, n: int = 1) -> list[tuple[str, float]]:
        """Completes "a is to b as c is to ...": finds the words nearest to b - a + c.

        The vectors of the three words are first scaled to length one.

        Args:
            a: a word, such as "man".
            b: what belongs to a, such as "king".
            c: the word whose counterpart is wanted, such as "woman".
            n: how many to return. Defaults to `1`.

        Returns:
            (word, cosine) pairs, the nearest first; never a, b or c.

        Raises:
            ValueError: n is not a positive integer, or `fit` has not been called yet.
            KeyError: a word is not in the vocabulary.
        """
        return self._nearest("analogy", [(b, 1.0), (a, -1.0), (c, 1.0)], n)

    def to_keyed_vectors(self) -> Any:
        """Copies the vectors and counts to gensim.

        Returns:
            A gensim `KeyedVectors`.

        Raises:
            ImportError: gensim is not installed.
            ValueError: `fit` has not been called yet.
        """
        try:
            from gensim.models import KeyedVectors
        except ImportError as error:
            raise ImportError("to_keyed_vectors needs gensim: pip install gensim") from error
        keyed = KeyedVectors(self.dimensions)
        keyed.add_vectors(self.vocabulary, self.vectors)
        keyed.expandos["count"] = self.counts.copy()
        return keyed

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes settings, vocabulary, counts and vectors to one .npz file.

        If writing fails, the path is left as it was.

        Args:
            path: where to write.

        Raises:
            ValueError: `fit` has not been called yet.
        """
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
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Reads a model that `save` wrote.

        Args:
            path: the file.

        Returns:
            The model.

        Raises:
            ValueError: the file is not one that `save` wrote.
        """
        if not zipfile.is_zipfile(path):
            open(path, "rb").close()  # raises the clearer error if the file is missing
            raise ValueError(
                f"Word2Vec.load expected an .npz file that Word2Vec.save wrote, received {os.fspath(path)}, which is "
                "of another format."
            )
        with np.load(path, allow_pickle=False) as file:
            missing = {"vectors", "counts", "text"} - set(file)
            if missing:
                raise ValueError(
                    f"Word2Vec.load expected an .npz file that Word2Vec.save wrote, received {os.fspath(path)}, which "
                    f"has no {sorted(missing)}."
                )
            text = json.loads(file["text"].tobytes())
            model = cls(**text["settings"])
            index = {word: number for number, word in enumerate(text["vocabulary"])}
            model._remember(file["vectors"], text["vocabulary"], file["counts"], index)
        return model

    def _remember(self, vectors, vocabulary, counts, index):
        self._vectors, self._vocabulary, self._counts, self._index = vectors, vocabulary, counts, index

    def _fitted(self):
        if self._vectors is None:
            raise ValueError("Word2Vec has no vectors yet: call fit(documents) first.")
        return self

    def _number(self, word):
        number = self._fitted()._index.get(word)
        if number is None:
            close = difflib.get_close_matches(str(word), self.vocabulary, n=3)
            hint = f" Close spellings: {', '.join(close)}." if close else ""
            raise KeyError(f"{word!r} is not in the vocabulary of {len(self.vocabulary)} words.{hint}")
        return number

    def _nearest(self, method, weighted_words, n):
        check_positive_integer(f"Word2Vec.{method}", "n", n)
        numbers = [self._number(word) for word, _ in weighted_words]
        lengths = np.maximum(np.linalg.norm(self.vectors, axis=1), np.finfo(np.float32).tiny)
        weights = np.array([weight for _, weight in weighted_words], np.float32)
        query = (weights / lengths[numbers]) @ self.vectors[numbers]
        cosines = self.vectors @ query / (lengths * max(np.linalg.norm(query), np.finfo(np.float32).tiny))
        cosines[numbers] = -np.inf
        known = len(cosines) - len(set(numbers))
        return [(self.vocabulary[k], float(cosines[k])) for k in np.argsort(-cosines, kind="stable")[: min(n, known)]]


_SETTINGS = ("dimensions", "window", "negatives", "architecture", "min_count", "sample", "seed")
_READ_AGAIN = (
    "Documents are read once for the vocabulary and once per epoch: pass a list, or an object whose __iter__ starts a "
    "new pass."
)


def _count(documents, min_count):
    """The vocabulary, most frequent first, and the counts; raises an error for anything but a corpus."""
    if isinstance(documents, str) or not isinstance(documents, Iterable):
        raise ValueError(
            f"Word2Vec expected documents to be a list of token lists, received {documents!r:.60} of "
            f"type {type(documents).__name__}. Split each text into words."
        )
    one_pass = iter(documents)
    if one_pass is documents:
        raise ValueError(
            f"Word2Vec expected documents that can be read again, received an iterator of type "
            f"{type(documents).__name__}, which can be read only once. {_READ_AGAIN}"
        )
    counter = Counter()
    for number, document in enumerate(one_pass):
        if isinstance(document, str) or not isinstance(document, Iterable):
            raise ValueError(
                f"Word2Vec expected each document to be a list of tokens, received {document!r:.60} as document "
                f'{number}. Split each text into words: ["a", "cat"].'
            )
        counter.update(document)
    for token in counter:
        if not isinstance(token, str):
            raise ValueError(
                f"Word2Vec expected tokens to be strings, received {token!r:.60} of type {type(token).__name__}. "
                "Pass words, not their ids."
            )
    if not counter:
        raise ValueError("Word2Vec expected documents with words, received none. Pass a list of token lists.")
    known = [(word, count) for word, count in counter.most_common() if count >= min_count]
    if not known:
        word, longest = counter.most_common(1)[0]
        raise ValueError(
            f"Word2Vec expected a word that occurs min_count={min_count} times, received documents in which the most "
            f"frequent, {word!r}, occurs {longest} times. Pass min_count={longest} or less, or more text."
        )
    return [word for word, _ in known], np.array([count for _, count in known], np.int64)


def _encode(documents: Iterable[Tokens], index: dict[str, int]) -> Iterator[tuple[np.ndarray, int]]:
    """The ids of the known words of each document, and the number of all its words."""
    for document in documents:
        numbers = np.array([*map(index.get, document, repeat(-1))], np.int32)
        yield numbers[numbers >= 0], len(numbers)

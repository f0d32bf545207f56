"""What `Word2Vec` has learned: a vocabulary, its tables of vectors, and the generator of the draws to come."""

import copy
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from scipy.sparse import csr_array

from rnnkit.word2vec.sampling import keep_probability, negative_probability
from rnnkit.word2vec.subword_hashing import subword_buckets


@dataclass
class State:
    """The vocabulary and the tables that are trained.

    Without sub-words, the table `rows` has the vector of each word. With them, it has a vector of each word, then one
    of each bucket that a word of the vocabulary has, and the vector of a word is the mean of its rows. Other buckets
    have learned nothing: their vectors are zero, and are kept nowhere.
    """

    vocabulary: list[str]
    counts: np.ndarray  # int64 (vocabulary,): 0 for words that came with their vectors and were in no text
    rows: np.ndarray  # float32 (vocabulary + used buckets, dimensions)
    context_vectors: np.ndarray  # float32 (vocabulary, dimensions)
    rng: np.random.Generator
    sizes: tuple[int, int, int] | None = None  # of the shortest and longest n-gram, and the number of buckets
    buckets: np.ndarray = field(default_factory=lambda: np.empty(0, np.int32))  # those used, sorted
    history: dict[str, list[float]] = field(default_factory=lambda: {"loss": [], "words_per_second": []})

    @classmethod
    def empty(cls, dimensions: int, seed: int, sizes: tuple[int, int, int] | None) -> "State":
        """No words yet."""
        nothing = np.empty((0, dimensions), np.float32)
        return cls([], np.empty(0, np.int64), nothing, nothing, np.random.default_rng(seed), sizes)

    def grown(self, words: list[str]) -> "State":
        """A copy with more words. Their vectors start uniform in +-0.5 / dimensions, their context vectors at zero."""
        known, dimensions = len(self.vocabulary), self.rows.shape[1]
        vocabulary, rng = self.vocabulary + words, copy.deepcopy(self.rng)
        buckets = self.buckets
        if self.sizes:
            buckets = np.union1d(buckets, subword_buckets(words, *self.sizes)[0]).astype(np.int32)
        started = np.isin(buckets, self.buckets)
        rows = np.empty((len(vocabulary) + len(buckets), dimensions), np.float32)
        rows[:known], of_buckets = self.rows[:known], rows[len(vocabulary) :]
        of_buckets[started] = self.rows[known:]
        rows[known : len(vocabulary)] = _start(rng, len(words), dimensions)
        of_buckets[~started] = _start(rng, len(buckets) - len(self.buckets), dimensions)
        context_vectors = np.zeros((len(vocabulary), dimensions), np.float32)
        context_vectors[:known] = self.context_vectors
        counts = np.concatenate([self.counts, np.zeros(len(words), np.int64)])
        history = copy.deepcopy(self.history)
        return State(vocabulary, counts, rows, context_vectors, rng, self.sizes, buckets, history)

    @cached_property
    def index(self) -> dict[str, int]:
        """The number of each word."""
        return {word: number for number, word in enumerate(self.vocabulary)}

    @cached_property
    def means(self) -> csr_array | None:
        """The matrix that makes the vectors of the words from `rows`; None where they are the same."""
        if not self.sizes:
            return None
        buckets, lengths = subword_buckets(self.vocabulary, *self.sizes)
        words = len(self.vocabulary)
        ends = np.cumsum(lengths + 1)
        rows = np.empty(len(buckets) + words, np.int32)
        own = ends - lengths - 1  # the row of the word itself comes first
        rows[own] = np.arange(words)
        of_buckets = np.ones(len(rows), bool)
        of_buckets[own] = False
        rows[of_buckets] = words + np.searchsorted(self.buckets, buckets)
        weights = np.repeat((1 / (lengths + 1)).astype(np.float32), lengths + 1)
        first = np.concatenate([[0], ends]).astype(np.int32)
        return csr_array((weights, rows, first), shape=(words, len(self.rows)))

    def vectors(self) -> np.ndarray:
        """The vectors of the words: `rows` itself without sub-words."""
        return self.rows if self.means is None else self.means @ self.rows

    def vectors_of_buckets(self, buckets: np.ndarray) -> np.ndarray:
        """The vector of each of some buckets."""
        vectors = np.zeros((len(buckets), self.rows.shape[1]), np.float32)
        if len(self.buckets):
            places = np.minimum(np.searchsorted(self.buckets, buckets), len(self.buckets) - 1)
            used = self.buckets[places] == buckets
            vectors[used] = self.rows[len(self.vocabulary) + places[used]]
        return vectors

    def keep(self, sample: float) -> np.ndarray:
        """The probability that an occurrence of each word is kept; of words without an occurrence, 1."""
        probability = np.ones(len(self.counts))
        probability[self.counts > 0] = keep_probability(self.counts[self.counts > 0], sample)
        return probability

    def negative(self) -> np.ndarray:
        """The probability that each word is drawn as a negative; of words without an occurrence, 0."""
        probability = np.zeros(len(self.counts))
        probability[self.counts > 0] = negative_probability(self.counts[self.counts > 0])
        return probability


def _start(rng, rows, dimensions):
    vectors = rng.random((rows, dimensions), dtype=np.float32)
    vectors -= 0.5
    vectors /= dimensions
    return vectors

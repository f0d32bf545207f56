"""Word2Vec: word vectors from text, by skip-gram or CBOW with negative sampling, in NumPy.

How it trains is in `trainer`; which pairs, words and negatives it trains on is in `sampling`; what it learns is in
`state`.
"""

import difflib
import json
import math
import os
import time
import warnings
import zipfile
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, Self, TypeAlias

import keras
import numpy as np
from threadpoolctl import threadpool_limits

from rnnkit.annotations import Tokens
from rnnkit.arguments import check_integer, check_positive_integer
from rnnkit.files import new_file
from rnnkit.text.vocabulary import Vocabulary
from rnnkit.word2vec.corpus import READ_AGAIN, count_words, encode, frequent_words
from rnnkit.word2vec.files import check_words_and_vectors, load_word2vec_format, save_word2vec_format
from rnnkit.word2vec.state import State
from rnnkit.word2vec.subword_hashing import check_subwords, subword_buckets
from rnnkit.word2vec.trainer import ARCHITECTURES, LARGEST_WINDOW, RATES, Trainer, stretches

Source: TypeAlias = Any  # a Word2Vec, gensim KeyedVectors, a path, or a pair of words and their vectors
AfterEpoch: TypeAlias = Callable[[int, dict[str, float]], object]


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

    As in scikit-learn, `fit` starts anew and `partial_fit` goes on: with more epochs, another text, and new words.

    With sub-words, the model is FastText's: the vector of a word is the mean of a vector of its own and those of its
    n-grams (`rnnkit.word2vec.subwords`), so that words of one stem share what they learn. A word that was in no text
    has a vector, too: the mean of its n-grams. N-grams are hashed into buckets; a bucket that no word of the vocabulary
    has is zero.

    Args:
        dimensions: length of a vector. Defaults to `100`.
        window: largest distance, in words, between a center and a word of its window; at most 50. Defaults to `5`.
        negatives: negative samples for each pair (skip-gram) or each center (CBOW). Defaults to `5`.
        architecture: `"skip_gram"` or `"cbow"`. Defaults to `"skip_gram"`.
        min_count: words that occur less often are ignored. Defaults to `5`.
        sample: threshold t of `keep_probability`; 0 keeps every word. Defaults to `1e-3`.
        seed: seed of all random draws, 0 or more. Defaults to `1`.
        subwords: the lengths of the shortest and the longest n-gram of a word, with its marks `<` and `>`, such as
            `(3, 6)`. Defaults to `None`: words have no parts.
        buckets: how many buckets there are for n-grams. Those that no word has cost nothing. Defaults to `2_000_000`.

    Raises:
        ValueError: an argument is out of range, the corpus cannot be used, or `fit` has not been called yet.
        KeyError: a word is not in the vocabulary, and has no n-grams either.

    Example:

    >>> from rnnkit.word2vec import Word2Vec
    >>> documents = [["the", "cat", "drinks", "milk"], ["the", "dog", "drinks", "water"]] * 20
    >>> model = Word2Vec(dimensions=8, min_count=1, sample=0).fit(documents, epochs=2, progress=False)
    >>> model.vectors.shape
    (6, 8)
    >>> model.vocabulary[:2], model["cat"].shape
    (['the', 'drinks'], (8,))
    >>> model.partial_fit([["the", "cow", "drinks", "water"]] * 20, epochs=1, progress=False).vocabulary[-1]
    'cow'
    >>> embedding, vocabulary = model.to_embedding()
    >>> tuple(embedding(vocabulary.encode([["the", "cow"]])).shape)
    (1, 2, 8)

    References:
        Mikolov et al., "Efficient estimation of word representations in vector space", 2013; Mikolov et al.,
        "Distributed representations of words and phrases and their compositionality", 2013; Bojanowski et al.,
        "Enriching word vectors with subword information", 2017; Khanzhina, "Recurrent neural networks", lecture, 2019;
        Jumadinova, "Recurrent neural networks (RNN)", lecture, 2021.
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
        subwords: tuple[int, int] | None = None,
        buckets: int = 2_000_000,
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
        self.subwords = None if subwords is None else check_subwords("Word2Vec", subwords, buckets)
        self.buckets = check_positive_integer("Word2Vec", "buckets", buckets)
        self._state: State | None = None
        self._vectors: np.ndarray

    def fit(
        self,
        documents: Iterable[Tokens],
        epochs: int = 10,
        progress: bool = True,
        learning_rate: tuple[float, float] | None = None,
        on_epoch_end: AfterEpoch | None = None,
        initial_vectors: Source = None,
    ) -> Self:
        """Learns the vocabulary and the vectors from scratch; an earlier result is replaced.

        If training is interrupted, the model has what it learned so far, once the first epoch is complete.

        Args:
            documents: the corpus: a list of token lists, or any object whose `__iter__` starts a new pass over token
                lists, such as one that reads a file line by line. A list is encoded once. Anything else may be larger
                than memory: it is read once for the vocabulary and once per epoch, and only the words with their
                counts and about 131,000 tokens at a time (or one document, if it is longer) are held. A generator can
                be read only once and is refused: write an `__iter__` that starts a new one.
            epochs: passes over the corpus. Defaults to `10`.
            progress: whether to print a line for each epoch: words read per second, and the loss of a pair
                (skip-gram) or center (CBOW), which starts at (1 + negatives) ln 2. Defaults to `True`.
            learning_rate: the learning rates of the first and of the last token; in between, it falls linearly.
                Defaults to `None`: those of word2vec.c, `(0.025, 1e-4)` for skip-gram and `(0.05, 1e-4)` for CBOW.
            on_epoch_end: is called after each epoch with its number, from 0, and its part of `history`, as in
                `keras.callbacks.LambdaCallback`. The model can be used in it. Defaults to `None`.
            initial_vectors: where the vectors of words that it has start: another `Word2Vec`, whose context vectors
                are taken as well; a gensim `KeyedVectors`; a file of `load_word2vec_format` (binary if its name has
                `.bin`), of which only the words of the vocabulary are kept; or a pair of words and a matrix. Defaults
                to `None`: all vectors start at random.

        Returns:
            The model itself.

        Raises:
            ValueError: epochs is not a positive integer; documents is not a corpus, has no word that occurs
                `min_count` times, or changes between two passes; the learning rates are not two numbers; the initial
                vectors have other dimensions, or none of the words.
        """
        check_positive_integer("Word2Vec.fit", "epochs", epochs)
        rates = self._rates("fit", learning_rate)
        counter = count_words(documents)
        words = frequent_words(counter, self.min_count)
        if not words:
            word, most = counter.most_common(1)[0]
            raise ValueError(
                f"Word2Vec expected a word that occurs min_count={self.min_count} times, received documents in which "
                f"the most frequent, {word!r}, occurs {most} times. Pass min_count={most} or less, or more text."
            )
        state = self._empty().grown(words)
        if initial_vectors is not None:
            self._start_from(state, initial_vectors)
        return self._train(state, documents, counter, epochs, progress, rates, on_epoch_end)

    def partial_fit(
        self,
        documents: Iterable[Tokens],
        epochs: int = 10,
        progress: bool = True,
        learning_rate: tuple[float, float] | None = None,
        on_epoch_end: AfterEpoch | None = None,
        new_words: bool = True,
    ) -> Self:
        """Goes on where the last `fit` or `partial_fit` ended, or the model that was saved then; first, it is a `fit`.

        The vectors, context vectors and random draws go on: two calls of 5 epochs give the same as one of 10, if the
        learning rates do. By default, each call starts at the higher rate again, which suits a new text; for more of
        the same, pass rates that join on, such as `(0.025, 0.0125)` and then `(0.0125, 1e-4)`.

        Args:
            documents: the text to go on with: the same one, or another. As for `fit`.
            epochs: as for `fit`. Defaults to `10`.
            progress: as for `fit`. Defaults to `True`.
            learning_rate: as for `fit`. Defaults to `None`.
            on_epoch_end: as for `fit`; the number of the epoch is counted from the last `fit`. Defaults to `None`.
            new_words: whether words that occur `min_count` times in these documents join the vocabulary, after the
                words that it has, which keep their numbers; and whether the documents' words are added to `counts`,
                which subsampling and the negatives depend on. Defaults to `True`.

        Returns:
            The model itself.

        Raises:
            ValueError: as for `fit`, or no word of the documents is in the vocabulary.
        """
        if self._state is None:
            return self.fit(documents, epochs, progress, learning_rate, on_epoch_end)
        check_positive_integer("Word2Vec.partial_fit", "epochs", epochs)
        rates = self._rates("partial_fit", learning_rate)
        counter = count_words(documents)
        known = self._state.index
        new = [word for word in frequent_words(counter, self.min_count) if word not in known] if new_words else []
        if not new and not any(word in known for word in counter):
            raise ValueError(
                f"Word2Vec.partial_fit expected documents with words of the vocabulary{_or_new(new_words)}, received "
                f"none, but such as {next(iter(counter))!r}. Pass another text, new_words=True, or a model with a "
                "smaller min_count."
            )
        state = self._state.grown(new)
        return self._train(state, documents, counter, epochs, progress, rates, on_epoch_end, new_words)

    @classmethod
    def from_vectors(cls, source: Source, **settings: Any) -> Self:
        """Makes a model of given vectors: to look at them, to write them, or to go on training with `partial_fit`.

        All words of the source are the vocabulary, in its order. Their counts are 0, as in no text yet: they are not
        drawn as negatives until they occur in one.

        Args:
            source: as `initial_vectors` of `fit`.
            **settings: other arguments of `Word2Vec`; `dimensions` are those of the vectors.

        Returns:
            The model.

        Raises:
            ValueError: the source has no words, or cannot be used; or settings has `subwords`, of which given vectors
                have none.

        Example:

        >>> from rnnkit.word2vec import Word2Vec
        >>> model = Word2Vec.from_vectors((["cat", "dog", "milk"], [[1, 0.1], [1, 0.2], [0, 1]]))
        >>> model.most_similar("cat", n=1)[0][0]
        'dog'
        """
        words, vectors, context_vectors = _read(source)
        if not words:
            raise ValueError("Word2Vec.from_vectors expected words with vectors, received none.")
        model = cls(**{"dimensions": vectors.shape[1], **settings})
        state = model._empty().grown(words)
        model._start_from(state, (words, vectors))
        if context_vectors is not None:
            state.context_vectors[:] = context_vectors
        model._remember(state)
        return model

    def _train(self, state, documents, counter, epochs, progress, rates, on_epoch_end, count=True):
        index = state.index
        known = {word: often for word, often in counter.items() if word in index}
        if count:
            state.counts[[index[word] for word in known]] += np.fromiter(known.values(), np.int64)
        if not state.counts.any():
            raise ValueError(
                "Word2Vec.partial_fit expected words that have been counted, received vectors without counts. Pass "
                "new_words=True for the first text."
            )
        trainer = Trainer(self, state, rates)
        in_memory = isinstance(documents, list | tuple)
        encoded = list(encode(documents, index)) if in_memory else None
        once, done, measured, longest = sum(known.values()), 0, False, 0
        first = len(state.history["loss"])
        for epoch in range(1, epochs + 1):
            start, words, losses = time.perf_counter(), 0, []
            with threadpool_limits(1, user_api="blas"):  # in many small products, BLAS's own threads would only wait
                for stretch, read in stretches(encoded if in_memory else encode(documents, index)):
                    tokens = sum(map(len, stretch))
                    longest = max(longest, *map(len, stretch))
                    if done + tokens > epoch * once:
                        break
                    losses += trainer.train(stretch, done / (epochs * once), (done + tokens) / (epochs * once))
                    words, done = words + read, done + tokens
            if done != epoch * once or tokens > once:
                raise ValueError(
                    f"Word2Vec expected documents to give the same text in each pass, received another text in "
                    f"epoch {epoch} than when the vocabulary was counted ({once} known words). {READ_AGAIN}"
                )
            measured = measured or bool(losses)
            logs = {
                "loss": float(np.mean(losses)) if losses else math.nan,
                "words_per_second": words / (time.perf_counter() - start),
            }
            for name, value in logs.items():
                state.history[name].append(value)
            self._remember(state)
            if progress:
                loss = f"{logs['loss']:.4f}" if losses else "not measured (no pair was kept)"
                print(f"epoch {epoch}/{epochs}: {logs['words_per_second']:,.0f} words/s, loss {loss}", flush=True)
            if on_epoch_end is not None:
                on_epoch_end(first + epoch - 1, logs)
        if not measured:
            if longest > 1:
                why = f"subsampling with sample={self.sample} left no two words side by side. Pass sample=0 for a text"
                why += " this small"
            elif len(known) == len(counter):
                why = "every document has a single word. Pass whole sentences or texts as documents"
            else:
                why = f"every document has a single word of the vocabulary. Pass a min_count below {self.min_count}, or"
                why += " longer documents"
            warnings.warn(f"Word2Vec learned nothing: {why}.", stacklevel=3)
        return self

    @property
    def vectors(self) -> np.ndarray:
        """The word vectors, float32 `(vocabulary, dimensions)`, in the order of `vocabulary`."""
        self._fitted()
        return self._vectors

    @property
    def context_vectors(self) -> np.ndarray:
        """The context vectors, float32 `(vocabulary, dimensions)`, in the order of `vocabulary`."""
        return self._fitted().context_vectors

    @property
    def history(self) -> dict[str, list[float]]:
        """The `loss` and the `words_per_second` of each epoch since the last `fit`.

        The loss is that of some batches of the epoch: of a pair (skip-gram) or a center (CBOW). It is NaN if no pair
        was kept.
        """
        return self._fitted().history

    @property
    def vocabulary(self) -> list[str]:
        """The known words: those of `fit` with the most frequent first, then those of each `partial_fit`."""
        return self._fitted().vocabulary

    @property
    def counts(self) -> np.ndarray:
        """How often each word of `vocabulary` occurs in the texts, each call's counted once, int64 `(vocabulary,)`."""
        return self._fitted().counts

    def __contains__(self, word: str) -> bool:
        """Returns whether a word is in the vocabulary; with sub-words, other words have vectors, too."""
        return word in self._fitted().index

    def __getitem__(self, word: str) -> np.ndarray:
        """Returns the vector of a word, float32 `(dimensions,)`; of any word with sub-words."""
        number = self._fitted().index.get(word)
        if number is not None:
            return self.vectors[number]
        if self.subwords is not None and isinstance(word, str):
            n_grams = self.subword_vectors(word)
            if len(n_grams):
                return n_grams.mean(axis=0)
        close = difflib.get_close_matches(str(word), self.vocabulary, n=3)
        hint = f" Close spellings: {', '.join(close)}." if close else ""
        raise KeyError(f"{word!r} is not in the vocabulary of {len(self.vocabulary)} words.{hint}")

    def subword_vectors(self, word: str) -> np.ndarray:
        """Looks up the vectors of the n-grams of a word, in the order of `rnnkit.word2vec.subwords`.

        Args:
            word: any word.

        Returns:
            float32 `(subwords, dimensions)`, zero for n-grams of whose bucket nothing was learned. Their mean is the
            vector of an unknown word.

        Raises:
            ValueError: the model has no sub-words, or `fit` has not been called yet.
        """
        state = self._fitted()
        if state.sizes is None:
            raise ValueError(
                "Word2Vec.subword_vectors expected a model with sub-words. Pass Word2Vec(subwords=(3, 6))."
            )
        return state.vectors_of_buckets(subword_buckets([word], *state.sizes)[0])

    def most_similar(self, words: str | Sequence[str], n: int = 10) -> list[tuple[str, float]]:
        """Finds the words nearest to a word, or to the mean of several.

        Args:
            words: a word, or a list of words.
            n: how many to return. Defaults to `10`.

        Returns:
            (word, cosine) pairs, the nearest first.

        Raises:
            ValueError: words is an empty list, n is not a positive integer, or `fit` has not been called yet.
            KeyError: a word is not in the vocabulary, and has no n-grams either.
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
            KeyError: a word is not in the vocabulary, and has no n-grams either.
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

    def to_embedding(
        self, unknown: str | None = "<unknown>", **options: Any
    ) -> tuple[keras.layers.Embedding, Vocabulary]:
        """Makes an embedding layer of the vectors, and the vocabulary that numbers words for it.

        Number 0 is padding: its vector is zero, and the layer masks it. Number 1 is `unknown`: its vector is the
        model's own if it is one of its words, otherwise the mean of all. The words follow in the order of `vocabulary`.
        With sub-words, these are the words of the vocabulary alone.

        Args:
            unknown: the token for words that are not in the vocabulary. Defaults to `"<unknown>"`; with `None` there is
                none, and such words raise an error in `Vocabulary.encode`.
            **options: arguments of `keras.layers.Embedding`, such as `name`, `trainable` (`False` keeps the vectors as
                they are) or `mask_zero`, which is `True` here by default.

        Returns:
            The layer, with its weights, and the `rnnkit.text.Vocabulary`.

        Raises:
            ValueError: a word is the empty string, or `fit` has not been called yet.
        """
        vocabulary = Vocabulary([self.vocabulary], unknown=unknown)
        vectors = np.zeros((len(vocabulary), self.dimensions), np.float32)
        vectors[[vocabulary[word] for word in self.vocabulary]] = self.vectors
        if unknown is not None and unknown not in self:
            vectors[vocabulary[unknown]] = self.vectors.mean(axis=0)
        embedding = keras.layers.Embedding(*vectors.shape, **{"mask_zero": True, **options})
        embedding.build((None, None))
        embedding.set_weights([vectors])
        return embedding, vocabulary

    def save_word2vec_format(self, path: str | os.PathLike[str], binary: bool = False) -> None:
        """Writes the words and their vectors for other programs: see `rnnkit.word2vec.save_word2vec_format`.

        Args:
            path: where to write; `.gz` is compressed.
            binary: whether to write the binary format. Defaults to `False`.

        Raises:
            ValueError: a word has a blank, or `fit` has not been called yet.
        """
        save_word2vec_format(path, self.vocabulary, self.vectors, binary)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes everything to one .npz file: settings, vocabulary, vectors, and what going on needs.

        If writing fails, the path is left as it was.

        Args:
            path: where to write.

        Raises:
            ValueError: `fit` has not been called yet.
        """
        state = self._fitted()
        text = {
            "settings": {name: getattr(self, name) for name in _SETTINGS},
            "vocabulary": state.vocabulary,
            "history": state.history,
            "generator": state.rng.bit_generator.state,
        }
        words = len(state.vocabulary)
        arrays: dict[str, Any] = {
            "vectors": state.rows[:words],
            "context_vectors": state.context_vectors,
            "counts": state.counts,
            "subword_vectors": state.rows[words:],
            "buckets": state.buckets,
            "text": np.frombuffer(json.dumps(text).encode(), np.uint8),
        }
        with new_file(path) as file:
            np.savez(file, **arrays)

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
            missing = {"vectors", "context_vectors", "counts", "subword_vectors", "buckets", "text"} - set(file)
            if missing:
                raise ValueError(
                    f"Word2Vec.load expected an .npz file that Word2Vec.save wrote, received {os.fspath(path)}, which "
                    f"has no {sorted(missing)}."
                )
            text = json.loads(file["text"].tobytes())
            model = cls(**text["settings"])
            state = model._empty()
            state.vocabulary, state.history = text["vocabulary"], text["history"]
            state.rows = np.concatenate([file["vectors"], file["subword_vectors"]])
            state.context_vectors, state.counts, state.buckets = (
                file[name] for name in ("context_vectors", "counts", "buckets")
            )
            state.rng.bit_generator.state = text["generator"]
            model._remember(state)
        return model

    def _empty(self):
        sizes = None if self.subwords is None else (*self.subwords, self.buckets)
        return State.empty(self.dimensions, self.seed, sizes)

    def _remember(self, state):
        self._state, self._vectors = state, state.vectors()

    def _rates(self, method, rates):
        if rates is None:
            return RATES[self.architecture]
        try:
            first, last = map(float, rates)
            if not (0 < first < math.inf and 0 <= last < math.inf):
                raise ValueError
        except (TypeError, ValueError):
            raise ValueError(
                f"Word2Vec.{method} expected learning_rate to be the first and the last one, numbers of at least 0, "
                f"received {rates!r:.60}. Pass (0.025, 0.025) to keep one."
            ) from None
        return first, last

    def _start_from(self, state, source):
        """Replaces the vectors of words that the source has."""
        if self.subwords is not None:
            raise ValueError(
                "Word2Vec expected subwords=None with given vectors, which have no vectors of n-grams, received "
                f"subwords={self.subwords}."
            )
        words, vectors, context_vectors = _read(source, only=state.index)
        if vectors.shape[1] != self.dimensions:
            raise ValueError(
                f"Word2Vec expected given vectors of dimensions={self.dimensions}, received {vectors.shape[1]}. Pass "
                f"Word2Vec(dimensions={vectors.shape[1]})."
            )
        found = [place for place, word in enumerate(words) if word in state.index]
        if not found:
            raise ValueError(
                f"Word2Vec expected given vectors of words of the vocabulary, such as {state.vocabulary[0]!r}, "
                f"received none of its {len(state.vocabulary)} words. Do the words differ in case?"
            )
        numbers = [state.index[words[place]] for place in found]
        state.rows[numbers] = vectors[found]
        if context_vectors is not None:
            state.context_vectors[numbers] = context_vectors[found]

    def _fitted(self) -> State:
        if self._state is None:
            raise ValueError("Word2Vec has no vectors yet: call fit(documents) first.")
        return self._state

    def _nearest(self, method, weighted_words, n):
        check_positive_integer(f"Word2Vec.{method}", "n", n)
        vectors = np.stack([self[word] for word, _ in weighted_words])
        tiny = np.finfo(np.float32).tiny
        vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), tiny)
        query = np.array([weight for _, weight in weighted_words], np.float32) @ vectors
        lengths = np.maximum(np.linalg.norm(self.vectors, axis=1), tiny)
        cosines = self.vectors @ query / (lengths * max(np.linalg.norm(query), tiny))
        known = {self._fitted().index[word] for word, _ in weighted_words if word in self}
        cosines[list(known)] = -np.inf
        found = np.argsort(-cosines, kind="stable")[: min(n, len(cosines) - len(known))]
        return [(self.vocabulary[number], float(cosines[number])) for number in found]


_SETTINGS = (
    "dimensions", "window", "negatives", "architecture", "min_count", "sample", "seed", "subwords", "buckets",
)  # fmt: skip


def _or_new(new_words):
    return " or that join it" if new_words else ""


def _read(source: Source, only: Collection[str] | None = None) -> tuple[list[str], np.ndarray, np.ndarray | None]:
    """The words, vectors and (from a `Word2Vec`) context vectors of a source; from a file, `only` some of them."""
    if isinstance(source, Word2Vec):
        return source.vocabulary, source.vectors, source.context_vectors
    if isinstance(source, str | os.PathLike):
        binary = ".bin" in os.path.basename(os.fspath(source))
        return *load_word2vec_format(source, binary=binary, only=only), None
    if hasattr(source, "index_to_key") and hasattr(source, "vectors"):
        pair = source.index_to_key, source.vectors
    elif isinstance(source, tuple | list) and len(source) == 2:
        pair = source
    else:
        raise ValueError(
            "Word2Vec expected vectors to be a Word2Vec, a gensim KeyedVectors, a path, or a pair of words and a "
            f"matrix, received {source!r:.60} of type {type(source).__name__}."
        )
    return *check_words_and_vectors("Word2Vec", *pair), None

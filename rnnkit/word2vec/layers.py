"""The two models of word2vec as Keras layers: skip-gram and CBOW."""

from typing import Any

import keras
import numpy as np
from keras import initializers, ops

from rnnkit.annotations import Config, Initializer, Mask, Shape, Tensor
from rnnkit.arguments import check_positive_integer
from rnnkit.ops.masking import without_padding


class _WordVectors(keras.layers.Layer):
    """The part that SkipGram and CBOW share: the tables of vectors v and context vectors u, and the scores u . v."""

    def __init__(
        self,
        vocabulary_size: int,
        dimensions: int,
        vectors_initializer: Initializer = None,
        context_initializer: Initializer = "zeros",
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        for name, value in (("vocabulary_size", vocabulary_size), ("dimensions", dimensions)):
            check_positive_integer(type(self).__name__, name, value)
        if vectors_initializer is None:
            vectors_initializer = initializers.RandomUniform(-0.5 / dimensions, 0.5 / dimensions)
        self.vocabulary_size = vocabulary_size
        self.dimensions = dimensions
        self.vectors_initializer = initializers.get(vectors_initializer)
        self.context_initializer = initializers.get(context_initializer)

    def build(self, ids_shape: Shape) -> None:
        shape = (self.vocabulary_size, self.dimensions)
        self.vector_table = self.add_weight(shape, self.vectors_initializer, name="vectors")
        self.context_table = self.add_weight(shape, self.context_initializer, name="context_vectors")

    @property
    def vectors(self) -> np.ndarray:
        """The word vectors v, a NumPy array `(vocabulary_size, dimensions)`."""
        return self._values("vector_table")

    @property
    def context_vectors(self) -> np.ndarray:
        """The context vectors u, a NumPy array `(vocabulary_size, dimensions)`."""
        return self._values("context_table")

    def get_config(self) -> Config:
        return {
            **super().get_config(),
            "vocabulary_size": self.vocabulary_size,
            "dimensions": self.dimensions,
            "vectors_initializer": initializers.serialize(self.vectors_initializer),
            "context_initializer": initializers.serialize(self.context_initializer),
        }

    def _scores(self, hidden, candidates):
        """u . hidden for each candidate, or for each word if there are no candidates."""
        if candidates is None:
            return ops.matmul(hidden, ops.transpose(self.context_table))
        self._check_ids("candidates", candidates, rank=2)
        return ops.einsum("bd,bnd->bn", hidden, ops.take(self.context_table, candidates, axis=0))

    def _scores_shape(self, ids_shape, candidates_shape):
        return (ids_shape[0], self.vocabulary_size if candidates_shape is None else candidates_shape[1])

    def _check_ids(self, name, ids, rank):
        if len(ids.shape) != rank:
            expected = {1: "(batch,)", 2: "(batch, n)"}[rank]
            raise ValueError(f"{type(self).__name__} expected {name} of shape {expected}, received {tuple(ids.shape)}.")
        dtype = keras.backend.standardize_dtype(ids.dtype)
        if "int" not in dtype:
            raise ValueError(f"{type(self).__name__} expected {name} to be integer ids, received {dtype}.")

    def _check_range(self, name, ids):
        """Raises an error for ids that no word has, in NumPy arrays and lists: in a graph, values are not known yet."""
        if isinstance(ids, np.ndarray | list | tuple) and np.size(ids):
            low, high = np.min(ids), np.max(ids)
            if low < 0 or high >= self.vocabulary_size:
                raise ValueError(
                    f"{type(self).__name__} expected {name} from 0 to {self.vocabulary_size - 1}, "
                    f"received ids from {low} to {high}."
                )

    def _values(self, name):
        if not self.built:
            raise ValueError(f"{type(self).__name__} has no vectors yet: call it on a batch first.")
        return ops.convert_to_numpy(getattr(self, name))


@keras.saving.register_keras_serializable(package="rnnkit")
class SkipGram(_WordVectors):
    """Scores words as the context of a center word.

        Pr(context = c | center = w) = exp(u_c . v_w) / sum over all words k of exp(u_k . v_w)

    Without candidates, the layer returns u_k . v_w for all words. That is the full softmax: train it with sparse
    categorical cross-entropy, -log Pr(context(w_i) | w_i). With candidates, it returns u_c . v_w for these alone. That
    is negative sampling: train it with binary cross-entropy on the true word and some drawn ones. Both losses need
    `from_logits=True`.

    Args:
        vocabulary_size: number of words.
        dimensions: length of a vector.
        vectors_initializer: initializer of v. Defaults to `None`: uniform in +-0.5 / dimensions, as in word2vec.c.
        context_initializer: initializer of u. Defaults to `"zeros"`.
        **kwargs: `name`, `dtype`, `trainable`.

    Call arguments:
        centers: integers `(batch,)`, the center words.
        candidates: integers `(batch, n)`, the words to score. Defaults to `None`: all words.

    Returns:
        Logits `(batch, n)`, or `(batch, vocabulary_size)`.

    Raises:
        ValueError: a size is not a positive integer; ids are not integers, have another shape, or (in NumPy arrays
            and lists) are outside the vocabulary.

    Example:

    >>> import numpy as np, rnnkit.layers
    >>> layer = rnnkit.layers.SkipGram(vocabulary_size=10, dimensions=4)
    >>> tuple(layer(np.array([1, 2, 3])).shape)
    (3, 10)
    >>> tuple(layer(np.array([1, 2, 3]), candidates=np.array([[4, 5], [6, 7], [8, 9]])).shape)
    (3, 2)
    >>> layer.vectors.shape
    (10, 4)

    References:
        Mikolov et al., "Efficient estimation of word representations in vector space", 2013; Khanzhina,
        "Recurrent neural networks", lecture, 2019; Jumadinova, "Recurrent neural networks (RNN)", lecture, 2021.
    """

    def __call__(self, centers: Tensor, candidates: Tensor = None, **kwargs: Any) -> Tensor:
        self._check_range("centers", centers)
        self._check_range("candidates", candidates)
        return super().__call__(centers, candidates=candidates, **kwargs)

    def call(self, centers: Tensor, candidates: Tensor = None) -> Tensor:
        self._check_ids("centers", centers, rank=1)
        return self._scores(ops.take(self.vector_table, centers, axis=0), candidates)

    def compute_output_shape(self, centers_shape: Shape, candidates_shape: Shape = None) -> Shape:
        return self._scores_shape(centers_shape, candidates_shape)


@keras.saving.register_keras_serializable(package="rnnkit")
class CBOW(_WordVectors):
    """Scores words as the center of a window ("continuous bag of words").

        h = mean of v_c over the words c of the window
        Pr(center = w | context) = exp(u_w . h) / sum over all words k of exp(u_k . h)

    Without candidates, the layer returns u_k . h for all words: the loss is -log Pr(w_i | context(w_i)). With
    candidates, it returns u_c . h for these alone. `SkipGram` explains the losses.

    Args:
        vocabulary_size: number of words.
        dimensions: length of a vector.
        vectors_initializer: initializer of v. Defaults to `None`: uniform in +-0.5 / dimensions, as in word2vec.c.
        context_initializer: initializer of u. Defaults to `"zeros"`.
        **kwargs: `name`, `dtype`, `trainable`.

    Call arguments:
        contexts: integers `(batch, window)`, the words around each center.
        candidates: integers `(batch, n)`, the words to score. Defaults to `None`: all words.
        mask: boolean `(batch, window)`, True where there is a word. A row without words has h = 0. Defaults to `None`:
            there is a word everywhere.

    Returns:
        Logits `(batch, n)`, or `(batch, vocabulary_size)`.

    Raises:
        ValueError: a size is not a positive integer; ids are not integers, have another shape, or (in NumPy arrays
            and lists) are outside the vocabulary; mask and contexts differ in shape.

    Example:

    >>> import numpy as np, rnnkit.layers
    >>> layer = rnnkit.layers.CBOW(vocabulary_size=10, dimensions=4)
    >>> contexts, mask = np.array([[1, 2, 3], [4, 0, 0]]), np.array([[True, True, True], [True, False, False]])
    >>> tuple(layer(contexts, mask=mask).shape)
    (2, 10)

    References:
        Mikolov et al., "Efficient estimation of word representations in vector space", 2013; Khanzhina,
        "Recurrent neural networks", lecture, 2019; Jumadinova, "Recurrent neural networks (RNN)", lecture, 2021.
    """

    def __call__(self, contexts: Tensor, candidates: Tensor = None, mask: Mask = None, **kwargs: Any) -> Tensor:
        exists = mask if isinstance(contexts, np.ndarray | list | tuple) else None
        if exists is not None and np.shape(exists) == np.shape(contexts):
            exists = ops.convert_to_numpy(exists).astype(bool)
            contexts = np.where(exists, contexts, 0)
        self._check_range("contexts", contexts)
        self._check_range("candidates", candidates)
        return super().__call__(contexts, candidates=candidates, mask=mask, **kwargs)

    def call(self, contexts: Tensor, candidates: Tensor = None, mask: Mask = None) -> Tensor:
        self._check_ids("contexts", contexts, rank=2)
        if mask is None:
            return self._scores(ops.mean(ops.take(self.vector_table, contexts, axis=0), axis=1), candidates)
        if tuple(mask.shape) != tuple(contexts.shape):
            raise ValueError(
                f"CBOW expected a mask of the shape of contexts, {tuple(contexts.shape)}, received {tuple(mask.shape)}."
            )
        mask = ops.cast(mask, "bool")
        contexts = without_padding(contexts, mask)
        vectors = ops.take(self.vector_table, contexts, axis=0)
        exists = ops.cast(mask, vectors.dtype)
        words = ops.maximum(ops.sum(exists, axis=1, keepdims=True), 1)
        return self._scores(ops.sum(vectors * exists[:, :, None], axis=1) / words, candidates)

    def compute_output_shape(self, contexts_shape: Shape, candidates_shape: Shape = None) -> Shape:
        return self._scores_shape(contexts_shape, candidates_shape)

    def compute_mask(self, contexts: Tensor, previous: Mask = None) -> None:
        return None

"""Encodes the sentences of documents."""

import inspect
from typing import Any

import keras
from keras import ops, tree

from rnnkit.annotations import Mask, Shape, Tensor, Tensors
from rnnkit.arguments import agree
from rnnkit.layers.plain_loop import PlainLoopOfAll
from rnnkit.layers.ragged import padded
from rnnkit.ops.masking import without_padding


@keras.saving.register_keras_serializable(package="rnnkit")
class SentenceEncoder(PlainLoopOfAll, keras.layers.Wrapper):
    """Encodes each sentence of a document with the same layer: the lower half of a hierarchical network.

    Its output has one vector per sentence. The next recurrent layer reads a document as a sequence of sentences, with a
    mask of those that have at least one word. Documents are padded twice, with words at the ends of sentences and with
    whole sentences; neither kind of padding, even if it is NaN, changes a result or a gradient.

    `keras.layers.TimeDistributed` computes the same vectors with a recurrent layer of rnnkit. It differs in three ways:
    it hands the mask of the words to the next layer, which expects one of sentences (none from Keras 3.16 on); what
    comes from a sentence of padding is whatever the layer makes of it; and the layer runs once for each sentence of a
    document instead of once for all.

    Args:
        layer: what encodes a sentence: a recurrent layer, `Bidirectional`, `Stacked`, or any layer or model from
            `(batch, words, ...)` to tensors that start with the batch. It must not be stateful.
        **kwargs: `name`, `dtype` (by default, that of the layer), `trainable`.

    Call arguments:
        documents: tensor `(batch, sentences, words, features)`, or `(batch, sentences, words)` for a model that embeds
            words.
        mask: boolean tensor `(batch, sentences, words)`, True at words; or `(batch, sentences)`, True at sentences,
            whose words are all read. An `Embedding(mask_zero=True)` in front passes the first kind on.
        training: whether this is a training run. Defaults to `None`.

    Returns:
        `(batch, sentences, features)`, zeros for sentences of padding; `(batch, sentences, words, features)` if the
        layer returns sequences. With states, if the layer returns them, each `(batch, sentences, ...)`.

    Raises:
        ValueError: `layer` is not a layer, or is stateful; documents or mask have the wrong shape.

    Example:

    >>> import keras, numpy as np, rnnkit.layers
    >>> words = keras.Input((None, None), dtype="int32")  # documents x sentences x words, 0 in the padding
    >>> vectors = keras.layers.Embedding(100, 8, mask_zero=True)(words)
    >>> sentences = rnnkit.layers.SentenceEncoder(rnnkit.layers.Bidirectional(rnnkit.layers.GRU(4)))(vectors)
    >>> document = rnnkit.layers.GRU(6)(sentences)
    >>> model = keras.Model(words, keras.layers.Dense(2, activation="softmax")(document))
    >>> two = np.array([[[3, 5, 2], [7, 1, 0]], [[4, 9, 0], [0, 0, 0]]])
    >>> model.predict(two, verbose=0).shape
    (2, 2)

    References:
        Yang, Yang, Dyer, He, Smola and Hovy, "Hierarchical attention networks for document classification", 2016.
    """

    def __init__(self, layer: keras.layers.Layer, **kwargs: Any):
        if not isinstance(layer, keras.layers.Layer):
            raise ValueError(f"SentenceEncoder expected a layer that encodes one sentence, received {layer!r}.")
        if getattr(layer, "stateful", False):
            raise ValueError(
                f"SentenceEncoder runs layer {layer.name!r} over many sentences at once, but it is stateful: none of "
                "them is the one before. Use stateful=False."
            )
        if kwargs.get("dtype") is None:
            kwargs["dtype"] = layer.dtype_policy
        super().__init__(layer, **kwargs)
        self.supports_masking = True

    def build(self, documents_shape: Shape) -> None:
        if not self.layer.built:
            self.layer.build(_of_sentences(self, documents_shape))
        self.built = True

    def call(self, documents: Tensor, mask: Mask = None, training: bool | None = None) -> Tensors:
        documents, mask = self._checked(documents, mask)
        batch, sentences, words, *features = ops.shape(documents)
        documents = ops.reshape(without_padding(documents, mask), (-1, words, *features))
        arguments = {"mask": _of_words(mask, lambda mask: ops.reshape(mask, (-1, words))), "training": training}
        taken = inspect.signature(self.layer.call).parameters
        outputs = self.layer(documents, **{name: value for name, value in arguments.items() if name in taken})
        has_words = _of_words(mask, lambda mask: ops.any(mask, axis=-1), otherwise=mask)

        def of_documents(output):
            return without_padding(ops.reshape(output, (batch, sentences, *ops.shape(output)[1:])), has_words)

        return tree.map_structure(of_documents, outputs)

    def compute_mask(self, documents: Tensor, mask: Mask = None) -> Any:
        documents, mask = self._checked(documents, tree.flatten(mask)[0])
        if not getattr(self.layer, "return_sequences", False):
            mask = _of_words(mask, lambda mask: ops.any(mask, axis=-1), otherwise=mask)
        shapes = self.compute_output_shape(documents.shape)
        return mask if _is_shape(shapes) else [mask] + [None] * (len(shapes) - 1)

    def compute_output_shape(self, documents_shape: Shape) -> Any:
        batch, sentences, *_ = documents_shape
        shapes = self.layer.compute_output_shape(_of_sentences(self, documents_shape))
        if _is_shape(shapes):
            return (batch, sentences, *shapes[1:])
        return tuple((batch, sentences, *shape[1:]) for shape in shapes)

    def switched(self) -> list:
        return [self.layer]

    def _checked(self, documents, mask):
        """Both padded, and the mask as booleans, if its shape is one of the two."""
        documents, mask = padded(documents, mask)
        mask = None if mask is None else ops.convert_to_tensor(mask, dtype="bool")
        _of_sentences(self, documents.shape)
        shape = tuple(documents.shape)
        if mask is not None and (len(mask.shape) not in (2, 3) or not agree(mask.shape, shape[: len(mask.shape)])):
            raise ValueError(
                f"Layer {self.name!r} expected a mask of words {shape[:3]} or of sentences {shape[:2]}, received shape "
                f"{tuple(mask.shape)}."
            )
        return documents, mask


def _of_words(mask, function, otherwise=None):
    """`function` of a mask of words; `otherwise` for a mask of sentences, or for none."""
    return function(mask) if mask is not None and len(mask.shape) == 3 else otherwise


def _of_sentences(layer, documents_shape):
    if len(documents_shape) < 3 or 0 in documents_shape[1:3]:
        raise ValueError(
            f"Layer {layer.name!r} expected documents (batch, sentences, words, features), or (batch, sentences, "
            f"words) for a model that embeds words, with one or more of each, received {tuple(documents_shape)}."
        )
    batch, sentences, *rest = documents_shape
    return (None if batch is None or sentences is None else batch * sentences, *rest)


def _is_shape(shapes):
    return not isinstance(shapes[-1], tuple | list)

"""RaggedTensors as input: what comes out equals what padded rows with a mask give."""

import keras
import numpy as np
import pytest

from rnnkit import layers

LENGTHS = [2, 4, 0, 3]

if keras.backend.backend() != "tensorflow":
    pytest.skip("only TensorFlow has ragged tensors", allow_module_level=True)

import tensorflow as tf  # noqa: E402


def recurrent(kind, **options):
    layer = {"LSTM": layers.LSTM, "GRU": layers.GRU, "Elman": layers.Elman}.get(kind, layers.PeepholeLSTM)
    options.setdefault("return_sequences", True)
    if kind == "Keras's Bidirectional":
        return keras.layers.Bidirectional(layer(3, **options))
    if kind == "Bidirectional":
        return layers.Bidirectional(layer(3, **options))
    if kind == "Stacked":
        return layers.Stacked([layer(3), layers.LSTM(3)], residual=True, **options)
    return layer(3, **options)


KINDS = ["LSTM", "GRU", "Elman", "PeepholeLSTM", "Bidirectional", "Keras's Bidirectional", "Stacked"]


@pytest.fixture
def ragged():
    return tf.RaggedTensor.from_row_lengths(keras.random.normal((sum(LENGTHS), 5)), LENGTHS)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("options", [{}, {"return_sequences": False}, {"return_state": True}], ids=str)
def test_equals_padded_rows_with_a_mask(kind, options, ragged):
    layer = recurrent(kind, **options)
    mask = np.arange(4) < np.array(LENGTHS)[:, None]
    want = layer(ragged.to_tensor(), mask=tf.constant(mask))
    got = layer(ragged)
    for a, b in zip(keras.tree.flatten(got), keras.tree.flatten(want), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)
    carried = getattr(keras.tree.flatten(got)[0], "_keras_mask", None)
    if kind != "Keras's Bidirectional":  # which makes no mask of its own
        assert (carried is None) == (options == {"return_sequences": False})
    if carried is not None:
        np.testing.assert_array_equal(carried, mask)


# Keras's Bidirectional hands on the ragged mask of the embedding, which no layer of Keras takes.
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "Keras's Bidirectional"])
def test_model_with_words_that_trains_is_saved_and_takes_any_batch(kind, tmp_path):
    words = tf.ragged.constant([[1, 2, 3], [4], [2, 0, 2, 1]])  # a 0 inside of a row is masked by mask_zero
    inputs = keras.Input((None,), ragged=True, dtype="int32")
    tagged = recurrent(kind)(keras.layers.Embedding(5, 4, mask_zero=True)(inputs))
    model = keras.Model(inputs, keras.layers.Dense(1)(keras.layers.GlobalAveragePooling1D()(tagged)))
    model.compile("sgd", "mse")
    model.fit(words, np.ones((3, 1)), batch_size=2, verbose=0)
    whole = model.predict(words, verbose=0)
    path = str(tmp_path / "model.keras")
    model.save(path)
    np.testing.assert_allclose(keras.models.load_model(path).predict(words, verbose=0), whole, atol=1e-6)
    embedding, layer, dense = [layer for layer in model.layers if layer.weights]
    twin = keras.Sequential([embedding, layer, keras.layers.GlobalAveragePooling1D(), dense])
    np.testing.assert_allclose(twin.predict(words.to_tensor(), verbose=0), whole, atol=1e-6)


def test_documents():
    """Words of sentences of documents, both ragged; a document without sentences, and a sentence without words."""
    documents = tf.ragged.constant([[[[1.0], [2.0]], [], [[3.0]]], [], [[[4.0]]]], ragged_rank=2)
    encoder = layers.SentenceEncoder(layers.GRU(3))
    padded = documents.to_tensor()
    mask = tf.sequence_mask([[2, 0, 1], [0, 0, 0], [1, 0, 0]], 2)
    got = encoder(documents)
    np.testing.assert_allclose(got, encoder(padded, mask=mask), atol=1e-6)
    np.testing.assert_array_equal(got._keras_mask, np.any(mask, axis=-1))
    document = layers.LSTM(2)
    np.testing.assert_allclose(document(got), document(encoder(padded, mask=mask), mask=np.any(mask, -1)), atol=1e-6)


def test_features_that_are_ragged_are_refused():
    with pytest.raises(ValueError, match="known number of input features"):
        layers.LSTM(3)(tf.ragged.constant([[[1.0, 2.0]], [[3.0], [1.0, 2.0]]]))

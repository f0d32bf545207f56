"""Documents: the oracle reads each sentence by itself, without its padding, and then the sentences that have words."""

import keras
import numpy as np
import pytest
from keras import ops

from rnnkit import backend
from rnnkit.layers import GRU, LSTM, Bidirectional, Elman, LearnedInitialState, Recurrent, SentenceEncoder, Stacked
from tests import oracles
from tests.layer_checks import EAGER, stateless, to_numpy

BATCH, SENTENCES, WORDS, FEATURES = 4, 3, 5, 2
LENGTHS = np.array([[5, 2, 0], [1, 0, 3], [0, 0, 0], [2, 4, 5]])  # an empty sentence inside, an empty document
MASK = np.arange(WORDS) < LENGTHS[..., None]
MASK[3, 2] = [True, False, True, False, True]
HAS_WORDS = MASK.any(axis=-1)
DOCUMENTS = np.random.default_rng(1).normal(size=(*MASK.shape, FEATURES)).astype("float32")
ENCODERS = {
    "LSTM": lambda **on: LSTM(3, **on),
    "GRU backward": lambda **on: GRU(3, go_backwards=True, **on),
    "Elman": lambda **on: Elman(3, output_units=2, **on),
    "Recurrent": lambda **on: Recurrent(keras.layers.LSTMCell(3), **on),
    "Bidirectional": lambda **on: Bidirectional(LSTM(3, **on)),
    "Stacked": lambda **on: Stacked([LSTM(3), Bidirectional(GRU(2))], **on),
    "LearnedInitialState": lambda **on: LearnedInitialState(GRU(3, **on), initializer="ones"),
}


def alone(layer, document, masked):
    """What the layer makes of each sentence alone, without its padding; zeros for those without words."""
    width = layer.compute_output_shape((1, WORDS, FEATURES))[-1]
    outputs = np.zeros((SENTENCES, width), "float32")
    for s in range(SENTENCES):
        if masked[s].any():
            outputs[s] = to_numpy(layer(document[s][masked[s]][None]))[0]
    return outputs


@pytest.mark.parametrize("name", [pytest.param(n, marks=[] if n == "LSTM" else pytest.mark.slow) for n in ENCODERS])
def test_each_sentence_is_encoded_as_if_alone(name):
    layer = ENCODERS[name]()
    encoder = SentenceEncoder(layer)
    dirty = np.where(MASK[..., None], DOCUMENTS, np.nan)
    outputs = to_numpy(encoder(dirty, mask=MASK))
    expected = [alone(layer, document, masked) for document, masked in zip(DOCUMENTS, MASK, strict=True)]
    np.testing.assert_allclose(outputs, expected, atol=2e-6)
    assert outputs.shape == encoder.compute_output_shape(DOCUMENTS.shape)
    assert not outputs[~HAS_WORDS].any()
    without = to_numpy(encoder(DOCUMENTS))
    whole = np.stack([to_numpy(layer(document)) for document in DOCUMENTS])
    np.testing.assert_allclose(without, whole, atol=2e-6)


def hierarchy(sentences=SENTENCES, words=WORDS):
    """An LSTM over the vectors that another one makes of sentences."""
    documents, mask = keras.Input((sentences, words, FEATURES)), keras.Input((sentences, words), dtype="bool")
    vectors = SentenceEncoder(LSTM(3))(documents, mask=mask)
    model = keras.Model([documents, mask], Elman(2)(vectors))
    rng = np.random.default_rng(7)
    model.set_weights([rng.normal(scale=0.6, size=weight.shape) for weight in model.get_weights()])
    return model


def read_in_numpy(weights, documents):
    """The same, one sentence after the other, in float64."""
    outputs = np.zeros((BATCH, 2))
    for b in range(BATCH):
        vectors = np.zeros((1, SENTENCES, 3))
        for s in np.flatnonzero(HAS_WORDS[b]):
            x = documents[b, s][MASK[b, s]][None]
            vectors[0, s] = oracles.run(oracles.lstm_step, weights[:3], x, [np.zeros((1, 3))] * 2)[0][:, -1]
        if HAS_WORDS[b].any():
            x = vectors[:, HAS_WORDS[b]]
            outputs[b] = oracles.run(oracles.elman_step, weights[3:], x, [np.zeros((1, 2))])[0][:, -1]
    return outputs


@pytest.mark.parametrize("sizes", [(SENTENCES, WORDS), (None, None), (SENTENCES, None), (None, WORDS)])
def test_a_hierarchy_equals_a_loop_in_numpy(sizes):
    model = hierarchy(*sizes)
    expected = read_in_numpy(model.get_weights(), DOCUMENTS)
    dirty = np.where(MASK[..., None], DOCUMENTS, np.nan)
    np.testing.assert_allclose(model.predict([dirty, MASK], verbose=0), expected, atol=2e-6)
    np.testing.assert_allclose(to_numpy(model([dirty, MASK])), expected, atol=2e-6)


def test_its_gradients_are_those_of_the_loop():
    model, coefficients = hierarchy(), np.random.default_rng(5).normal(size=(BATCH, 2)).astype("float32")
    weights, dirty = model.get_weights(), np.where(MASK[..., None], DOCUMENTS, np.nan)

    others = [variable.value for variable in model.non_trainable_variables]

    def loss(*tensors):
        outputs, _ = model.stateless_call(tensors, others, [ops.convert_to_tensor(dirty), ops.convert_to_tensor(MASK)])
        return ops.sum(outputs * ops.convert_to_tensor(coefficients))

    gradients = backend.gradient(loss, [ops.convert_to_tensor(weight) for weight in weights])
    for index, gradient in enumerate(gradients):

        def numpy_loss(array, index=index):
            changed = [*weights[:index], array, *weights[index + 1 :]]
            return float((read_in_numpy(changed, DOCUMENTS) * coefficients).sum())

        expected = oracles.numerical_gradient(numpy_loss, weights[index])
        np.testing.assert_allclose(to_numpy(gradient), expected, atol=2e-5)


def test_what_is_in_the_padding_has_no_gradient():
    encoder = SentenceEncoder(LSTM(3))
    encoder(DOCUMENTS)
    weights = [ops.convert_to_tensor(weight) for weight in encoder.get_weights()]

    def loss(documents):
        return ops.sum(ops.square(stateless(encoder, weights, documents, mask=ops.convert_to_tensor(MASK))[0]))

    (gradient,) = backend.gradient(loss, [ops.convert_to_tensor(np.where(MASK[..., None], DOCUMENTS, 1e6))])
    gradient = to_numpy(gradient)
    assert np.isfinite(gradient).all() and not gradient[~MASK].any() and gradient[MASK].all()


def classifier():
    words = keras.Input((None, None), dtype="int32")
    vectors = keras.layers.Embedding(9, 4, mask_zero=True)(words)
    document = GRU(4)(SentenceEncoder(Bidirectional(GRU(3)))(vectors))
    model = keras.Model(words, keras.layers.Dense(1)(document))
    model.compile(keras.optimizers.SGD(0.1), "mse")
    return model


def test_an_embedding_passes_its_mask_through_both_levels(tmp_path):
    words = np.where(MASK, np.random.default_rng(2).integers(1, 9, MASK.shape), 0)
    targets, model = np.arange(BATCH, dtype="float32")[:, None], classifier()
    padded = np.pad(words, ((0, 0), (0, 2), (0, 1)))
    expected = to_numpy(model(words))
    np.testing.assert_allclose(to_numpy(model(padded)), expected, atol=1e-6)
    model.save(tmp_path / "documents.keras")
    loaded = keras.saving.load_model(tmp_path / "documents.keras")
    np.testing.assert_array_equal(to_numpy(loaded(words)), expected)
    loaded.compile(keras.optimizers.SGD(0.1), "mse", run_eagerly=EAGER)
    loaded.train_on_batch(words, targets)
    model.fit(padded, targets, batch_size=BATCH, verbose=0)
    for weight, same in zip(model.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_allclose(weight, same, atol=2e-6)


def test_a_model_that_embeds_words():
    """It knows no mask, and what it makes of sentences of padding is left out."""
    inner = keras.Sequential([keras.Input((WORDS,)), keras.layers.Embedding(9, 4), keras.layers.Flatten()])
    words = np.where(MASK, np.random.default_rng(2).integers(1, 9, MASK.shape), 0)
    encoder = SentenceEncoder(inner)
    outputs = to_numpy(encoder(words, mask=HAS_WORDS))
    expected = to_numpy(inner(words.reshape(-1, WORDS))).reshape(BATCH, SENTENCES, -1)
    np.testing.assert_array_equal(outputs, np.where(HAS_WORDS[..., None], expected, 0.0))


def test_sequences_and_states():
    encoder = SentenceEncoder(LSTM(3, return_sequences=True, return_state=True))
    outputs, h, C = encoder(DOCUMENTS, mask=MASK)
    assert [tuple(x.shape) for x in (outputs, h, C)] == list(encoder.compute_output_shape(DOCUMENTS.shape))
    alone = encoder.layer(DOCUMENTS[3], mask=MASK[3])
    for value, expected in zip((outputs, h, C), alone, strict=True):
        np.testing.assert_allclose(to_numpy(value)[3], to_numpy(expected), atol=1e-6)
    mask, *others = encoder.compute_mask(ops.convert_to_tensor(DOCUMENTS), MASK)
    np.testing.assert_array_equal(to_numpy(mask), MASK)
    assert others == [None, None]


def test_a_mask_of_sentences():
    encoder = SentenceEncoder(GRU(3))
    outputs = encoder(DOCUMENTS, mask=HAS_WORDS)
    np.testing.assert_array_equal(
        to_numpy(outputs), to_numpy(encoder(DOCUMENTS, mask=np.repeat(HAS_WORDS[..., None], WORDS, axis=-1)))
    )
    mask = encoder.compute_mask(ops.convert_to_tensor(DOCUMENTS), MASK)
    np.testing.assert_array_equal(to_numpy(mask), HAS_WORDS)


@pytest.mark.parametrize("shape", [(BATCH, SENTENCES, WORDS + 1), (BATCH, WORDS), (BATCH,), (*MASK.shape, 1)])
def test_masks_of_the_wrong_shape(shape):
    with pytest.raises(ValueError, match=r"expected a mask of words \(4, 3, 5\) or of sentences \(4, 3\), received"):
        SentenceEncoder(GRU(3))(DOCUMENTS, mask=np.ones(shape, bool))


@pytest.mark.parametrize("shape", [(4, 3), (4, 0, 5, 2), (4, 3, 0, 2)])
def test_documents_of_the_wrong_shape(shape):
    with pytest.raises(ValueError, match=r"expected documents \(batch, sentences, words, features\).*received \(4, "):
        SentenceEncoder(GRU(3))(np.zeros(shape, "float32"))


def test_what_encodes_no_sentence():
    with pytest.raises(ValueError, match="expected a layer that encodes one sentence, received 3"):
        SentenceEncoder(3)
    with pytest.raises(ValueError, match="stateful: none of them is the one before"):
        SentenceEncoder(GRU(3, stateful=True))

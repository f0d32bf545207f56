"""Searches inside compiled functions and served models, with any batch."""

import subprocess
import sys

import keras
import numpy as np
import pytest

from rnnkit import decoding, layers

if keras.backend.backend() != "tensorflow":
    pytest.skip("tf.function and SavedModel", allow_module_level=True)

import tensorflow as tf

START, END, LENGTH, TOKENS, UNITS = 1, 2, 6, 9, 4


@pytest.fixture(scope="module")
def decoder():
    keras.utils.set_random_seed(0)
    cell = layers.AttentionCell(layers.GRUCell(UNITS), layers.LuongAttention(UNITS))
    decoder = layers.Decoder(keras.layers.Embedding(TOKENS, 3), cell, keras.layers.Dense(TOKENS))
    decoder(np.array([[1, 2]] * 3), initial_state=first_states(cell, *inputs(3)))
    for weight in decoder.weights:
        weight.assign(keras.random.normal(weight.shape, stddev=1.5))
    return decoder


def inputs(batch):
    rng = np.random.default_rng(batch)
    return rng.normal(size=(batch, 5, UNITS)).astype("float32"), rng.normal(size=(batch, UNITS)).astype("float32")


def first_states(cell, memory, state):
    return cell.initial_state(memory, None, [state])


SEARCHES = {
    "greedy": decoding.greedy_search,
    "beam": lambda *args: decoding.beam_search(*args, width=3, n_best=2, length_penalty=0.6),
    "told": lambda *args: decoding.beam_search(*args, width=3, prefix=[3, 4], no_repeat=2, forbidden=[6]),
}
CLIENT = """
import sys
import numpy as np, tensorflow as tf
served = tf.saved_model.load(sys.argv[1])
for batch in (3, 1):
    rng = np.random.default_rng(batch)
    memory, state = (rng.normal(size=shape).astype("float32") for shape in ((batch, 5, 4), (batch, 4)))
    for name, search in served.signatures.items():
        found = search(memory=tf.constant(memory), state=tf.constant(state))
        np.savez(f"{sys.argv[1]}/{name} {batch}.npz", **{key: value.numpy() for key, value in found.items()})
assert "rnnkit" not in sys.modules
"""


def test_a_served_search_is_the_search(decoder, tmp_path):
    signature = [tf.TensorSpec((None, 5, UNITS), name="memory"), tf.TensorSpec((None, UNITS), name="state")]
    module, expected, folder = tf.Module(), {}, str(tmp_path / "served")
    module.decoder, signatures = decoder, {}
    for name, search in SEARCHES.items():

        def run(memory, state, search=search):
            return search(decoder, first_states(decoder.cell, memory, state), START, END, LENGTH)._asdict()

        expected |= {f"{name} {batch}": run(*inputs(batch)) for batch in (3, 1)}
        signatures[name] = tf.function(
            lambda memory, state, run=run: {
                key: value for key, value in run(memory, state).items() if value is not None
            },
            input_signature=signature,
        )
    tf.saved_model.save(module, folder, signatures=signatures)
    client = subprocess.run([sys.executable, "-c", CLIENT, folder], capture_output=True, text=True)
    assert client.returncode == 0, client.stderr
    for name, found in expected.items():
        served = np.load(f"{folder}/{name}.npz")
        np.testing.assert_array_equal(served["tokens"], found["tokens"], err_msg=name)
        for key in ("scores", "alignments"):
            np.testing.assert_allclose(served[key], found[key], atol=1e-5, err_msg=name)


def test_samples_are_drawn_in_a_compiled_function(decoder):
    @tf.function(input_signature=[tf.TensorSpec((None, 5, UNITS)), tf.TensorSpec((None, UNITS))])
    def draw(memory, state):
        states = first_states(decoder.cell, memory, state)
        return decoding.sample(decoder, states, START, END, LENGTH, seed=3, forbidden=[5]).tokens

    one, two = draw(*inputs(3)), draw(*inputs(3))
    np.testing.assert_array_equal(one, two)
    assert one.shape == (3, LENGTH) and not (one.numpy() == 5).any()
    assert draw(*inputs(2)).shape == (2, LENGTH)


def test_prefixes_come_in_as_a_tensor(decoder):
    @tf.function(
        input_signature=[
            tf.TensorSpec((None, 5, UNITS)),
            tf.TensorSpec((None, UNITS)),
            tf.TensorSpec((None, 3), "int32"),
        ]
    )
    def search(memory, state, prefix):
        states = first_states(decoder.cell, memory, state)
        return decoding.greedy_search(decoder, states, START, END, LENGTH, prefix=prefix).tokens

    memory, state = inputs(3)
    prefix = np.array([[0, 3, 4], [5, 0, 0], [0, 0, 0]], "int32")
    expected = decoding.greedy_search(
        decoder, first_states(decoder.cell, memory, state), START, END, LENGTH, prefix=prefix
    )
    np.testing.assert_array_equal(search(memory, state, prefix), expected.tokens)


def test_what_is_unknown_there_is_refused(decoder):
    @tf.function
    def search(memory, state, length):
        return decoding.greedy_search(decoder, first_states(decoder.cell, memory, state), START, END, length).tokens

    with pytest.raises(ValueError, match="max_length"):
        search(*inputs(2), tf.constant(4))


TRANSLATOR_CLIENT = """
import sys
import numpy as np, tensorflow as tf
served = tf.saved_model.load(sys.argv[1])
for batch in (3, 1):
    source = np.random.default_rng(batch).integers(1, 9, (batch, 4)).astype("int32")
    found = served.serve(tf.constant(source))
    np.savez(f"{sys.argv[1]}/{batch}.npz", **{key: value.numpy() for key, value in found.items()})
assert "rnnkit" not in sys.modules
"""


def test_a_loaded_training_model_is_served(tmp_path):
    """From a file of the model that was trained to its encoder and decoder, by public names, and to a servable."""
    keras.utils.set_random_seed(0)
    source, target = keras.Input((None,), dtype="int32", name="source"), keras.Input((None,), dtype="int32")
    embedding = keras.layers.Embedding(TOKENS, 3, mask_zero=True)
    encoder = layers.Bidirectional(layers.GRU(UNITS, return_sequences=True, return_state=True), name="encoder")
    memory, *states = encoder(embedding(source))
    cell = layers.AttentionCell(layers.GRUCell(UNITS), layers.LuongAttention(UNITS))
    first = cell.initial_state(memory, embedding.compute_mask(source), layers.Bridge(cell.cell, name="bridge")(states))
    decoder = layers.Decoder(keras.layers.Embedding(TOKENS, 3), cell, keras.layers.Dense(TOKENS), name="decoder")
    keras.Model([source, target], decoder(target, initial_state=first)).save(tmp_path / "model.keras")
    trained = keras.Model(source, first), decoder

    loaded = keras.saving.load_model(tmp_path / "model.keras")
    decoder = loaded.get_layer("decoder")
    encoder = keras.Model(loaded.inputs[0], decoder.input[1:])  # the first is the target
    decoding.export_search(tmp_path / "served", encoder, decoder, START, END, LENGTH, width=3, forbidden=[5])
    client = subprocess.run(
        [sys.executable, "-c", TRANSLATOR_CLIENT, tmp_path / "served"], capture_output=True, text=True
    )
    assert client.returncode == 0, client.stderr
    for batch in (3, 1):
        words = np.random.default_rng(batch).integers(1, 9, (batch, 4)).astype("int32")
        found, expected = (
            decoding.beam_search(decoder, encoder.predict(words, verbose=0), START, END, LENGTH, width=3, forbidden=[5])
            for encoder, decoder in ((encoder, decoder), trained)
        )
        np.testing.assert_array_equal(found.tokens, expected.tokens)
        served = np.load(tmp_path / "served" / f"{batch}.npz")
        np.testing.assert_array_equal(served["tokens"], expected.tokens)
        np.testing.assert_allclose(served["scores"], expected.scores, atol=1e-5)
        np.testing.assert_allclose(served["alignments"], expected.alignments, atol=1e-5)


def test_what_cannot_be_served_is_refused(decoder, tmp_path):
    with pytest.raises(ValueError, match="as encoder a Keras model"):
        decoding.export_search(tmp_path / "served", decoder, decoder, START, END, LENGTH)

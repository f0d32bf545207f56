"""A stateful model is saved in the middle of a stream, and what is loaded goes on."""

import keras
import numpy as np
import pytest
from keras import ops

from rnnkit import layers
from tests.layer_checks import BATCH, FEATURES, TIME, sequences, to_numpy

ON = {"stateful": True, "return_sequences": True}


class Counter(keras.layers.Layer):
    """A Keras cell with nested states of different sizes."""

    state_size, output_size = [2, [3, 1]], 3

    def call(self, inputs, states):
        a, (b, c) = states
        total = ops.sum(inputs, axis=-1, keepdims=True)
        return b + c, [a + total, [ops.tanh(b + total), c + 1]]

    def get_initial_state(self, batch_size=None):
        return [ops.zeros((batch_size, 2)), [ops.zeros((batch_size, 3)), ops.zeros((batch_size, 1))]]


LAYERS = {
    "Elman": lambda: layers.Elman(3, **ON),
    "LSTM": lambda: layers.LSTM(3, **ON),
    "GRU": lambda: layers.GRU(3, **ON),
    "PeepholeLSTM": lambda: layers.PeepholeLSTM(3, **ON),
    "LayerNormLSTM": lambda: layers.LayerNormLSTM(3, **ON),
    "LayerNormGRU": lambda: layers.LayerNormGRU(3, **ON),
    "Recurrent": lambda: layers.Recurrent(layers.GRUCell(3), **ON),
    "a cell of Keras's": lambda: layers.Recurrent(keras.layers.LSTMCell(3), **ON),
    "nested states": lambda: layers.Recurrent(Counter(), **ON),
    "StackedRNNCells": lambda: layers.Recurrent([layers.LSTMCell(3), layers.GRUCell(4)], **ON),
    "ResidualCell": lambda: layers.Recurrent(layers.ResidualCell(layers.LSTMCell(FEATURES)), **ON),
    "ZoneoutCell": lambda: layers.Recurrent(layers.ZoneoutCell(layers.LSTMCell(3), 0.1), **ON),
    "ROCell": lambda: layers.Recurrent(layers.ROCell(keras.layers.Dense(3, "tanh")), **ON),
    "Bidirectional": lambda: layers.Bidirectional(layers.LSTM(3, **ON)),
    "keras.layers.Bidirectional": lambda: keras.layers.Bidirectional(layers.GRU(3, **ON)),
    "Bidirectional of Keras's": lambda: layers.Bidirectional(keras.layers.LSTM(3, **ON)),
    "Stacked": lambda: layers.Stacked([layers.LSTM(3, **ON), layers.GRU(4, **ON)], return_sequences=True),
    "Stacked of Keras's": lambda: layers.Stacked(
        [keras.layers.GRU(3, **ON), layers.Bidirectional(layers.Elman(2, **ON))], return_sequences=True
    ),
    "Stacked in Bidirectional": lambda: layers.Bidirectional(
        layers.Stacked([layers.LSTM(3, **ON), keras.layers.GRU(4, **ON)], return_sequences=True)
    ),
    "in a model": lambda: keras.Sequential([layers.LSTM(3, **ON)]),
}
QUICK = ("LSTM", "Stacked of Keras's")  # all containers and kinds are in `make test`
NAMES = [pytest.param(name, marks=[] if name in QUICK else pytest.mark.slow) for name in LAYERS]
CUSTOM = {"Counter": Counter}


def model_of(name, batch=BATCH):
    return keras.Sequential([keras.Input(batch_shape=(batch, None, FEATURES)), LAYERS[name](), keras.layers.Dense(1)])


def halfway(name):
    """A model that has read the first half of a stream."""
    model = model_of(name)
    model(sequences()[:, : TIME // 2])
    return model


def rest(model):
    """What a model makes of the second half."""
    return to_numpy(model(sequences()[:, TIME // 2 :]))


def weights_file(tmp_path, name="LSTM"):
    """A file of weights with states, and the model that wrote it."""
    model, path = halfway(name), tmp_path / "stream.weights.h5"
    with layers.states_in_files():
        model.save_weights(path)
    return path, model


@pytest.mark.parametrize("name", NAMES)
def test_a_loaded_model_goes_on(name, tmp_path):
    model = halfway(name)
    with layers.states_in_files():
        model.save(tmp_path / "stream.keras")
        model.save_weights(tmp_path / "stream.weights.h5")
    model.save(tmp_path / "usual.keras")
    fresh = model_of(name)
    fresh.load_weights(tmp_path / "stream.weights.h5")
    loaded = keras.saving.load_model(tmp_path / "stream.keras", custom_objects=CUSTOM)
    usual = keras.saving.load_model(tmp_path / "usual.keras", custom_objects=CUSTOM)
    expected = rest(model)
    np.testing.assert_array_equal(rest(fresh), expected)
    np.testing.assert_array_equal(rest(loaded), expected)
    assert abs(rest(usual) - expected).max() > 1e-4, "states are saved only on request"


@pytest.mark.parametrize("name", ["LSTM", pytest.param("StackedRNNCells", marks=pytest.mark.slow)])
def test_two_halves_equal_one_run(name, tmp_path):
    x, model = sequences(), model_of(name)
    whole = model.predict(x, batch_size=BATCH, verbose=0)
    model.layers[0].reset_state()
    model.predict(x[:, : TIME // 2], batch_size=BATCH, verbose=0)  # compiled
    with layers.states_in_files():
        model.save(tmp_path / "stream.keras")
    loaded = keras.saving.load_model(tmp_path / "stream.keras")
    second = loaded.predict(x[:, TIME // 2 :], batch_size=BATCH, verbose=0)
    np.testing.assert_allclose(second, whole[:, TIME // 2 :], atol=1e-6)


def test_another_batch_size_is_refused_and_the_way_out_works(tmp_path):
    path, model = weights_file(tmp_path)
    small = model_of("LSTM", batch=2)
    with pytest.raises(ValueError, match=r"expected states \[\(2, 3\), \(2, 3\)\].*received \[\(5, 3\), \(5, 3\)\]"):
        small.load_weights(path)
    with layers.states_in_files(False):
        small.load_weights(path)
    for value, expected in zip(small.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(value, expected)
    assert not any(to_numpy(state).any() for state in small.layers[0].states)


def test_states_are_expected_where_they_are_asked_for(tmp_path):
    model = halfway("Bidirectional")
    model.save_weights(tmp_path / "usual.weights.h5")
    with layers.states_in_files(), pytest.raises(ValueError, match=r"expected states .* in the file, received none"):
        model_of("Bidirectional").load_weights(tmp_path / "usual.weights.h5")
    model_of("Bidirectional").load_weights(tmp_path / "usual.weights.h5")


def test_a_layer_without_states_loads_the_weights(tmp_path):
    path, model = weights_file(tmp_path)
    twin = keras.Sequential([keras.Input((None, FEATURES)), layers.LSTM(3), keras.layers.Dense(1)])
    twin.load_weights(path)
    for value, expected in zip(twin.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(value, expected)


def test_the_request_ends_with_its_context(tmp_path):
    path, model = tmp_path / "usual.weights.h5", halfway("LSTM")
    with pytest.raises(RuntimeError), layers.states_in_files():
        raise RuntimeError
    with layers.states_in_files(), layers.states_in_files(False):
        model.save_weights(path)
    with layers.states_in_files(), pytest.raises(ValueError, match="received none"):
        model_of("LSTM").load_weights(path)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "bfloat16"])
def test_states_keep_their_precision(policy, tmp_path):
    def make():
        layer = layers.GRU(3, recurrent_initializer="glorot_uniform", dtype=policy, **ON)
        return keras.Sequential([keras.Input(batch_shape=(BATCH, None, FEATURES)), layer])

    model, path = make(), tmp_path / "stream.weights.h5"
    model(sequences()[:, :2])
    with layers.states_in_files():
        model.save_weights(path)
    fresh = make()
    fresh.load_weights(path)
    for state, expected in zip(fresh.layers[0].states, model.layers[0].states, strict=True):
        assert state.dtype == expected.dtype
        np.testing.assert_array_equal(to_numpy(ops.cast(state, "float32")), to_numpy(ops.cast(expected, "float32")))


@pytest.mark.parametrize("input_feeding", [False, True])
def test_a_memory_is_a_state(input_feeding, tmp_path):
    def make():
        cell = layers.AttentionCell(layers.GRUCell(3), layers.LuongAttention(3), input_feeding=input_feeding)
        layer = layers.Recurrent(cell, **ON)
        memory = np.random.default_rng(2).normal(size=(BATCH, 4, 3)).astype("float32")
        return layer, cell.initial_state(ops.convert_to_tensor(memory))

    x = sequences()
    (layer, given), (fresh, nothing) = make(), make()
    layer(x[:, : TIME // 2], initial_state=given)
    model, path = keras.Sequential([layer]), tmp_path / "stream.weights.h5"
    model.built = True
    with layers.states_in_files():
        model.save_weights(path)
    fresh(x[:, :1], initial_state=[0 * state for state in nothing])
    twin = keras.Sequential([fresh])
    twin.built = True
    twin.load_weights(path)
    expected = to_numpy(layer(x, initial_state=given))[:, TIME // 2 :]
    np.testing.assert_allclose(to_numpy(fresh(x[:, TIME // 2 :])), expected, atol=1e-6)
    layer.reset_state()
    assert not any(to_numpy(state).any() for state in layer.states)

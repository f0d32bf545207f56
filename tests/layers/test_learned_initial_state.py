import keras
import numpy as np
import pytest
from keras import ops

from rnnkit import backend
from rnnkit.layers import Elman, LearnedInitialState
from tests.composed_checks import batches
from tests.layer_checks import sequences, to_numpy

X = sequences()
LAYERS = {
    "Elman": lambda **kwargs: Elman(4, **kwargs),
    "SimpleRNN": lambda **kwargs: keras.layers.SimpleRNN(4, **kwargs),
    "LSTM": lambda **kwargs: keras.layers.LSTM(4, **kwargs),
    "GRU": lambda **kwargs: keras.layers.GRU(4, **kwargs),
    "stacked cells": lambda **kwargs: keras.layers.RNN([keras.layers.LSTMCell(3), keras.layers.GRUCell(4)], **kwargs),
    "Bidirectional": lambda **kwargs: keras.layers.Bidirectional(keras.layers.LSTM(4, **kwargs)),
}


def wrapped(name, **kwargs):
    layer = LearnedInitialState(LAYERS[name](**kwargs), initializer=keras.initializers.RandomNormal(seed=1))
    layer.build(X.shape)
    return layer


@pytest.mark.parametrize("name", LAYERS)
def test_the_states_are_where_every_row_starts(name):
    layer = wrapped(name, return_sequences=True)
    assert all(to_numpy(state).any() for state in layer.initial_states)
    for x, mask in batches():
        states = [np.repeat(to_numpy(state), len(x), axis=0) for state in layer.initial_states]
        states = keras.tree.pack_sequence_as(layer.state_size, [ops.convert_to_tensor(state) for state in states])
        expected = to_numpy(layer.layer(x, initial_state=states, mask=mask))
        np.testing.assert_array_equal(to_numpy(layer(x, mask=mask)), expected)


def test_an_empty_row_ends_where_it_starts():
    layer = wrapped("Elman", return_state=True)
    mask = np.zeros(X.shape[:2], bool)
    _, state = layer(X, mask=mask)
    np.testing.assert_array_equal(to_numpy(state), np.repeat(to_numpy(layer.initial_states[0]), len(X), axis=0))


@pytest.mark.parametrize("name", LAYERS)
def test_gradient_of_the_states_against_finite_differences(name):
    layer = wrapped(name)
    rest = [ops.convert_to_tensor(weight.numpy()) for weight in layer.trainable_variables]
    index = next(i for i, weight in enumerate(layer.trainable_variables) if weight is layer.initial_states[0])

    def loss(state):
        weights = [*rest[:index], state, *rest[index + 1 :]]
        return ops.sum(layer.stateless_call(weights, layer.non_trainable_variables, X)[0])

    (gradient,) = backend.gradient(loss, [rest[index]])
    start, gradient = to_numpy(rest[index]), to_numpy(gradient)
    direction = gradient / np.linalg.norm(gradient)
    ends = [float(loss(ops.convert_to_tensor(start + step * direction))) for step in (0.01, -0.01)]
    np.testing.assert_allclose((ends[0] - ends[1]) / 0.02, np.linalg.norm(gradient), rtol=2e-3)


@pytest.mark.parametrize("name", LAYERS)
def test_save_and_load(name, tmp_path):
    inputs = keras.Input(X.shape[1:])
    model = keras.Model(inputs, wrapped(name)(inputs))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.predict(X, verbose=0), model.predict(X, verbose=0))
    assert type(loaded.layers[-1].initializer) is type(model.layers[-1].initializer)


def test_the_states_learn():
    """y is a constant that only the first state can carry: the input is zero and only the state trains."""
    layer = LearnedInitialState(Elman(1, use_bias=False, recurrent_initializer="identity"))
    layer.layer.trainable = False
    model = keras.Sequential([layer])
    model.compile(keras.optimizers.Adam(0.1), loss="mse")
    model.fit(np.zeros((480, 2, 1)), np.full((480, 1), 0.5), batch_size=8, verbose=0)  # 60 batches
    np.testing.assert_allclose(to_numpy(model(np.zeros((1, 2, 1)))), 0.5, atol=0.02)


def test_inside_bidirectional_each_direction_learns_its_own_state():
    both = keras.layers.Bidirectional(LearnedInitialState(Elman(4, return_sequences=True), initializer="ones"))
    assert both(X).shape == (5, 6, 8)
    assert both.forward_layer.go_backwards is False
    assert both.backward_layer.go_backwards is True
    assert len([weight for weight in both.weights if "initial_state" in weight.name]) == 2
    backward = to_numpy(both.backward_layer.layer(X, initial_state=[np.ones((5, 4), "float32")]))
    np.testing.assert_array_equal(to_numpy(both(X))[..., 4:], backward[:, ::-1])


def test_states_of_the_call_replace_the_learned_ones():
    layer = wrapped("Elman")
    zeros = [np.zeros((5, 4), "float32")]
    np.testing.assert_array_equal(to_numpy(layer(X, initial_state=zeros)), to_numpy(layer.layer(X)))


def test_mask_and_mixed_precision_pass_through():
    layer = LearnedInitialState(Elman(4, return_sequences=True, dtype="mixed_bfloat16"))
    assert keras.backend.standardize_dtype(layer(X).dtype) == "bfloat16"
    assert all(weight.dtype == "float32" for weight in layer.weights)
    assert layer.compute_mask(X, "mask") == "mask"


@pytest.mark.parametrize("layer", [keras.layers.Dense(3), "LSTM", None])
def test_only_recurrent_layers(layer):
    with pytest.raises(ValueError, match="Expected a recurrent layer"):
        LearnedInitialState(layer)


def test_no_stateful_layers():
    with pytest.raises(ValueError, match="is stateful"):
        LearnedInitialState(Elman(3, stateful=True))

import keras
import numpy as np
import pytest
from keras import ops

from rnnkit import backend
from rnnkit.layers import GRU, LSTM, Bidirectional, Bridge
from tests import oracles
from tests.layer_checks import sequences, to_numpy

BATCH = 4
RNG = np.random.default_rng(3)
STATES = [RNG.normal(size=(BATCH, size)).astype("float32") for size in (2, 3, 2, 3)]


def built(**options):
    """With states of different widths, as of a stack: two of each direction."""
    bridge = Bridge(5, **options)
    bridge.build([state.shape for state in STATES])
    rng = np.random.default_rng(7)
    bridge.set_weights([rng.normal(size=weight.shape) for weight in bridge.get_weights()])
    return bridge


def expected(weights, states, function=np.tanh):
    """State k from state k of the forward layer and state k of the backward layer."""
    W_0, b_0, W_1, b_1 = (np.asarray(weight, "float64") for weight in weights)
    first, second, back_first, back_second = states
    return [
        np.stack([function(W.T @ np.concatenate(pair) + b) for pair in zip(forward, backward, strict=True)])
        for W, b, forward, backward in ((W_0, b_0, first, back_first), (W_1, b_1, second, back_second))
    ]


@pytest.mark.parametrize("activation", ["tanh", "linear"])
def test_values_equal_the_oracle(activation):
    bridge = built(activation=activation)
    assert [weight.name for weight in bridge.weights] == ["kernel_0", "bias_0", "kernel_1", "bias_1"]
    want = expected(bridge.get_weights(), STATES, {"tanh": np.tanh, "linear": lambda x: x}[activation])
    for given in (STATES, tuple(STATES), list(map(ops.convert_to_tensor, STATES))):
        found = bridge(given)
        assert isinstance(found, list)
        for state, want_state in zip(found, want, strict=True):
            np.testing.assert_allclose(to_numpy(state), want_state, atol=1e-6)


def test_gradients_equal_finite_differences_of_the_oracle():
    bridge = built()
    weights = bridge.get_weights()

    def loss(*weights):
        first, second = bridge.stateless_call(weights, [], list(map(ops.convert_to_tensor, STATES)))[0]
        return ops.sum(ops.square(first)) + 2 * ops.sum(ops.square(second))

    gradients = backend.gradient(loss, [ops.convert_to_tensor(weight) for weight in weights])
    for index, gradient in enumerate(gradients):

        def oracle_loss(array, index=index):
            first, second = expected([*weights[:index], array, *weights[index + 1 :]], STATES)
            return (first**2).sum() + 2 * (second**2).sum()

        want = oracles.numerical_gradient(oracle_loss, weights[index])
        np.testing.assert_allclose(to_numpy(gradient), want, atol=1e-5)


@pytest.mark.parametrize(("kind", "count"), [(LSTM, 2), (GRU, 1), (keras.layers.LSTM, 2)])
def test_from_a_bidirectional_encoder_to_a_decoder_of_another_width(kind, count, tmp_path):
    x, inputs = sequences(), keras.Input((None, 3))
    _, *states = Bidirectional(kind(3, return_state=True))(inputs)
    bridged = Bridge(6)(states)
    assert [tuple(state.shape) for state in bridged] == [(None, 6)] * count
    model = keras.Model(inputs, kind(6)(inputs, initial_state=bridged))
    want = model.predict_on_batch(x)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.predict_on_batch(x), want)


def test_config_makes_the_same_layer():
    bridge = built(activation="relu", name="mine")
    twin = Bridge.from_config(bridge.get_config())
    assert twin.get_config() == bridge.get_config() and twin.activation is keras.activations.relu
    twin.build([state.shape for state in STATES])
    twin.set_weights(bridge.get_weights())
    for state, same in zip(bridge(STATES), twin(STATES), strict=True):
        np.testing.assert_array_equal(to_numpy(state), to_numpy(same))


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision(policy):
    bridge = built(dtype=policy)
    for state, want in zip(bridge(STATES), expected(bridge.get_weights(), STATES), strict=True):
        assert keras.backend.standardize_dtype(state.dtype) == policy.removeprefix("mixed_")
        np.testing.assert_allclose(to_numpy(ops.cast(state, "float32")), want, atol=0.03)


@pytest.mark.parametrize("count", [1, 3])
def test_an_odd_number_of_states(count):
    for bridge in (Bridge(5), built()):
        with pytest.raises(ValueError, match=f"a forward and of a backward layer, as many of each, received {count}"):
            bridge(STATES[:count])


def test_one_tensor_is_an_odd_number_of_states():
    with pytest.raises(ValueError, match="as many of each, received 1"):
        Bridge(4)(np.zeros((2, 3), "float32"))


@pytest.mark.parametrize("units", [0, -1, 2.5, "3", None, True])
def test_units_must_be_positive_integers(units):
    with pytest.raises(ValueError, match="Bridge expected units to be a positive integer, received"):
        Bridge(units)


def test_unknown_activation():
    with pytest.raises(ValueError, match="activation"):
        Bridge(3, activation="tangent")

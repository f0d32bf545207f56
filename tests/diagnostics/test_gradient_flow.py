import keras
import numpy as np
import pytest
from keras import ops

from rnnkit.diagnostics import gradient_flow
from rnnkit.layers import Elman, LearnedInitialState
from tests.layer_checks import to_numpy
from tests.oracles import elman_step

RNG = np.random.default_rng(0)
X = RNG.normal(size=(3, 5, 2)).astype("float32")
Y = RNG.normal(size=(3, 1)).astype("float32")
LAYERS = {
    "Elman": lambda **kwargs: Elman(3, **kwargs),
    "Elman with output": lambda **kwargs: Elman(3, output_units=2, **kwargs),
    "SimpleRNN": lambda **kwargs: keras.layers.SimpleRNN(3, **kwargs),
    "LSTM": lambda **kwargs: keras.layers.LSTM(3, **kwargs),
    "GRU": lambda **kwargs: keras.layers.GRU(3, **kwargs),
}


def model_with(layer, head=True):
    model = keras.Sequential([keras.Input((None, 2)), layer, *([keras.layers.Dense(1)] if head else [])])
    model.compile(loss="mse")
    return model


@pytest.mark.slow
@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("go_backwards", [False, True])
def test_gradients_and_products_against_finite_differences(name, go_backwards):
    """Runs the layer from a pushed state at t to the end: independent values of dL/dh_t and dh_T/dh_t."""
    keras.utils.set_random_seed(1)
    layer = LAYERS[name](go_backwards=go_backwards, return_state=True)
    inputs = keras.Input((None, 2))
    outputs, *_ = layer(inputs)
    head = keras.layers.Dense(1)
    model = keras.Model(inputs, head(outputs))
    model.compile(loss="mse")
    flow = gradient_flow(model, X, Y)
    x = X[:, ::-1] if go_backwards else X
    runner = LAYERS[name](return_state=True)
    runner.build(X.shape)
    runner.set_weights(layer.get_weights())
    sizes = layer.state_size

    def end(t, states):
        """Loss and last states from the states after step t."""
        split = np.split(states, np.cumsum(sizes)[:-1], axis=1)
        if t == x.shape[1] - 1:
            readout = getattr(layer.cell, "readout", lambda states: states[0])
            outputs, last = readout([ops.convert_to_tensor(state, "float32") for state in split]), split
        else:
            outputs, *last = runner(x[:, t + 1 :], initial_state=[ops.convert_to_tensor(s, "float32") for s in split])
        losses = np.square(to_numpy(head(outputs)) - Y)[:, 0] / len(Y)
        return losses, np.concatenate([to_numpy(state) for state in last], axis=1)

    for t in range(x.shape[1]):
        _, *states = runner(x[:, : t + 1])
        states = np.concatenate([to_numpy(state) for state in states], axis=1)
        gradients, jacobians = np.zeros(states.shape), np.zeros((*states.shape, states.shape[1]))
        for k in range(states.shape[1]):
            push = np.eye(states.shape[1], dtype="float32")[k] * 1e-2
            (loss_above, above), (loss_below, below) = end(t, states + push), end(t, states - push)
            gradients[:, k] = (loss_above - loss_below) / 2e-2
            jacobians[:, :, k] = (above - below) / 2e-2
        place = x.shape[1] - 1 - t if go_backwards else t
        np.testing.assert_allclose(flow.state_gradients[:, place], np.linalg.norm(gradients, axis=1), atol=2e-3)
        products = np.linalg.norm(jacobians, ord=2, axis=(1, 2))
        np.testing.assert_allclose(flow.jacobian_products[:, place], products, atol=2e-3)


def test_products_are_those_of_the_equation():
    """J_t = diag(1 - h_t^2) W_hh of the vanilla network, multiplied by hand."""
    layer = Elman(3)
    flow = gradient_flow(model_with(layer), X, Y)
    weights = [weight.astype("float64") for weight in layer.get_weights()]
    for b in range(len(X)):
        states, jacobians = [np.zeros(3)], []
        for x in X[b]:
            h, states = elman_step(weights, x.astype("float64"), states)
            jacobians.append((1 - h**2)[:, None] * weights[1].T)
        product = np.eye(3)
        for t in reversed(range(len(jacobians))):
            np.testing.assert_allclose(flow.jacobian_products[b, t], np.linalg.norm(product, 2), rtol=1e-5)
            product = product @ jacobians[t]


@pytest.mark.parametrize("radius", [0.5, 1.3])
def test_a_linear_network_follows_its_spectral_radius(radius):
    layer = Elman(4, activation="linear", recurrent_initializer=keras.initializers.Orthogonal(gain=radius, seed=1))
    x = np.zeros((2, 30, 2), "float32")
    flow = gradient_flow(model_with(layer), x, Y[:2])
    np.testing.assert_allclose(flow.spectral_radius, radius, rtol=1e-5)
    np.testing.assert_allclose(flow.factor_per_step, radius, rtol=1e-4)
    expected = radius ** np.arange(29, -1, -1)
    np.testing.assert_allclose(flow.jacobian_products, np.tile(expected, (2, 1)), rtol=1e-3)


def test_every_output_counts_when_there_is_a_target_for_each_step():
    layer = Elman(3, return_sequences=True)
    model = model_with(layer)
    targets = np.zeros((3, 5, 1), "float32")
    flow = gradient_flow(model, X, targets)
    last = gradient_flow(model, X[:, -1:], targets[:, -1:])
    assert (flow.state_gradients > 0).all()
    assert last.state_gradients.shape == (3, 1)


@pytest.mark.parametrize("side", ["right", "left"])
def test_padding_gives_the_same_flow_as_no_padding(side):
    model = keras.Sequential([keras.layers.Masking(), Elman(3), keras.layers.Dense(1)])
    model.compile(loss="mse")
    widths = ((0, 0), (0, 3) if side == "right" else (3, 0), (0, 0))
    whole, padded = gradient_flow(model, X, Y), gradient_flow(model, np.pad(X, widths), Y)
    window = slice(0, 5) if side == "right" else slice(3, 8)
    np.testing.assert_allclose(padded.jacobian_products[:, window], whole.jacobian_products, rtol=1e-5)
    np.testing.assert_allclose(padded.state_gradients[:, window][:, :-1], whole.state_gradients[:, :-1], rtol=1e-5)
    if side == "right":
        np.testing.assert_array_equal(padded.state_gradients[:, 5:], 0)
        np.testing.assert_allclose(padded.factor_per_step, whole.factor_per_step, rtol=1e-5)


def test_the_factor_leaves_out_empty_rows():
    start = keras.initializers.Orthogonal(gain=0.1, seed=1)
    model = keras.Sequential([keras.layers.Masking(), Elman(3, activation="linear", recurrent_initializer=start)])
    model.compile(loss="mse")
    x = np.where(np.arange(3)[:, None, None] == 0, 0, X)
    np.testing.assert_allclose(gradient_flow(model, x, np.zeros((3, 3))).factor_per_step, 0.1, rtol=1e-4)


def test_a_layer_inside_a_wrapper_is_passed_as_layer():
    both = keras.layers.Bidirectional(Elman(3))
    model = model_with(both)
    with pytest.raises(ValueError, match="pass one direction"):
        gradient_flow(model, X, Y)
    assert gradient_flow(model, X, Y, layer=both.forward_layer).state_gradients.shape == (3, 5)


def test_nothing_in_the_model_changes():
    layer = Elman(3)
    model = model_with(layer)
    before, weights = to_numpy(model(X)), model.get_weights()
    gradient_flow(model, X, Y)
    np.testing.assert_array_equal(to_numpy(model(X)), before)
    for weight, old in zip(model.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(weight, old)
    assert "inner_loop" not in vars(layer)


def test_a_layer_with_learned_states_is_found():
    assert gradient_flow(model_with(LearnedInitialState(Elman(3))), X, Y).state_gradients.shape == (3, 5)


def test_a_model_with_two_inputs():
    sequences, extra = keras.Input((None, 2)), keras.Input((4,))
    states = keras.layers.Concatenate()([Elman(3)(sequences), extra])
    model = keras.Model([sequences, extra], keras.layers.Dense(1)(states))
    model.compile(loss="mse")
    assert gradient_flow(model, [X, np.zeros((3, 4), "float32")], Y).state_gradients.shape == (3, 5)
    with pytest.raises(ValueError, match="inputs contain NaN"):
        gradient_flow(model, [X, np.full((3, 4), np.nan, "float32")], Y)


def test_lstm_has_no_spectral_radius():
    assert gradient_flow(model_with(keras.layers.LSTM(3)), X, Y).spectral_radius is None


def test_model_without_a_loss():
    with pytest.raises(ValueError, match=r"call model\.compile\(loss"):
        gradient_flow(keras.Sequential([Elman(3)]), X, Y)


def test_model_without_a_recurrent_layer():
    with pytest.raises(ValueError, match=r"expected one recurrent layer in .* found \[\]"):
        gradient_flow(model_with(keras.layers.GlobalAveragePooling1D()), X, Y)


def test_one_of_two_layers_must_be_named():
    model = keras.Sequential(
        [Elman(3, return_sequences=True, name="low"), Elman(3, name="high"), keras.layers.Dense(1)]
    )
    model.compile(loss="mse")
    with pytest.raises(ValueError, match=r"found \['low', 'high'\]: name one"):
        gradient_flow(model, X, Y)
    assert gradient_flow(model, X, Y, layer="low").state_gradients.shape == (3, 5)


def test_stateful_layer():
    model = keras.Sequential([keras.Input((5, 2), batch_size=3), Elman(3, stateful=True), keras.layers.Dense(1)])
    model.compile(loss="mse")
    with pytest.raises(ValueError, match="is stateful"):
        gradient_flow(model, X, Y)


def test_nan():
    with pytest.raises(ValueError, match="inputs contain NaN"):
        gradient_flow(model_with(Elman(3)), np.where(X > 1, np.nan, X), Y)
    with pytest.raises(ValueError, match="targets contain NaN"):
        gradient_flow(model_with(Elman(3)), X, Y * np.nan)

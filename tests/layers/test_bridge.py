import keras
import numpy as np
import pytest
from keras import ops, tree

from rnnkit import backend
from rnnkit.layers import (
    GRU,
    LSTM,
    Bidirectional,
    Bridge,
    ElmanCell,
    GRUCell,
    LSTMCell,
    PeepholeLSTMCell,
    Recurrent,
    Stacked,
)
from tests import oracles
from tests.layer_checks import sequences, to_numpy

BATCH = 4
RNG = np.random.default_rng(3)
STATES = [RNG.normal(size=(BATCH, size)).astype("float32") for size in (2, 3, 2, 3)]


def built(**options):
    """With states of different widths, as of a stack: two of each direction."""
    bridge = Bridge(5, encoder=Bidirectional(Recurrent([GRUCell(2), GRUCell(3)])), **options)
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


def test_a_single_state_needs_no_encoder():
    state = STATES[0]
    for given in (state, [state]):
        bridge = Bridge(4)
        (found,) = bridge(given)
        W, b = map(to_numpy, bridge.weights)
        np.testing.assert_allclose(to_numpy(found), np.tanh(state @ W + b), atol=1e-6)


@pytest.mark.parametrize("units", [0, -1, 2.5, "3", None, True])
def test_units_must_be_positive_integers(units):
    with pytest.raises(ValueError, match="Bridge expected units to be a positive integer, received"):
        Bridge(units)


def test_unknown_activation():
    with pytest.raises(ValueError, match="activation"):
        Bridge(3, activation="tangent")


ENCODERS = {  # the decoder's cells; the states that make each of its states, by number
    "one way": (lambda: LSTM(3, return_state=True), [LSTMCell(4)], [[0], [1]]),
    "one way GRU": (lambda: GRU(3, return_state=True), [GRUCell(4)], [[0]]),
    "Keras's": (lambda: keras.layers.LSTM(3, return_state=True), [keras.layers.LSTMCell(4)], [[0], [1]]),
    "two directions": (lambda: Bidirectional(LSTM(3, return_state=True)), [LSTMCell(4)], [[0, 2], [1, 3]]),
    "Keras's two": (lambda: keras.layers.Bidirectional(keras.layers.GRU(3, return_state=True)), [GRUCell(4)], [[0, 1]]),
    "stack": (
        lambda: Stacked([LSTM(3), GRU(2)], return_state=True),
        [PeepholeLSTMCell(4), GRUCell(5)],
        [[0], [1], [2]],
    ),
    "stack of two directions": (
        lambda: Stacked([Bidirectional(LSTM(3)), Bidirectional(GRU(2))], return_state=True),
        [LSTMCell(4), ElmanCell(6)],
        [[0, 2], [1, 3], [4, 5]],
    ),
    "two directions of a stack": (
        lambda: Bidirectional(Stacked([GRU(3), LSTM(2)], return_state=True)),
        [GRUCell(4), LSTMCell(4)],
        [[0, 3], [1, 4], [2, 5]],
    ),
    "stack of both kinds": (
        lambda: Stacked([Bidirectional(GRU(3)), GRU(2)], return_state=True),
        [GRUCell(4), GRUCell(4)],
        [[0, 1], [2]],
    ),
    "stack of cells": (
        lambda: Recurrent([LSTMCell(3), GRUCell(2)], return_state=True),
        [LSTMCell(4), GRUCell(5)],
        [[0], [1], [2]],
    ),
}


@pytest.mark.parametrize("name", ENCODERS)
def test_h_comes_from_h_and_c_from_c_layer_by_layer(name):
    make, cells, sources = ENCODERS[name]
    encoder = make()
    inputs = keras.Input((None, 3))
    _, *states = encoder(inputs)
    _, *eager = encoder(sequences())
    eager, symbolic = tree.flatten(eager), tree.flatten(states)
    numbers = [to_numpy(state) for state in eager]
    bridges = [Bridge(cells, encoder=encoder), Bridge(cells), Bridge(6, encoder=encoder)]
    for bridge, given in zip(bridges, (numbers, symbolic, eager), strict=True):
        bridge(given)
        assert bridge.sources == sources
        found = bridge(numbers)
        for place, (group, W, b) in enumerate(zip(sources, bridge.kernels, bridge.biases, strict=True)):
            both = np.concatenate([numbers[source] for source in group], axis=-1)
            want = np.tanh(both @ to_numpy(W) + to_numpy(b))
            np.testing.assert_allclose(to_numpy(found[place]), want, atol=1e-6)
    widths = [size for cell in cells for size in tree.flatten(cell.state_size)]
    assert [bridges[0].units, bridges[2].units] == [widths, 6]
    twin = Bridge.from_config(bridges[0].get_config())
    twin.build([state.shape for state in numbers])
    twin.set_weights(bridges[0].get_weights())
    for a, b in zip(twin(numbers), bridges[0](numbers), strict=True):
        np.testing.assert_array_equal(to_numpy(a), to_numpy(b))
    if not name.startswith("Keras"):  # these layers say on their states where they are from
        seen = Bridge(6)
        seen(eager)
        assert seen.sources == sources


def test_what_cannot_be_paired_is_refused_with_both_sides_named():
    stack = Stacked([LSTM(3), LSTM(3)], return_state=True)
    with pytest.raises(ValueError, match=r"layer by layer: 1 layer \(h\)\. Received one with 1 layer \(h and C\)"):
        Bridge(GRUCell(4), encoder=LSTM(3))
    with pytest.raises(ValueError, match=r"2 layers \(h and C, h\)\. Received one with 2 layers \(h and C, h and C\)"):
        Bridge([LSTMCell(4), GRUCell(4)], encoder=stack)
    with pytest.raises(ValueError, match=r"1 layer \(h and C\)\. Received one with 2 layers"):
        Bridge(LSTM(4))(stack(sequences())[1:])
    with pytest.raises(ValueError, match=r"1 layer \(h and C\) forward and 1 layer \(h\) backward"):
        mixed = keras.layers.Bidirectional(LSTM(3), backward_layer=GRU(3, go_backwards=True))
        Bridge(4, encoder=mixed)
    with pytest.raises(ValueError, match="the 4 states of its encoder, received 2"):
        Bridge(4, encoder=stack)(STATES[:2])
    with pytest.raises(ValueError, match="states for 3 states of the decoder, received 4, which make 2"):
        Bridge([4, 4, 4], encoder=Bidirectional(Recurrent([GRUCell(2), GRUCell(3)])))(STATES)
    with pytest.raises(ValueError, match="Bridge, encoder: expected a recurrent layer"):
        Bridge(4, encoder=keras.layers.Dense(3))
    with pytest.raises(ValueError, match="Bridge, units: expected a recurrent layer"):
        Bridge([keras.layers.Dense(3)])
    with pytest.raises(
        ValueError, match=r"encoder: 1 layer \(h and C\)\. Received those of another one: 1 layer \(h\)"
    ):
        Bridge(4, encoder=LSTM(3))(GRU(3, return_state=True)(sequences())[1:])


def functional_encoder(order):
    """A model that returns its memory and its states, and the numbers of the states in the order of its layer."""
    inputs = keras.Input((None, 3))
    memory, *states = Bidirectional(LSTM(3, return_sequences=True, return_state=True))(inputs)
    return keras.Model(inputs, [memory, *(states[place] for place in order)])


UNSEEN = {
    "Keras's layer on numbers": lambda: keras.layers.LSTM(3, return_state=True)(sequences())[1:],
    "arrays": lambda: [to_numpy(state) for state in LSTM(3, return_state=True)(sequences())[1:]],
    "after a Dropout": lambda: [
        keras.layers.Dropout(0.1)(state) for state in LSTM(3, return_state=True)(keras.Input((5, 3)))[1:]
    ],
    "predicted": lambda: functional_encoder([0, 1, 2, 3]).predict_on_batch(sequences())[1:],
    "not all": lambda: Bidirectional(LSTM(3, return_state=True))(keras.Input((5, 3)))[1:3],
    "one twice": lambda: [LSTM(3, return_state=True)(keras.Input((5, 3)))[1]] * 2,
    "with the outputs": lambda: LSTM(3, return_state=True)(keras.Input((5, 3))),
    "two directions by hand": lambda: [
        state
        for back in (False, True)
        for state in LSTM(3, return_state=True, go_backwards=back)(keras.Input((5, 3)))[1:]
    ],
}


@pytest.mark.parametrize("name", UNSEEN)
@pytest.mark.parametrize("units", [4, "lstm"])
def test_states_whose_layers_are_not_seen_are_refused(name, units):
    with pytest.raises(ValueError, match="expected to know which layers its . states are from.*encoder=encoder"):
        Bridge(LSTMCell(4) if units == "lstm" else units)(UNSEEN[name]())


def test_the_order_of_states_that_are_seen_does_not_matter():
    order = [2, 0, 3, 1]  # of h and C forward, h and C backward
    encoder = Bidirectional(LSTM(3, return_state=True))
    for given in (sequences(), keras.Input((5, 3))):
        _, *states = encoder(given)
        for options in ({}, {"encoder": encoder}):
            bridge = Bridge(LSTMCell(4), **options)
            bridge([states[place] for place in order])
            assert bridge.sources == [[1, 0], [3, 2]]  # h forward, h backward; C forward, C backward
            with pytest.raises(ValueError, match="in the order of its first call"):
                bridge(states)


@pytest.mark.parametrize("order", [[0, 1, 2, 3], [3, 1, 0, 2]])
def test_a_functional_model_is_an_encoder(order):
    model = functional_encoder(order)
    inputs = keras.Input((None, 3))
    want = [[order.index(0), order.index(2)], [order.index(1), order.index(3)]]
    outputs = model(inputs)
    nested = keras.Model(inputs, outputs)
    seen, numbers = Bridge(LSTMCell(4)), Bridge(LSTMCell(4), encoder=model)
    seen(nested(inputs)[1:])
    numbers(model.predict_on_batch(sequences())[1:])
    assert seen.sources == numbers.sources == want
    with pytest.raises(ValueError, match="functional model that returns all last states"):
        Bridge(4, encoder=keras.Model(inputs, outputs[0]))


def test_states_that_do_not_have_the_sizes_of_the_encoder():
    encoder = Recurrent([GRUCell(2), GRUCell(3)])
    with pytest.raises(ValueError, match="state 0 of its encoder, which is h, to have 2 features, received 3"):
        Bridge(4, encoder=encoder)([STATES[1], STATES[0]])
    bridge = Bridge(4, encoder=encoder)
    bridge(STATES[:2])
    with pytest.raises(ValueError, match=r"states of \[2, 3\] features, received \[3, 2\]"):
        bridge([STATES[1], STATES[0]])
    with pytest.raises(ValueError, match=r"shape \(batch, features\).* received one of shape \(2, 5, 3\)"):
        Bridge(4)(np.zeros((2, 5, 3)))


def test_states_nested_as_by_a_stack_of_cells_in_keras():
    layer = keras.layers.RNN([keras.layers.LSTMCell(2), keras.layers.GRUCell(3)], return_state=True)
    _, *symbolic = layer(keras.Input((5, 3)))
    _, *numbers = layer(sequences())
    seen, told = Bridge([LSTMCell(4), GRUCell(5)]), Bridge([LSTMCell(4), GRUCell(5)], encoder=layer)
    seen(symbolic)
    told.build([state.shape for state in tree.flatten(numbers)])
    told.set_weights(seen.get_weights())
    assert seen.sources == told.sources == [[0], [1], [2]]
    for a, b in zip(seen(numbers), told(numbers), strict=True):
        np.testing.assert_array_equal(to_numpy(a), to_numpy(b))


def test_a_layer_that_runs_backward_alone():
    _, *states = LSTM(3, return_state=True, go_backwards=True)(sequences())
    bridge = Bridge(LSTMCell(4))
    bridge(states)
    assert bridge.sources == [[0], [1]]


def test_a_decoder_of_other_widths_trains_after_an_encoder_of_two_layers(tmp_path):
    inputs = keras.Input((None, 3))
    _, *states = Stacked([Bidirectional(LSTM(3)), LSTM(2)], return_state=True)(inputs)
    decoder = Stacked([LSTM(4), LSTM(5)], return_sequences=True)
    model = keras.Model(inputs, decoder(inputs, initial_state=Bridge(decoder)(states)))
    model.compile("sgd", "mse")
    model.train_on_batch(sequences(), np.zeros((*sequences().shape[:2], 5)))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.predict_on_batch(sequences()), model.predict_on_batch(sequences()))

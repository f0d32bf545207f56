import keras
import numpy as np
import pytest
from keras import tree

from rnnkit.layers import GRU, LSTM, Bidirectional, Elman, GRUCell, LearnedInitialState, LSTMCell, Recurrent, Stacked
from tests import composed_checks
from tests.composed_checks import batches, random_states
from tests.layer_checks import filled, masks, sequences, to_numpy

X = sequences()
MADE = {
    "three kinds": lambda **options: Stacked([LSTM(4), GRU(3), Elman(2)], **options),
    "residual": lambda **options: Stacked([LSTM(4), GRU(4), LSTM(4)], residual=True, **options),
    "backwards": lambda **options: Stacked([LSTM(4), GRU(4)], residual=True, go_backwards=True, **options),
    "Bidirectional below": lambda **options: Stacked([Bidirectional(GRU(2)), LSTM(3)], **options),
    "Bidirectional below, residual": lambda **options: Stacked(
        [Bidirectional(GRU(2)), LSTM(4)], residual=True, **options
    ),
    "Stacked inside": lambda **options: Stacked([Stacked([LSTM(3), GRU(3)], residual=True), LSTM(2)], **options),
    "inside Bidirectional": lambda name=None, **options: Bidirectional(
        Stacked([LSTM(3), GRU(2)], **options), name=name
    ),
    "learned state inside": lambda **options: Stacked([Bidirectional(LearnedInitialState(GRU(2))), LSTM(3)], **options),
    "cells inside": lambda **options: Stacked([Recurrent([LSTMCell(3), GRUCell(2)]), LSTM(3)], **options),
}


ALL = ["three kinds", *(pytest.param(name, marks=pytest.mark.slow) for name in MADE if name != "three kinds")]


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("check", composed_checks.CHECKS, ids=lambda check: check.__name__)
def test_stacked(check, name):
    check(MADE[name])


@pytest.mark.parametrize("name", ALL)
def test_training_goes_on_after_a_reload(name, tmp_path):
    composed_checks.training_goes_on_after_a_reload(MADE[name], tmp_path)


def test_a_bidirectional_on_top():
    stack = filled(Stacked([Bidirectional(GRU(2)), Bidirectional(LSTM(2))], residual=True, return_sequences=True))
    last = Stacked([GRU(3), Bidirectional(LSTM(2))])
    filled(last)
    lower, top = GRU(3, return_sequences=True), last.layers[1]
    lower.build(X.shape)
    lower.set_weights(last.layers[0].get_weights())
    for x, mask in batches():
        weights, states = stack.get_weights(), [np.zeros_like(state) for state in random_states(stack, len(x))]
        expected, _ = composed_checks.rows_alone(stack, weights, x, states, mask)
        np.testing.assert_allclose(to_numpy(stack(x, mask=mask)), expected, atol=4e-6)
        expected, *_ = top(lower(x, mask=mask), mask=mask)
        np.testing.assert_array_equal(to_numpy(last(x, mask=mask)), to_numpy(expected))


def test_learned_initial_state_of_a_stack():
    layer = LearnedInitialState(Stacked([LSTM(4), GRU(3)]), initializer=keras.initializers.RandomNormal(seed=1))
    layer.build(X.shape)
    assert [tuple(state.shape) for state in layer.initial_states] == [(1, 4), (1, 4), (1, 3)]
    for x, mask in batches():
        states = [np.repeat(to_numpy(state), len(x), axis=0) for state in layer.initial_states]
        expected = layer.layer(x, initial_state=states, mask=mask)
        np.testing.assert_array_equal(to_numpy(layer(x, mask=mask)), to_numpy(expected))


def test_learned_initial_states_in_a_stack():
    layers = [LearnedInitialState(kind(3), initializer=keras.initializers.RandomNormal(seed=1)) for kind in (LSTM, GRU)]
    stack = Stacked(layers)
    stack.build(X.shape)
    states = [np.repeat(to_numpy(state), len(X), axis=0) for layer in layers for state in layer.initial_states]
    np.testing.assert_array_equal(to_numpy(stack(X)), to_numpy(stack(X, initial_state=states)))


def test_equals_the_same_layers_by_hand_also_of_keras():
    for module in (keras.layers, None):
        kinds = [getattr(module, name) for name in ("LSTM", "GRU")] if module else [LSTM, GRU]
        stack = filled(Stacked([kind(3) for kind in kinds], return_sequences=True))
        low, high = [kind(3, return_sequences=True) for kind in kinds]
        low(X), high(low(X))
        low.set_weights(stack.layers[0].get_weights())
        high.set_weights(stack.layers[1].get_weights())
        for x, mask in batches():
            expected = high(low(x, mask=mask), mask=mask)
            np.testing.assert_allclose(to_numpy(stack(x, mask=mask)), to_numpy(expected), atol=1e-6)


def test_the_mask_is_passed_on_in_the_order_of_the_outputs():
    mask = masks()[1][1]
    for layer in (Stacked([GRU(2)], return_sequences=True), GRU(2, return_sequences=True)):
        np.testing.assert_array_equal(to_numpy(layer.compute_mask(X, mask)), mask)
    for layer in (
        Stacked([GRU(2)], return_sequences=True, go_backwards=True),
        GRU(2, return_sequences=True, go_backwards=True),
    ):
        np.testing.assert_array_equal(to_numpy(layer.compute_mask(X, mask)), mask[:, ::-1])
    stack = Stacked([LSTM(2), Bidirectional(GRU(2))], return_sequences=True, return_state=True)
    assert stack.compute_mask(X, mask) == [mask, None, None, None, None]
    assert Stacked([GRU(2)]).compute_mask(X, mask) is None
    assert Stacked([GRU(2)], return_sequences=True).compute_mask(X, None) is None


STATEFUL = {
    "Recurrent": lambda: Recurrent([LSTMCell(3), GRUCell(4)], stateful=True),
    "Stacked": lambda: Stacked([LSTM(3, stateful=True), keras.layers.GRU(4, stateful=True)]),
    "Stacked of Bidirectional": lambda: Stacked([Bidirectional(GRU(2, stateful=True)), LSTM(3, stateful=True)]),
    "Bidirectional of Stacked": lambda: Bidirectional(Stacked([LSTM(3, stateful=True), GRU(4, stateful=True)])),
}


@pytest.mark.parametrize("name", STATEFUL)
def test_stateful_and_reset_of_rows(name):
    layer = filled(STATEFUL[name](), batch=len(X))
    fresh, second = to_numpy(layer(X)), to_numpy(layer(X))
    assert (abs(second - fresh).max(axis=1) > 1e-3).all()
    for rows in ([1, 4], [True, False, False, True, False], None):
        layer.reset_state()
        np.testing.assert_allclose(to_numpy(layer(X)), fresh, atol=1e-6)
        layer.reset_state(rows=rows)
        is_reset = np.zeros(len(X), bool)
        is_reset[slice(None) if rows is None else rows] = True
        expected = np.where(is_reset[:, None], fresh, second)
        np.testing.assert_allclose(to_numpy(layer(X)), expected, atol=1e-6, err_msg=str(rows))


def test_a_stack_may_have_stateful_and_other_layers():
    stack = filled(Stacked([LSTM(3, stateful=True), GRU(4)]), batch=len(X))
    fresh = to_numpy(stack(X))
    stack.reset_state(rows=range(5))
    np.testing.assert_allclose(to_numpy(stack(X)), fresh, atol=1e-6)
    with pytest.raises(ValueError, match="has no states to reset: it needs stateful=True"):
        filled(Stacked([LSTM(3), GRU(4)])).reset_state(rows=[0])


def test_each_layer_computes_in_its_own_dtype():
    stack = Stacked([LSTM(3, dtype="mixed_float16"), LSTM(3, dtype="float32")], residual=True, return_sequences=True)
    assert stack.compute_dtype == "float16"
    assert np.isfinite(to_numpy(stack(X))).all()


@pytest.mark.parametrize("count", [1, 2, 4])
def test_wrong_number_of_states(count):
    states = [np.zeros((5, 4), "float32")] * count
    with pytest.raises(ValueError, match=rf"expected 3 initial states of sizes \[4, 4, 3\], received {count}"):
        Stacked([LSTM(4), GRU(3)])(X, initial_state=states)


def test_state_of_the_wrong_shape():
    states = [np.zeros((5, 4), "float32")] * 3
    with pytest.raises(ValueError, match=r"expected initial state 0 of shape \(5, 3\), received \(5, 4\)"):
        Stacked([LSTM(4), GRU(3)])(X, initial_state=states)


@pytest.mark.parametrize("go_backwards", [False, True])
def test_sequences_and_masks_of_the_wrong_shape(go_backwards):
    with pytest.raises(ValueError, match=r"expected a mask \(batch, time\) = \(5, 6\).*received shape \(5, 4\)"):
        Stacked([LSTM(4)], go_backwards=go_backwards)(X, mask=np.ones((5, 4), bool))
    for shape in ((5, 6), (5, 6, 3, 1), (5, 0, 3)):
        with pytest.raises(ValueError, match=r"expected sequences \(batch, time, features\)"):
            Stacked([LSTM(4)], go_backwards=go_backwards)(np.zeros(shape, "float32"))


def test_residual_between_different_widths():
    with pytest.raises(ValueError, match=r"input of layer 1 .* has 4 features and the output of 'gru.*' has 3"):
        Stacked([LSTM(4), GRU(3)], residual=True)(X)


@pytest.mark.parametrize("top", [Bidirectional(LSTM(2)), LearnedInitialState(Bidirectional(LSTM(2)))])
def test_last_output_of_a_residual_bidirectional(top):
    with pytest.raises(ValueError, match="needs return_sequences=True: the last outputs of its two directions"):
        Stacked([LSTM(4), top], residual=True)


def test_layers_that_cannot_be_stacked():
    with pytest.raises(ValueError, match="expected a list of one or more recurrent layers, received an empty one"):
        Stacked([])
    for layer in (keras.layers.Dense(3), None, "LSTM", LSTMCell(3)):
        with pytest.raises(ValueError, match="Expected a recurrent layer"):
            Stacked([LSTM(3), layer])
    with pytest.raises(ValueError, match="has go_backwards=True: the layer above would read its outputs in reverse"):
        Stacked([LSTM(3, go_backwards=True), LSTM(3)])
    with pytest.raises(ValueError, match="has merge_mode=None, which leaves two outputs"):
        Stacked([Bidirectional(LSTM(3), merge_mode=None), LSTM(3)])
    with pytest.raises(ValueError, match="one of them twice: .* Make a new layer for each place"):
        Stacked([LSTM(3)] * 2)


def test_states_travel_from_encoder_to_decoder():
    encoder, decoder = MADE["three kinds"](return_state=True), MADE["three kinds"](return_sequences=True)
    source, target = keras.Input((None, 3)), keras.Input((None, 3))
    _, *states = encoder(source)
    model = keras.Model([source, target], decoder(target, initial_state=states))
    filled(encoder), filled(decoder)
    _, *states = encoder(X)
    expected = to_numpy(decoder(X[:, ::-1], initial_state=states))
    np.testing.assert_allclose(model.predict_on_batch([X, X[:, ::-1]]), expected, atol=1e-6)
    assert abs(expected - to_numpy(decoder(X[:, ::-1]))).max() > 1e-3
    assert len(tree.flatten(states)) == 4

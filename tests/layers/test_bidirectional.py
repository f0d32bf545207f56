import keras
import numpy as np
import pytest

from rnnkit.layers import GRU, LSTM, Bidirectional, Elman, LearnedInitialState, PeepholeLSTM
from tests import composed_checks
from tests.composed_checks import batches, random_states
from tests.layer_checks import filled, masks, sequences, to_numpy

X = sequences()


def merged(merge_mode):
    return lambda name=None, **options: Bidirectional(LSTM(4, **options), merge_mode=merge_mode, name=name)


MADE = {
    **{str(mode): merged(mode) for mode in ("concat", "sum", "mul", "ave", None)},
    "of two sizes": lambda name=None, **options: Bidirectional(
        GRU(4, **options), backward_layer=GRU(2, go_backwards=True, **options), name=name
    ),
    "of two kinds": lambda name=None, **options: Bidirectional(
        GRU(4, **options), backward_layer=Elman(3, go_backwards=True, **options), name=name
    ),
}


ALL = ["concat", *(pytest.param(name, marks=pytest.mark.slow) for name in MADE if name != "concat")]


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("check", composed_checks.CHECKS, ids=lambda check: check.__name__)
def test_bidirectional(check, name):
    check(MADE[name])


@pytest.mark.parametrize("name", ALL)
def test_training_goes_on_after_a_reload(name, tmp_path):
    composed_checks.training_goes_on_after_a_reload(MADE[name], tmp_path)


def test_the_states_of_the_two_directions_have_different_sizes():
    layer = MADE["of two sizes"](return_sequences=True, return_state=True)
    assert [tuple(value.shape) for value in layer(X)] == [(5, 6, 6), (5, 4), (5, 2)]


def test_given_weights():
    trained = filled(Bidirectional(GRU(4)))
    layer = Bidirectional(GRU(4), weights=trained.get_weights())
    np.testing.assert_array_equal(to_numpy(layer(X)), to_numpy(trained(X)))


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "SimpleRNN"])
def test_layers_of_keras_inside(kind):
    ours = filled(Bidirectional(getattr(keras.layers, kind)(4, return_sequences=True)))
    theirs = keras.layers.Bidirectional(getattr(keras.layers, kind)(4, return_sequences=True))
    theirs.build(X.shape)
    theirs.set_weights(ours.get_weights())
    for x, mask in batches():
        np.testing.assert_array_equal(to_numpy(ours(x, mask=mask)), to_numpy(theirs(x, mask=mask)))


def test_learned_initial_states_inside_and_outside():
    start = keras.initializers.RandomNormal(seed=1)
    inside = filled(Bidirectional(LearnedInitialState(LSTM(4, return_sequences=True), initializer=start)))
    outside = filled(LearnedInitialState(Bidirectional(LSTM(4, return_sequences=True)), initializer=start))
    for layer, parts in ((inside, (inside.forward_layer, inside.backward_layer)), (outside, (outside,))):
        states = [to_numpy(state) for part in parts for state in part.initial_states]
        assert all(state.any() for state in states)
        both = Bidirectional(LSTM(4, return_sequences=True))
        both.build(X.shape)
        weights = [weight for weight in layer.weights if "initial_state" not in weight.name]
        both.set_weights([to_numpy(weight) for weight in weights])
        for x, mask in batches():
            expected = both(x, mask=mask, initial_state=[np.repeat(state, len(x), axis=0) for state in states])
            np.testing.assert_allclose(to_numpy(layer(x, mask=mask)), to_numpy(expected), atol=1e-6)


def test_a_mask_for_each_output():
    mask = masks()[1][1]
    assert Bidirectional(GRU(2)).compute_mask(X, mask) is None
    assert Bidirectional(GRU(2, return_sequences=True)).compute_mask(X, mask) is mask
    two = Bidirectional(LSTM(2, return_sequences=True, return_state=True), merge_mode=None)
    assert two.compute_mask(X, mask) == [mask, mask, None, None, None, None]


@pytest.mark.parametrize("kind", [LSTM, keras.layers.LSTM])
def test_stateful_and_reset_of_rows(kind):
    layer = filled(Bidirectional(kind(4, stateful=True)), batch=len(X))
    fresh, second = to_numpy(layer(X)), to_numpy(layer(X))
    assert (abs(second - fresh).max(axis=1) > 1e-3).all()
    for rows in ([1, 4], [-1], [True, False, False, True, False], [], None):
        layer.reset_state()
        np.testing.assert_allclose(to_numpy(layer(X)), fresh, atol=1e-6)
        layer.reset_state(rows=rows)
        is_reset = np.zeros(len(X), bool)
        is_reset[slice(None) if rows is None else np.array(rows, dtype=bool if len(rows) == 5 else int)] = True
        expected = np.where(is_reset[:, None], fresh, second)
        np.testing.assert_allclose(to_numpy(layer(X)), expected, atol=1e-6, err_msg=str(rows))


@pytest.mark.parametrize("rows", [[5], [-6], [0.5], [[1]], [True, False], "first"])
def test_reset_of_missing_rows(rows):
    layer = filled(Bidirectional(LSTM(4, stateful=True)), batch=len(X))
    with pytest.raises(ValueError, match=r"expected row numbers below 5 or a boolean array \(5,\), received"):
        layer.reset_state(rows=rows)


def test_reset_of_rows_without_states():
    with pytest.raises(ValueError, match="has no states to reset: it needs stateful=True"):
        filled(Bidirectional(LSTM(4))).reset_state(rows=[0])


def test_dtype_is_that_of_the_layer():
    assert Bidirectional(LSTM(4, dtype="mixed_float16")).compute_dtype == "float16"
    assert Bidirectional(LSTM(4), dtype="mixed_float16").compute_dtype == "float16"


def test_the_backward_layer_keeps_its_kernel():
    """cuDNN has no kernel for peepholes."""
    for other in (PeepholeLSTM(4, go_backwards=True), GRU(4, go_backwards=True, convention="chung")):
        assert Bidirectional(LSTM(4), backward_layer=other).backward_layer.use_cudnn is False


@pytest.mark.parametrize("count", [1, 3, 5])
def test_wrong_number_of_states(count):
    states = [np.zeros((5, 4), "float32")] * count
    with pytest.raises(ValueError, match=rf"expected 4 initial states of sizes \[4, 4, 4, 4\], received {count}"):
        Bidirectional(LSTM(4))(X, initial_state=states)


def test_state_of_the_wrong_shape():
    layer = MADE["of two sizes"]()
    with pytest.raises(ValueError, match=r"expected initial state 0 of shape \(5, 2\), received \(5, 4\)"):
        layer(X, initial_state=[np.zeros((5, 4), "float32")] * 2)


def test_directions_with_different_numbers_of_states():
    layer = Bidirectional(LSTM(4), backward_layer=GRU(4, go_backwards=True))
    assert layer(X).shape == (5, 8)
    with pytest.raises(ValueError, match="its directions have 2 and 1 states: use the same kind of layer for both"):
        layer(X, initial_state=random_states(layer))


@pytest.mark.parametrize("layer", [keras.layers.Dense(3), "LSTM", None, Bidirectional(LSTM(2))])
def test_only_recurrent_layers(layer):
    with pytest.raises(ValueError, match="Bidirectional expected a recurrent layer"):
        Bidirectional(layer)


def test_layers_that_do_not_fit_together():
    with pytest.raises(ValueError, match="different `go_backwards`"):
        Bidirectional(LSTM(3), backward_layer=LSTM(3))
    with pytest.raises(ValueError, match='same value for attribute "return_sequences"'):
        Bidirectional(LSTM(3), backward_layer=LSTM(3, go_backwards=True, return_sequences=True))
    with pytest.raises(ValueError, match=r"merge_mode='sum'\) expected directions of one width, received 3 and 2"):
        Bidirectional(LSTM(3), merge_mode="sum", backward_layer=LSTM(2, go_backwards=True)).build(X.shape)
    with pytest.raises(ValueError, match="Invalid merge mode"):
        Bidirectional(LSTM(3), merge_mode="max")

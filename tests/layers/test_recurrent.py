import keras
import numpy as np
import pytest
from keras import ops, tree

from rnnkit import backend
from rnnkit.layers import LSTM, Elman, ElmanCell, Recurrent, RecurrentCell
from tests import layer_checks
from tests.layer_checks import to_numpy

X = np.random.default_rng(0).normal(size=(2, 5, 3)).astype("float32")


@keras.saving.register_keras_serializable(package="rnnkit_tests")
class TwoStates(RecurrentCell):
    """a_t = a_{t-1} + x_t, b_t = b_{t-1} + a_t: projections that are nested, states of two kinds."""

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units, self.state_size, self.output_size = units, [units, units], units

    def project(self, inputs, training=False):
        return {"once": inputs, "twice": 2.0 * inputs}

    def step(self, projected, states, training=False):
        a = states[0] + projected["twice"] - projected["once"]
        b = states[1] + a
        return b, [a, b]

    def get_config(self):
        return {**super().get_config(), "units": self.units}


def test_a_cell_of_ones_own_with_nested_projection_and_two_states():
    layer = Recurrent(TwoStates(3), return_sequences=True, return_state=True)
    b, last_a, last_b = layer(X)
    np.testing.assert_allclose(to_numpy(b), X.cumsum(1).cumsum(1), atol=1e-5)
    np.testing.assert_allclose(to_numpy(last_a), X.sum(1), atol=1e-5)
    np.testing.assert_array_equal(to_numpy(last_b), to_numpy(b)[:, -1])
    twin = Recurrent.from_config(layer.get_config())
    np.testing.assert_array_equal(to_numpy(twin(X)[0]), to_numpy(b))


def test_project_is_called_once_for_all_steps():
    class Counting(TwoStates):
        shapes = []

        def project(self, inputs, training=False):
            self.shapes.append(tuple(inputs.shape))
            return super().project(inputs, training)

    Recurrent(Counting(3))(X)
    assert Counting.shapes[-1] == (5, 2, 3)
    assert all(len(shape) == 3 for shape in Counting.shapes)


@pytest.mark.parametrize("time", [5, None])
def test_inside_of_a_layer_that_does_not_tell_its_shapes(time):
    class Around(keras.layers.Layer):
        def __init__(self):
            super().__init__()
            self.inside = LSTM(4)

        def build(self, shape):
            self.inside.build(shape)

        def call(self, x):
            return self.inside(x)

    inputs = keras.Input((time, 3))
    outputs = Around()(inputs)
    assert outputs.shape == (None, 4)
    assert keras.Model(inputs, outputs).predict(X, verbose=0).shape == (2, 4)


def test_arguments_may_come_by_position():
    layer = Recurrent(ElmanCell(4), True, False, True)
    assert (layer.return_sequences, layer.return_state, layer.go_backwards) == (True, False, True)
    assert tuple(layer(np.zeros((2, 5, 3), "float32")).shape) == (2, 5, 4)


def test_training_reaches_the_cell():
    class Switch(TwoStates):
        def step(self, projected, states, training=False):
            output, states = super().step(projected, states)
            return (output if training else 0.0 * output), states

    layer = Recurrent(Switch(3))
    assert not to_numpy(layer(X)).any()
    assert to_numpy(layer(X, training=True)).any()


def test_mask_goes_on_to_the_next_layer():
    ids = np.array([[1, 2, 0], [3, 0, 0]])
    model = keras.Sequential(
        [keras.layers.Embedding(4, 3, mask_zero=True), Elman(4, return_sequences=True), Elman(2), keras.layers.Dense(1)]
    )
    whole = to_numpy(model(ids))
    np.testing.assert_allclose(whole[1:], to_numpy(model(ids[1:, :1])), atol=1e-6)
    np.testing.assert_allclose(whole[:1], to_numpy(model(ids[:1, :2])), atol=1e-6)


def test_return_state_hands_on_one_mask_for_each_output():
    layer = Elman(4, return_sequences=True, return_state=True)
    assert layer.compute_mask(X, "mask") == ["mask", None]
    assert Elman(4).compute_mask(X, "mask") is None


@pytest.mark.parametrize("shape", [(2, 4), (3, 5), (2, 5, 1), (5,)])
def test_mask_of_the_wrong_shape(shape):
    with pytest.raises(ValueError, match=r"expected a mask \(batch, time\) = \(2, 5\).*received shape"):
        Elman(4)(X, mask=np.ones(shape, bool))


def test_mask_may_be_integers_or_lists():
    mask = np.array([[1, 1, 0, 1, 0], [1, 0, 0, 0, 0]])
    layer = Elman(4)
    expected = to_numpy(layer(X, mask=mask.astype(bool)))
    for same in (mask, mask.tolist(), mask.astype("float32")):
        np.testing.assert_array_equal(to_numpy(layer(X, mask=same)), expected)


def test_wrong_number_of_states():
    states = [np.zeros((2, 4), "float32")] * 2
    with pytest.raises(ValueError, match=r"expected 1 initial state\(s\) of sizes \[4\], received 2"):
        Elman(4)(X, initial_state=states)


@pytest.mark.parametrize("shape", [(2, 3), (3, 4), (4,)])
def test_state_of_the_wrong_shape(shape):
    with pytest.raises(ValueError, match=r"expected initial state 0 of shape \(2, 4\), received"):
        Elman(4)(X, initial_state=[np.zeros(shape, "float32")])


@pytest.mark.parametrize("shape", [(2, 5), (2, 0, 3), (2, 5, 3, 1)])
def test_sequences_of_the_wrong_shape(shape):
    with pytest.raises(ValueError, match=r"expected sequences \(batch, time, features\)"):
        Elman(4)(np.zeros(shape, "float32"))


def test_nan_is_refused_where_it_counts():
    x = X.copy()
    x[1, 2, 0] = np.nan
    with pytest.raises(ValueError, match="holds NaN. Fill or drop"):
        Elman(4)(x)
    mask = np.ones((2, 5), bool)
    mask[1, 2] = False
    assert np.isfinite(to_numpy(Elman(4)(x, mask=mask))).all()


def test_a_constant_inside_of_a_compiled_function():
    layer, x = Elman(4), ops.convert_to_tensor(X)
    expected = to_numpy(layer(x))
    run = backend.compiled(lambda scale: scale * layer(x), layer.variables)
    np.testing.assert_allclose(to_numpy(run(ops.ones(()))), expected, rtol=1e-5)


@pytest.mark.parametrize("name", layer_checks.MASKS)
def test_a_plain_keras_cell_runs(name):
    mask, x = dict(layer_checks.masks())[name], layer_checks.sequences()
    cells = [keras.layers.LSTMCell(3, seed=1), keras.layers.GRUCell(4)]
    for cell in (keras.layers.SimpleRNNCell(3), keras.layers.LSTMCell(3), cells):
        theirs = keras.layers.RNN(cell, return_sequences=True, return_state=True)
        if keras.backend.backend() == "jax" and mask is not None and cell is cells:
            continue  # Keras's own loop on JAX masks states and outputs with one shape
        ours = Recurrent(theirs.cell, return_sequences=True, return_state=True)
        for expected, value in zip(tree.flatten(theirs(x, mask=mask)), tree.flatten(ours(x, mask=mask)), strict=True):
            np.testing.assert_allclose(to_numpy(value), to_numpy(expected), atol=1e-6)


def test_a_cell_with_another_output_than_it_promised():
    class Wide(keras.layers.Layer):
        state_size = 3

        def call(self, inputs, states):
            return ops.concatenate([states[0], inputs], axis=-1), states

    with pytest.raises(ValueError, match="output of Wide has 6 features, expected its output_size 3: set output_size"):
        Recurrent(Wide())(X)


@pytest.mark.parametrize("missing", ["state_size", "output_size"])
def test_a_cell_without_sizes_is_refused_at_once(missing):
    class NoSizes(RecurrentCell):
        pass

    cell = NoSizes()
    cell.state_size, cell.output_size = [3], 3
    setattr(cell, missing, None)
    with pytest.raises(ValueError, match=f"NoSizes has no `{missing}`"):
        Recurrent(cell)


def test_a_layer_over_sequences_is_no_cell():
    with pytest.raises(ValueError, match="Recurrent expected a cell, received the layer <LSTM.*its cell is layer.cell"):
        Recurrent(keras.layers.LSTM(4))


def test_a_cell_without_a_step_says_so():
    class NoStep(RecurrentCell):
        state_size, output_size = [3], 3

    with pytest.raises(NotImplementedError, match="NoStep must implement step"):
        Recurrent(NoStep())(X)


def test_layer_and_cell_compute_in_one_dtype():
    assert Recurrent(ElmanCell(3, dtype="mixed_float16")).compute_dtype == "float16"
    with pytest.raises(ValueError, match="computes in float32, its cell in float16"):
        Recurrent(ElmanCell(3, dtype="mixed_float16"), dtype="float32")

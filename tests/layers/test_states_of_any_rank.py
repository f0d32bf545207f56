"""States that are no vectors: what `keras.layers.RNN` runs, `Recurrent` runs with the same values and gradients."""

import keras
import numpy as np
import pytest
from keras import ops, tree

from rnnkit import backend
from rnnkit.layers import (
    Bidirectional,
    LearnedInitialState,
    LSTMCell,
    Recurrent,
    RecurrentCell,
    ResidualCell,
    Stacked,
    ZoneoutCell,
)
from rnnkit.layers.state_shapes import state_specs
from tests.layer_checks import BATCH, FEATURES, TIME, masks, sequences, stateless, to_numpy
from tests.marks import slow_except

N = 3


def remember(cell, x, h, A):
    """A vector h and a matrix A of what it was: y = h = tanh(U x + A h), A = 0.9 A + 0.1 h h^T."""
    h = ops.tanh(ops.matmul(x, cell.kernel) + ops.squeeze(A @ h[..., None], -1))
    return h, 0.9 * A + 0.1 * h[..., None] * h[..., None, :]


class Base:
    def __init__(self, n=N, **kwargs):
        super().__init__(**kwargs)
        self.n, self.state_size, self.output_size = n, [n, (n, n)], n

    def build(self, input_shape):
        self.kernel = self.add_weight((input_shape[-1], self.n), "glorot_uniform", name="kernel")

    def get_config(self):
        return {**super().get_config(), "n": self.n}


@keras.saving.register_keras_serializable(package="rnnkit_tests")
class Matrix(Base, keras.layers.Layer):
    """A cell of Keras's kind with a vector and a matrix."""

    def call(self, x, states):
        h, A = remember(self, x, *states)
        return h, [h, A]

    def get_initial_state(self, batch_size=None):
        return [ops.zeros((batch_size, self.n)), ops.zeros((batch_size, self.n, self.n))]


@keras.saving.register_keras_serializable(package="rnnkit_tests")
class Nested(Matrix):
    """The same states as a list in a dictionary, with a number for each row: `(batch,)`."""

    def call(self, x, states):
        inner, [count] = states
        h, A = remember(self, x, inner["h"], inner["A"])
        return h + count[:, None], [{"h": h, "A": A}, [count + ops.mean(x, axis=-1)]]

    def get_initial_state(self, batch_size=None):
        h, A = super().get_initial_state(batch_size)
        return [{"h": h, "A": A}, [ops.zeros((batch_size,))]]


@keras.saving.register_keras_serializable(package="rnnkit_tests")
class OwnMatrix(Base, RecurrentCell):
    """A cell of rnnkit's kind."""

    def step(self, projected, states, training=False):
        h, A = remember(self, projected, *states)
        return h, [h, A]


@keras.saving.register_keras_serializable(package="rnnkit_tests")
class Images(RecurrentCell):
    """Reads pictures, `(batch, height, width)`, and returns them: a sum that fades."""

    def __init__(self, height=2, width=3, fading=0.5, **kwargs):
        super().__init__(**kwargs)
        self.input_spec = keras.InputSpec(ndim=3)
        self.height, self.width, self.fading = height, width, fading
        self.state_size, self.output_size = [(height, width)], (height, width)

    def build(self, input_shape):
        self.scale = self.add_weight(input_shape[1:], "uniform", name="scale")

    def step(self, projected, states, training=False):
        state = self.fading * states[0] + ops.tanh(self.scale * projected)
        return state, [state]

    def get_config(self):
        return {**super().get_config(), "height": self.height, "width": self.width, "fading": self.fading}


def stack_of_cells():
    return [keras.layers.LSTMCell(N), Matrix(), keras.layers.SimpleRNNCell(2), OwnMatrix(4)]


CELLS = {"Keras's": Matrix, "nested": Nested, "own": OwnMatrix, "stack": stack_of_cells}


def twins(name, **options):
    """`Recurrent` and `keras.layers.RNN` around cells with the same weights, which hide nothing."""
    layers = [make(CELLS[name](), **options) for make in (Recurrent, keras.layers.RNN)]
    rng = np.random.default_rng(0)
    for layer in layers:
        layer.build((BATCH, None, FEATURES))
    values = [rng.normal(scale=0.6, size=weight.shape) for weight in layers[0].get_weights()]
    for layer in layers:
        layer.set_weights(values[: len(layer.get_weights())])
    return layers


def random_states(layer):
    rng = np.random.default_rng(2)
    return tree.map_structure(
        lambda x: ops.convert_to_tensor(rng.normal(size=x.shape), "float32"), layer.get_initial_state(BATCH)
    )


def assert_equal(values, expected, **kwargs):
    for value, same in zip(tree.flatten(values), tree.flatten(expected), strict=True):
        np.testing.assert_allclose(to_numpy(value), to_numpy(same), rtol=1e-5, atol=2e-6, **kwargs)


@pytest.mark.parametrize("options", [{}, {"go_backwards": True}, {"unroll": True}], ids=str)
@pytest.mark.parametrize("name", CELLS)
def test_equals_keras_rnn(name, options):
    ours, theirs = twins(name, return_sequences=True, return_state=True, **options)
    x, given = sequences(), random_states(theirs)
    for states in (None, given):
        assert_equal(ours(x, initial_state=states), theirs(x, initial_state=states))

    def gradients(layer):
        def loss(*weights):
            values, _ = stateless(layer, weights, x, initial_state=given)
            return sum(ops.sum(ops.square(value)) for value in tree.flatten(values))

        return backend.gradient(loss, [ops.convert_to_tensor(weight) for weight in layer.get_weights()])

    if not options:
        for gradient, expected in zip(gradients(ours), gradients(theirs), strict=True):
            np.testing.assert_allclose(to_numpy(gradient), to_numpy(expected), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", CELLS)
def test_a_row_is_the_same_without_its_padding(name):
    x = sequences()
    for options in ({}, {"go_backwards": True}):
        layer, _ = twins(name, return_sequences=True, return_state=True, **options)
        given = random_states(layer)
        for _, mask in masks()[1:]:
            garbage = np.where(mask[..., None], x, np.nan).astype("float32")
            outputs, *states = layer(garbage, initial_state=given, mask=mask)
            order = mask[:, ::-1] if options else mask
            for row in range(BATCH):
                alone, *alone_states = [None], *tree.map_structure(lambda s, row=row: s[row : row + 1], given)
                if mask[row].any():
                    own = tree.map_structure(lambda s, row=row: s[row : row + 1], given)
                    alone, *alone_states = layer(x[row : row + 1, mask[row]], initial_state=own)
                    np.testing.assert_allclose(
                        to_numpy(outputs)[row, order[row]], to_numpy(alone)[0], rtol=1e-5, atol=2e-6
                    )
                assert_equal(tree.map_structure(lambda s, row=row: s[row : row + 1], states), alone_states)


@pytest.mark.parametrize("name", CELLS)
def test_shapes_model_config_and_file(name, tmp_path):
    layer, _ = twins(name, return_sequences=True, return_state=True)
    x = sequences()
    expected = tree.flatten(layer(x))
    shapes = tree.flatten(tree.map_shape_structure(lambda shape: [tuple(shape)], layer.compute_output_shape(x.shape)))
    assert shapes == [size for value in expected for size in value.shape]
    inputs = keras.Input((None, FEATURES))
    model = keras.Model(inputs, tree.flatten(layer(inputs)))
    for symbolic, value in zip(model.outputs, expected, strict=True):
        assert tuple(symbolic.shape[2:]) == tuple(value.shape[2:])
    assert_equal(model.predict_on_batch(x), expected)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert_equal(loaded.predict_on_batch(x), expected)
    twin = Recurrent.from_config(layer.get_config())
    assert twin.get_config()["cell"]["config"].keys() == layer.get_config()["cell"]["config"].keys()
    assert twin.compute_output_shape(x.shape) == layer.compute_output_shape(x.shape)


@pytest.mark.parametrize("name", slow_except(["own"], CELLS))
@pytest.mark.parametrize("time", [TIME, None])
def test_fits_as_keras_does(name, time):
    losses = []
    for layer in twins(name, return_sequences=True):
        keras.utils.set_random_seed(0)
        model = keras.Sequential([keras.Input((time, FEATURES)), layer, keras.layers.Dense(1)])
        model.compile(keras.optimizers.SGD(0.1), loss="mse")
        losses.append([model.train_on_batch(sequences(), sequences()[:, :, :1]) for _ in range(3)])
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-4)


@pytest.mark.parametrize("name", CELLS)
def test_stateful_runs_go_on_and_rows_are_reset(name):
    x, whole = sequences(), twins(name, return_sequences=True)[0]
    parts = Recurrent(CELLS[name](), return_sequences=True, stateful=True)
    parts.build((BATCH, TIME // 2, FEATURES))
    parts.set_weights(whole.get_weights())
    halves = [to_numpy(parts(x[:, : TIME // 2])), to_numpy(parts(x[:, TIME // 2 :]))]
    np.testing.assert_allclose(np.concatenate(halves, axis=1), to_numpy(whole(x)), rtol=1e-5, atol=2e-6)
    before = [to_numpy(state) for state in tree.flatten(parts.states)]
    parts.reset_state(rows=[0, 3])
    for state, old in zip(tree.flatten(parts.states), before, strict=True):
        new = to_numpy(state)
        assert not new[[0, 3]].any() and old.any()
        np.testing.assert_array_equal(new[[1, 2, 4]], old[[1, 2, 4]])
    parts.reset_state()
    assert not any(to_numpy(state).any() for state in tree.flatten(parts.states))


@pytest.mark.parametrize("name", CELLS)
def test_in_both_directions(name):
    layer, x = twins(name, return_sequences=True)[0], sequences()
    forward, backward = layer.get_weights(), [0.5 * weight for weight in layer.get_weights()]
    reverse = Recurrent(CELLS[name](), return_sequences=True, go_backwards=True)
    reverse.build(x.shape)
    reverse.set_weights(backward)
    there, back = to_numpy(layer(x)), to_numpy(reverse(x))[:, ::-1]
    for around in (Bidirectional, keras.layers.Bidirectional):
        both = around(Recurrent(CELLS[name](), return_sequences=True, return_state=True))
        both.build(x.shape)
        both.set_weights(forward + backward)
        outputs, *states = both(x)
        np.testing.assert_allclose(to_numpy(outputs), np.concatenate([there, back], axis=-1), atol=2e-6)
        given = random_states(both.forward_layer) + random_states(both.backward_layer)
        again, *_ = both(x, initial_state=given)
        assert abs(to_numpy(again) - to_numpy(outputs)).max() > 1e-3
        assert both.compute_output_shape(x.shape)[0] == tuple(outputs.shape)


def test_in_a_stack_of_layers_with_states_in_and_out():
    x = sequences()
    stack = Stacked([Recurrent(OwnMatrix()), Recurrent(Nested())], return_sequences=True, return_state=True)
    outputs, *states = stack(x)
    assert [tuple(state.shape) for state in states] == [(BATCH, N), (BATCH, N, N), (BATCH, N, N), (BATCH, N), (BATCH,)]
    assert stack.compute_output_shape(x.shape) == (tuple(outputs.shape), *(tuple(state.shape) for state in states))
    _, *halfway = stack(x[:, :2])
    rest, *_ = stack(x[:, 2:], initial_state=halfway)
    np.testing.assert_allclose(to_numpy(rest), to_numpy(outputs)[:, 2:], rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize("name", CELLS)
def test_initial_states_are_learned(name):
    layer = LearnedInitialState(Recurrent(CELLS[name](), return_sequences=True), initializer="uniform")
    x = sequences()
    outputs = layer(x)
    specs = tree.flatten(state_specs(layer.layer.cell))
    assert [tuple(state.shape) for state in layer.initial_states] == [(1, *spec.shape[1:]) for spec in specs]
    states = [np.repeat(to_numpy(state), BATCH, axis=0) for state in layer.initial_states]
    given = tree.pack_sequence_as(state_specs(layer.layer.cell), states)
    np.testing.assert_allclose(to_numpy(layer.layer(x, initial_state=given)), to_numpy(outputs), atol=1e-6)
    twin = LearnedInitialState.from_config(layer.get_config())
    twin.build(x.shape)
    twin.set_weights(layer.get_weights())
    np.testing.assert_array_equal(to_numpy(twin(x)), to_numpy(outputs))


def test_zoneout_and_residuals_around_them():
    x = sequences()
    for inner in (Matrix(FEATURES), OwnMatrix(FEATURES)):
        plain = Recurrent(inner, return_sequences=True)
        expected = to_numpy(plain(x))
        around = Recurrent(ResidualCell(inner), return_sequences=True, return_state=True)
        outputs, h, A = around(x)
        np.testing.assert_allclose(to_numpy(outputs), x + expected, atol=1e-6)
        assert tuple(A.shape) == (BATCH, FEATURES, FEATURES)
        zoneout = Recurrent(ZoneoutCell(inner, rate=[0.3, 0.6], seed=1), return_sequences=True, return_state=True)
        _, h, A = zoneout(x[:, :1])
        first, last = np.zeros((BATCH, FEATURES)), Recurrent(inner, return_state=True)(x[:, :1])
        np.testing.assert_allclose(to_numpy(h), 0.3 * first + 0.7 * to_numpy(last[1]), atol=1e-6)
        np.testing.assert_allclose(to_numpy(A), 0.4 * to_numpy(last[2]), atol=1e-6)
        _, h, A = zoneout(x[:, :1], training=True)
        kept = to_numpy(A) == 0
        assert 0.3 < kept.mean() < 0.9
        np.testing.assert_allclose(to_numpy(A)[~kept], to_numpy(last[2])[~kept], atol=1e-6)


def test_a_cell_with_a_shape_for_its_output():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(BATCH, TIME, 2, 3)).astype("float32")
    layer = Recurrent(Images(), return_sequences=True, return_state=True)
    outputs, state = layer(x)
    expected, steps = np.zeros((BATCH, 2, 3)), []
    for t in range(TIME):
        expected = 0.5 * expected + np.tanh(to_numpy(layer.cell.scale) * x[:, t])
        steps.append(expected)
    np.testing.assert_allclose(to_numpy(outputs), np.stack(steps, axis=1), atol=1e-6)
    np.testing.assert_array_equal(to_numpy(state), to_numpy(outputs)[:, -1])
    assert layer.compute_output_shape(x.shape) == ((BATCH, TIME, 2, 3), (BATCH, 2, 3))
    for name, mask in masks()[1:]:
        garbage = np.where(mask[..., None, None], x, np.inf).astype("float32")
        outputs, state = layer(garbage, mask=mask)
        for row in range(BATCH):
            if mask[row].any():
                alone, last = layer(x[row : row + 1, mask[row]])
                np.testing.assert_allclose(to_numpy(outputs)[row, mask[row]], to_numpy(alone)[0], atol=1e-6)
            np.testing.assert_allclose(
                to_numpy(state)[row], to_numpy(last)[0] if mask[row].any() else 0.0, atol=1e-6, err_msg=name
            )
    residual = Recurrent([ResidualCell(Images()), Images()], return_sequences=True)
    inputs = keras.Input((None, 2, 3))
    model = keras.Model(inputs, Bidirectional(residual, merge_mode="sum")(inputs))
    assert model.output_shape == (None, None, 2, 3)
    model.compile("sgd", "mse")
    assert np.isfinite(model.train_on_batch(x, x))
    for wrong in (x[..., 0], x[..., None]):
        with pytest.raises(ValueError, match=r"expected sequences .*expected ndim=4, found ndim="):
            Recurrent(Images())(wrong)


def test_states_of_the_wrong_shape():
    for cell in (Matrix(), OwnMatrix()):
        layer, h = Recurrent(cell), np.zeros((BATCH, N), "float32")
        with pytest.raises(ValueError, match=r"expected initial state 1 of shape \(5, 3, 3\), received \(5, 3\)"):
            layer(sequences(), initial_state=[h, h])
        with pytest.raises(ValueError, match=r"expected 2 initial state\(s\) of sizes \[3, \(3, 3\)\], received 3"):
            layer(sequences(), initial_state=[h, h, h])


def test_a_cell_without_initial_states_of_its_own():
    class Bare(Matrix):
        get_initial_state = property()

    x, given = sequences(), [np.ones((BATCH, N), "float32"), np.ones((BATCH, N, N), "float32")]
    layer, twin = Recurrent(Bare()), Recurrent(Matrix())
    layer(x), twin(x)
    twin.set_weights(layer.get_weights())
    assert_equal([layer(x), layer(x, initial_state=given)], [twin(x), twin(x, initial_state=given)])

    class Pair(Bare):
        """Its `state_size` is nesting, which shows in the states that are given."""

        def call(self, x, states):
            a, (b, c) = states
            return a + ops.matmul(x, self.kernel), [a + b, (b + c, c)]

    a, b, c = (np.full((BATCH, N), value, "float32") for value in (1, 2, 3))
    ours, theirs = Recurrent(Pair(), return_state=True), keras.layers.RNN(Pair(), return_state=True)
    ours.build(x.shape), theirs.build(x.shape)
    theirs.set_weights(ours.get_weights())
    assert_equal(ours(x, initial_state=[a, (b, c)]), theirs(x, initial_state=[a, (b, c)]))


def test_the_shapes_of_states():
    def shapes(cell):
        return tree.map_structure(lambda spec: list(spec.shape[1:]), state_specs(cell))

    assert shapes(LSTMCell(2)) == shapes(keras.layers.LSTMCell(2)) == [[2], [2]]
    assert shapes(keras.layers.GRUCell(2)) == [[2]]
    assert shapes(OwnMatrix(2)) == shapes(Matrix(2)) == [[2], [2, 2]]
    assert shapes(keras.layers.StackedRNNCells([keras.layers.GRUCell(2), Matrix(3)])) == [[[2]], [[3], [3, 3]]]
    cell = OwnMatrix(2)
    for size in ((2, 2), [2, 2], np.zeros((2, 2)).shape):
        cell.state_size = [size]
        assert shapes(cell) == [[2, 2]]
    cell.state_size = 5
    assert shapes(cell) == [[5]]

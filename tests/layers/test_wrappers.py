import keras
import numpy as np
import pytest
from keras import ops, tree

from rnnkit.layers import (
    GRU,
    LSTM,
    Elman,
    ElmanCell,
    GRUCell,
    LSTMCell,
    Recurrent,
    RecurrentCell,
    ResidualCell,
    ZoneoutCell,
)
from tests import layer_checks, oracles
from tests.composed_checks import batches
from tests.layer_checks import to_numpy

X = layer_checks.sequences()
WIDTH = layer_checks.FEATURES


def case(make_cell, step, state_sizes, **arguments):
    def make(dtype=None, **kwargs):
        return Recurrent(make_cell(dtype), **kwargs)

    return layer_checks.Case(make, step, state_sizes, **arguments)


def elman_readout(weights, states):
    return weights[-1].T @ states[0]


CASES = {
    "residual LSTM": case(
        lambda dtype: ResidualCell(LSTMCell(WIDTH, dtype=dtype)), oracles.residual(oracles.lstm_step), [WIDTH, WIDTH]
    ),
    "zoneout LSTM": case(
        lambda dtype: ZoneoutCell(LSTMCell(4, dtype=dtype), rate=[0.1, 0.6]),
        oracles.zoneout(oracles.lstm_step, [0.1, 0.6]),
        [4, 4],
        draws_in_training=True,
    ),
    "residual zoneout Elman": case(
        lambda dtype: ResidualCell(ZoneoutCell(ElmanCell(4, output_units=WIDTH, dtype=dtype), rate=0.3)),
        oracles.residual(oracles.zoneout(oracles.elman_with_output_step, [0.3], readout=elman_readout)),
        [4],
        draws_in_training=True,
    ),
}


@pytest.mark.parametrize(
    "name", ["residual LSTM", "zoneout LSTM", pytest.param("residual zoneout Elman", marks=pytest.mark.slow)]
)
@pytest.mark.parametrize("check", layer_checks.CHECKS, ids=lambda check: check.__name__)
def test_wrappers(name, check):
    check(CASES[name])


def zoned_out(outputs, start):
    """Where each output `(batch, time, units)` is what it was one step before."""
    before = np.concatenate([np.broadcast_to(start, outputs[:, :1].shape), outputs[:, :-1]], axis=1)
    return outputs == before


@keras.saving.register_keras_serializable(package="rnnkit_tests")
class Counter(RecurrentCell):
    """Two states that grow by 1 and by 10 at each step; the output is both."""

    state_size, output_size = [3, 5], 8

    def step(self, projected, states, training=False):
        states = [states[0] + 1.0, states[1] + 10.0]
        return self.readout(states), states

    def readout(self, states):
        return ops.concatenate(states, axis=-1)


def test_zoneout_keeps_each_state_with_its_own_rate():
    x, rates = np.zeros((40, 25, 1), "float32"), [0.2, 0.7]
    layer = Recurrent(ZoneoutCell(Counter(), rate=rates, seed=1), return_sequences=True)
    outputs = to_numpy(layer(x, training=True))
    kept = zoned_out(outputs, 0.0)
    steps = np.diff(outputs, axis=1, prepend=0.0)
    assert set(np.unique(steps[..., :3])) == {0.0, 1.0} and set(np.unique(steps[..., 3:])) == {0.0, 10.0}
    for part, rate in ((kept[..., :3], rates[0]), (kept[..., 3:], rates[1])):
        assert abs(part.mean() - rate) < 4 * np.sqrt(rate * (1 - rate) / part.size)
        for axis in range(3):  # draws for every row, step and unit
            assert part.mean(axis=tuple({0, 1, 2} - {axis})).std() < 0.2
            assert (np.diff(part.astype(int), axis=axis) != 0).any()
    # In inference, the mean of the draws: each state grows by 1 - rate of what it would have grown.
    expected = np.repeat([0.8 * 1, 0.3 * 10], [3, 5]) * np.arange(1, 26)[:, None]
    np.testing.assert_allclose(to_numpy(layer(x))[0], expected, rtol=1e-5)
    np.testing.assert_allclose(outputs.mean(axis=0)[-1], expected[-1], rtol=0.3)


def test_zoneout_either_keeps_the_state_or_takes_what_the_cell_computes():
    """Every unit of every step of a GRU's state is one of the two, bit for bit."""
    cell = GRUCell(4, seed=1)
    layer = Recurrent(ZoneoutCell(cell, rate=0.5, seed=1), return_sequences=True)
    outputs = to_numpy(layer(X, training=True))
    before = np.concatenate([np.zeros_like(outputs[:, :1]), outputs[:, :-1]], axis=1)
    new = np.stack([to_numpy(cell(X[:, t], [before[:, t]])[0]) for t in range(X.shape[1])], axis=1)
    kept = outputs == before
    np.testing.assert_allclose(outputs[~kept], new[~kept], atol=1e-6)
    assert 0.35 < kept.mean() < 0.65


def test_zoneout_with_rate_zero_is_the_cell():
    cell = LSTMCell(4)
    plain, zoned = Recurrent(cell, return_sequences=True), Recurrent(ZoneoutCell(cell, 0.0), return_sequences=True)
    for training in (False, True):
        np.testing.assert_allclose(to_numpy(zoned(X, training=training)), to_numpy(plain(X)), atol=1e-6)


def test_zoneout_with_one_seed_repeats_its_draws():
    layer = Recurrent(ZoneoutCell(LSTMCell(4), 0.4, seed=3))
    layer.build(X.shape)
    twin = Recurrent.from_config(layer.get_config())
    twin.build(X.shape)
    twin.set_weights(layer.get_weights())
    runs = [[to_numpy(each(X, training=True)) for _ in range(2)] for each in (layer, twin)]
    np.testing.assert_array_equal(runs[0], runs[1])
    assert abs(runs[0][0] - runs[0][1]).max() > 1e-3, "each run must draw again"
    other = Recurrent(ZoneoutCell(layer.cell.cell, 0.4, seed=4))
    assert abs(to_numpy(other(X, training=True)) - runs[0][0]).max() > 1e-3


@pytest.mark.parametrize("kind", [keras.layers.SimpleRNNCell, keras.layers.GRUCell, keras.layers.LSTMCell])
def test_plain_keras_cells_inside(kind):
    cell = kind(WIDTH)
    theirs = keras.layers.RNN(cell, return_sequences=True)
    layer = Recurrent(ResidualCell(cell), return_sequences=True)
    for x, mask in batches():
        where = True if mask is None else mask[..., None]
        difference = np.where(where, to_numpy(layer(x, mask=mask)) - x - to_numpy(theirs(x, mask=mask)), 0.0)
        np.testing.assert_allclose(difference, 0.0, atol=1e-6)
    zoned = Recurrent(ZoneoutCell(cell, 0.0), return_sequences=True)
    np.testing.assert_allclose(to_numpy(zoned(X)), to_numpy(theirs(X)), atol=1e-6)
    twin = Recurrent.from_config(zoned.get_config())
    assert isinstance(twin.cell.cell, kind)


def test_a_stack_of_cells_inside():
    stack = keras.layers.StackedRNNCells([LSTMCell(4), keras.layers.GRUCell(WIDTH)])
    plain = keras.layers.RNN(stack, return_sequences=True, return_state=True)
    layer = Recurrent(ResidualCell(stack), return_sequences=True, return_state=True)
    (outputs, *states), (expected, *expected_states) = layer(X), plain(X)
    np.testing.assert_allclose(to_numpy(outputs), to_numpy(expected) + X, atol=1e-6)
    for state, expected_state in zip(states, tree.flatten(expected_states), strict=True):
        np.testing.assert_allclose(to_numpy(state), to_numpy(expected_state), atol=1e-6)


@pytest.mark.parametrize("wrap", [ResidualCell, lambda cell: ZoneoutCell(cell, 0.0)])
def test_the_cell_inside_chooses_its_initial_state(wrap):
    class Ones(keras.layers.SimpleRNNCell):
        def get_initial_state(self, batch_size=None):
            return [ops.ones((batch_size, self.units))]

    cell = Ones(WIDTH, activation="linear", kernel_initializer="zeros", recurrent_initializer="identity")
    inputs = np.zeros((2, 3, WIDTH), "float32")
    np.testing.assert_allclose(to_numpy(Recurrent(wrap(cell))(inputs)), 1.0)


def test_dtype_is_that_of_the_cell():
    for dtype in (None, "mixed_bfloat16"):
        assert ResidualCell(LSTMCell(3, dtype="mixed_bfloat16"), dtype=dtype).compute_dtype == "bfloat16"


@pytest.mark.parametrize("cell", [ElmanCell(4), keras.layers.GRUCell(2), ElmanCell(WIDTH, output_units=4)])
def test_residual_needs_equal_widths(cell):
    with pytest.raises(ValueError, match=f"the input has 3 features and the output of {type(cell).__name__} has"):
        Recurrent(ResidualCell(cell))(X)


@pytest.mark.parametrize("thing", [None, "lstm", keras.layers.Dense(3), LSTM(3), GRU(3), Elman(3)])
def test_only_cells_can_be_wrapped(thing):
    for wrapper in (ResidualCell, ZoneoutCell):
        with pytest.raises(ValueError, match=f"{wrapper.__name__} expected a cell .* received"):
            wrapper(thing)


@pytest.mark.parametrize("rate", [-0.1, 1.0, 2, "0.5", True, None, [0.1, 1.5]])
def test_rates_must_be_below_one(rate):
    with pytest.raises(ValueError, match=r"expected rate to be a number in \[0, 1\), received"):
        ZoneoutCell(LSTMCell(4), rate=rate)


@pytest.mark.parametrize("rate", [[0.1], [0.1, 0.2, 0.3], []])
def test_one_rate_for_each_state(rate):
    with pytest.raises(ValueError, match="expected a rate for each of 2 states, received"):
        ZoneoutCell(LSTMCell(4), rate=rate)


def test_zoneout_needs_an_output_that_follows_from_the_states():
    for cell in (ResidualCell(LSTMCell(3)), keras.layers.StackedRNNCells([LSTMCell(3), LSTMCell(3)])):
        with pytest.raises(ValueError, match="put ResidualCell around ZoneoutCell, and ZoneoutCell around each cell"):
            ZoneoutCell(cell)

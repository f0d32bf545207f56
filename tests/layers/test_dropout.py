"""Dropout of inputs and states: which mask stood where is found out from the outputs alone."""

import itertools

import keras
import numpy as np
import pytest
from keras import ops

from rnnkit.layers import (
    GRU,
    LSTM,
    Bidirectional,
    Elman,
    GRUCell,
    LayerNormGRU,
    LayerNormLSTM,
    LSTMCell,
    PeepholeLSTM,
    Recurrent,
    ResidualCell,
    Stacked,
    ZoneoutCell,
)
from tests import oracles
from tests.layer_checks import to_numpy

BATCH, TIME, FEATURES, UNITS, RATE = 30, 4, 3, 3, 0.4
LAYERS = {
    "Elman": (Elman, {}, oracles.elman_step),
    "LSTM": (LSTM, {}, oracles.lstm_step),
    "GRU": (GRU, {}, oracles.gru_keras_step),
    "GRU of Cho": (GRU, {"convention": "chung"}, oracles.gru_chung_step),
    "PeepholeLSTM": (PeepholeLSTM, {}, oracles.peephole_full_step),
    "LayerNormLSTM": (LayerNormLSTM, {}, oracles.layer_norm_lstm_step),
    "LayerNormGRU": (LayerNormGRU, {}, oracles.layer_norm_gru_step),
}
MASKS = [np.array(kept) / (1 - RATE) for kept in itertools.product([0.0, 1.0], repeat=FEATURES)]


def make(name, wrap=lambda layer: layer, **kwargs):
    """The layer with random weights; `wrap` puts its cell into something else."""
    layer_class, arguments, _ = LAYERS[name]
    layer = wrap(layer_class(UNITS, **arguments, return_sequences=True, seed=5, **kwargs))
    layer.build((BATCH, TIME, FEATURES))
    rng = np.random.default_rng(2)
    layer.set_weights([rng.normal(scale=0.8, size=weight.shape) for weight in layer.get_weights()])
    return layer


def inputs(seed=0):
    return np.random.default_rng(seed).normal(size=(BATCH, TIME, FEATURES)).astype("float32")


def initial_states(layer):
    rng = np.random.default_rng(4)
    return [rng.normal(size=(BATCH, UNITS)).astype("float32") for _ in layer.state_size]


def masks_in_use(name, kind, layer, x, states, outputs):
    """The mask `(batch, time, features)` that explains each output: of all possible ones, the one that gives it.

    A mask on h_{t-1} before a product with a matrix is the same as a mask on the rows of the matrix.
    """
    step = LAYERS[name][2]
    weights = [np.asarray(weight, "float64") for weight in layer.get_weights()]
    found = np.zeros(x.shape)
    for b in range(BATCH):
        row = [np.asarray(state[b], "float64") for state in states]
        for t in range(TIME):
            steps = []
            for mask in MASKS:
                if kind == "dropout":
                    steps.append(step(weights, x[b, t] * mask, row))
                else:
                    kernel, recurrent_kernel, *rest = weights
                    steps.append(step([kernel, mask[:, None] * recurrent_kernel, *rest], x[b, t], row))
            distances = [abs(output - outputs[b, t]).max() for output, _ in steps]
            best = int(np.argmin(distances))
            assert distances[best] < 1e-5, "no mask explains the output"
            found[b, t], row = MASKS[best], steps[best][1]
    return found


def check_rate(masks):
    """The share of what is kept, within four standard deviations, and a mask of its own for each row."""
    kept, expected = (masks > 0).mean(), 1 - RATE
    assert abs(kept - expected) < 4 * np.sqrt(RATE * expected / masks.size), kept
    assert len(np.unique(masks.reshape(BATCH, -1), axis=0)) > 4


@pytest.mark.parametrize("each_step", [False, True], ids=["one mask", "fresh masks"])
@pytest.mark.parametrize("kind", ["dropout", "recurrent_dropout"])
@pytest.mark.parametrize("name", LAYERS)
def test_masks_over_time(name, kind, each_step):
    layer, x = make(name, dropout_each_step=each_step, **{kind: RATE}), inputs()
    states = initial_states(layer)
    outputs = to_numpy(layer(x, initial_state=states, training=True))
    masks = masks_in_use(name, kind, layer, x, states, outputs)
    if each_step:
        check_rate(masks)
        assert abs((masks[:, 1:] > 0).mean() - (masks[:, :-1] > 0).mean()) < 0.2
        assert (masks[:, 1:] != masks[:, :-1]).any(axis=(0, 2)).all()
    else:
        np.testing.assert_array_equal(masks, np.broadcast_to(masks[:, :1], masks.shape))
        check_rate(masks[:, 0])


@pytest.mark.parametrize("kind", ["dropout", "recurrent_dropout"])
@pytest.mark.parametrize("name", LAYERS)
def test_cell_in_keras_rnn_keeps_one_mask(name, kind):
    layer, x = make(name, **{kind: RATE}), inputs()
    keras_layer, states = keras.layers.RNN(layer.cell, return_sequences=True), initial_states(layer)
    for _ in range(2):
        outputs = to_numpy(keras_layer(x, initial_state=states, training=True))
        masks = masks_in_use(name, kind, layer, x, states, outputs)
        np.testing.assert_array_equal(masks, np.broadcast_to(masks[:, :1], masks.shape))
        check_rate(masks[:, 0])


@pytest.mark.parametrize("mask_of_time", [False, True], ids=["no mask", "mask"])
def test_masks_over_time_beside_padding(mask_of_time):
    layer, x = make("LSTM", recurrent_dropout=RATE, go_backwards=True), inputs()
    states = initial_states(layer)
    mask = np.ones((BATCH, TIME), bool) if mask_of_time else None
    outputs = to_numpy(layer(x, initial_state=states, mask=mask, training=True))
    masks = masks_in_use("LSTM", "recurrent_dropout", layer, x[:, ::-1], states, outputs)
    np.testing.assert_array_equal(masks, np.broadcast_to(masks[:, :1], masks.shape))


def test_dropout_inside_of_a_wrapper():
    """The residual taken away, the masks are there."""
    layer, x = (
        make("LSTM", lambda layer: Recurrent(ResidualCell(layer.cell), return_sequences=True), dropout=RATE),
        inputs(),
    )
    states = initial_states(layer)
    outputs = to_numpy(layer(x, initial_state=states, training=True)) - x
    masks = masks_in_use("LSTM", "dropout", layer, x, states, outputs)
    np.testing.assert_array_equal(masks, np.broadcast_to(masks[:, :1], masks.shape))
    check_rate(masks[:, 0])


@pytest.mark.parametrize("kind", ["dropout", "recurrent_dropout"])
def test_dropout_of_a_keras_cell_inside_of_a_wrapper(kind):
    """One mask for all steps and a fresh one for each call, whatever the size of the batch."""
    cell = keras.layers.SimpleRNNCell(FEATURES, seed=3, **{kind: RATE})
    layer, x = Recurrent(ResidualCell(cell), return_sequences=True), inputs()
    states = [np.random.default_rng(4).normal(size=(BATCH, UNITS)).astype("float32")]
    first, second = (to_numpy(layer(x, initial_state=states, training=True)) - x for _ in range(2))
    for outputs in (first, second):
        masks = masks_in_use("Elman", kind, layer, x, states, outputs)
        np.testing.assert_array_equal(masks, np.broadcast_to(masks[:, :1], masks.shape))
        check_rate(masks[:, 0])
    assert abs(first - second).max() > 0.1
    assert np.isfinite(to_numpy(layer(x[:2], training=True))).all()


@pytest.mark.parametrize("each_step", [False, True], ids=["one mask", "fresh masks"])
@pytest.mark.parametrize("name", LAYERS)
def test_nothing_is_dropped_in_inference(name, each_step):
    rates = {"dropout": RATE, "recurrent_dropout": RATE, "dropout_each_step": each_step}
    dropping, plain = make(name, **rates), make(name)
    np.testing.assert_array_equal(to_numpy(dropping(inputs())), to_numpy(plain(inputs())))
    np.testing.assert_array_equal(to_numpy(dropping(inputs(), training=False)), to_numpy(plain(inputs())))


@pytest.mark.parametrize("each_step", [False, True], ids=["one mask", "fresh masks"])
@pytest.mark.parametrize("name", LAYERS)
def test_a_seed_makes_runs_equal(name, each_step, tmp_path):
    rates = {"dropout": RATE, "recurrent_dropout": RATE, "dropout_each_step": each_step}
    layer, twin = make(name, **rates), make(name, **rates)
    model = keras.Sequential([keras.Input((TIME, FEATURES)), twin])
    model.save(tmp_path / "model.keras")
    reloaded = keras.saving.load_model(tmp_path / "model.keras").layers[0]
    runs = [[to_numpy(each(inputs(), training=True)) for _ in range(2)] for each in (layer, twin, reloaded)]
    np.testing.assert_array_equal(runs[0], runs[1])
    np.testing.assert_array_equal(runs[0], runs[2])
    assert abs(runs[0][0] - runs[0][1]).max() > 0.1, "each run must draw masks of its own"


def test_dropped_states_do_not_move_the_mean():
    """Of a linear layer, the mean over many masks is the output without dropout."""
    layer = Elman(UNITS, activation="linear", dropout=RATE, recurrent_dropout=RATE, seed=1)
    # Two steps: one mask on h_1 and then on h_2 is a square, with another mean.
    x = np.repeat(np.random.default_rng(0).normal(size=(1, 2, FEATURES)), 20_000, axis=0).astype("float32")
    outputs = to_numpy(layer(x, training=True))
    mean, expected = outputs.mean(axis=0), to_numpy(layer(x[:1]))[0]
    assert (abs(mean - expected) < 4 * outputs.std(axis=0) / np.sqrt(len(x))).all()


@pytest.mark.slow
@pytest.mark.parametrize("each_step", [False, True], ids=["one mask", "fresh masks"])
def test_fit(each_step):
    rates = {"dropout": 0.3, "recurrent_dropout": 0.3, "dropout_each_step": each_step}
    x, y, losses = inputs(), inputs()[:, 0, :1], []
    for _ in range(2):
        keras.utils.set_random_seed(0)
        layers = [
            Bidirectional(Elman(3, return_sequences=True, seed=2, **rates)),
            Stacked([GRU(3, seed=3, **rates), LayerNormGRU(3, seed=4, **rates)], return_sequences=True),
            Recurrent(ZoneoutCell(LSTM(3, seed=5, **rates).cell, 0.3, seed=6), return_sequences=True),
            Recurrent(ResidualCell(keras.layers.GRUCell(3, dropout=0.3, recurrent_dropout=0.3, seed=7))),
        ]
        model = keras.Sequential([keras.Input((None, FEATURES)), *layers, keras.layers.Dense(1)])
        model.compile(keras.optimizers.SGD(0.0), loss="mse", jit_compile=keras.backend.backend() == "jax")
        losses.append(model.fit(x, y, epochs=3, batch_size=BATCH, shuffle=False, verbose=0).history["loss"])
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-6)
    # With nothing learned, only the masks differ from epoch to epoch.
    assert np.isfinite(losses).all() and np.ptp(losses[0]) > 1e-4


def test_fit_compiled_by_xla():
    if keras.backend.backend() == "torch":
        pytest.skip("jit_compile=True means torch.compile there")
    rates = {"dropout": 0.3, "recurrent_dropout": 0.3, "seed": 1}
    layers = [Elman(3, return_sequences=True, dropout_each_step=True, **rates), LSTM(1, use_cudnn=False, **rates)]
    model = keras.Sequential([keras.Input((None, FEATURES)), *layers])
    model.compile(keras.optimizers.SGD(0.0), loss="mse", jit_compile=True)
    losses = model.fit(inputs(), inputs()[:, 0, :1], epochs=3, batch_size=BATCH, verbose=0).history["loss"]
    assert np.isfinite(losses).all() and np.ptp(losses) > 1e-4


def test_cell_in_keras_rnn_fits_compiled():
    layers = [
        keras.layers.RNN(cell(3, dropout=0.3, recurrent_dropout=0.3, seed=1), return_sequences=True)
        for cell in (LSTMCell, GRUCell)
    ]
    model = keras.Sequential([keras.Input((TIME, FEATURES)), *layers])
    model.compile("sgd", loss="mse", jit_compile=keras.backend.backend() == "jax")
    assert np.isfinite(model.fit(inputs(), inputs(), epochs=2, batch_size=BATCH, verbose=0).history["loss"]).all()


@pytest.mark.parametrize("kind", ["dropout", "recurrent_dropout"])
@pytest.mark.parametrize("rate", [-0.1, 1.0, 1.5, True, "0.5", None])
def test_rate_must_be_a_number_below_one(kind, rate):
    for make in (LSTM, LSTMCell, Elman, LayerNormGRU):
        with pytest.raises(ValueError, match=rf"expected {kind} to be a number in \[0, 1\), received"):
            make(3, **{kind: rate})


def test_dropout_in_half_precision():
    layer = LSTM(UNITS, dropout=0.5, recurrent_dropout=0.5, dtype="mixed_bfloat16", seed=1)
    outputs = to_numpy(ops.cast(layer(inputs(), training=True), "float32"))
    assert np.isfinite(outputs).all()

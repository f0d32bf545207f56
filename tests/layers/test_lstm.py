import keras
import numpy as np
import pytest
from keras import ops

from rnnkit import backend
from rnnkit.layers import LSTM, LSTMCell
from tests import layer_checks, oracles
from tests.layer_checks import to_numpy

UNITS = 4
CASE = layer_checks.Case(lambda **kwargs: LSTM(UNITS, **kwargs), oracles.lstm_step, [UNITS, UNITS])
ARGUMENTS = {
    **layer_checks.KERAS_ARGUMENTS,
    "recurrent_activation": "hard_sigmoid",
    "unit_forget_bias": False,
    "use_cudnn": False,
}


@pytest.mark.parametrize("check", layer_checks.CHECKS, ids=lambda check: check.__name__)
def test_lstm(check):
    check(CASE)


@pytest.mark.parametrize("options", [{}, {"go_backwards": True}, {"activation": "relu", "use_bias": False}], ids=str)
def test_lstm_is_keras_lstm_with_the_same_weights(options):
    layer_checks.equals_keras(LSTM, keras.layers.LSTM, UNITS, {"return_sequences": True, **options})


def test_weights_go_both_ways_and_start_the_same():
    ours, theirs = LSTM(UNITS, seed=1), keras.layers.LSTM(UNITS, seed=1)
    ours.build((None, None, 3)), theirs.build((None, None, 3))
    assert [(w.name, w.shape, w.dtype) for w in ours.weights] == [(w.name, w.shape, w.dtype) for w in theirs.weights]
    np.testing.assert_array_equal(ours.get_weights()[2], theirs.get_weights()[2])
    theirs.set_weights(ours.get_weights())
    np.testing.assert_array_equal(theirs.get_weights()[0], ours.get_weights()[0])
    loaded = LSTM.from_config(theirs.get_config())
    assert loaded.name == theirs.name


@pytest.mark.parametrize("ours, theirs", [(LSTM, keras.layers.LSTM), (LSTMCell, keras.layers.LSTMCell)])
def test_every_argument_of_keras_is_taken_and_kept(ours, theirs):
    layer_checks.takes_the_arguments_of_keras(ours, theirs, UNITS, ARGUMENTS, {"dropout_each_step": False})


def test_implementation_is_taken_as_keras_takes_it():
    for implementation in (1, 2):
        layer = LSTM(UNITS, implementation=implementation, seed=1)
        assert to_numpy(layer(layer_checks.sequences())).shape == (layer_checks.BATCH, UNITS)


def test_initializers_of_ones_own_need_no_registration():
    def half(shape, dtype=None):
        return 0.5 * ops.ones(shape, dtype=dtype)

    layer = LSTM(UNITS, kernel_initializer=half, bias_initializer=half)
    layer.build((None, None, 3))
    assert (layer.get_weights()[0] == 0.5).all()
    np.testing.assert_array_equal(layer.get_weights()[2], [0.5] * 4 + [1] * 4 + [0.5] * 8)


def test_weights_are_held_to_regularizers_constraints_and_trainable():
    layer = LSTM(UNITS, kernel_regularizer="l2", kernel_constraint="max_norm", activity_regularizer="l2")
    layer(layer_checks.sequences())
    assert len(layer.losses) == 2
    assert layer.cell.kernel.constraint is not None
    assert LSTM(UNITS, trainable=False)(layer_checks.sequences()) is not None
    frozen = LSTM(UNITS, trainable=False)
    frozen.build((None, None, 3))
    assert len(frozen.weights) == 3 and not frozen.trainable_weights


def test_ten_thousand_steps():
    x = np.random.default_rng(0).normal(size=(1, 10_000, layer_checks.FEATURES)).astype("float32")
    layer = CASE.layer(return_state=True)
    inputs = keras.Input((None, layer_checks.FEATURES))
    last = keras.Model(inputs, layer(inputs)).predict_on_batch(x)
    zeros = [np.zeros((1, UNITS))] * 2
    expected, states = oracles.run(oracles.lstm_step, layer.get_weights(), x, zeros)
    np.testing.assert_allclose(last[0], expected[:, -1], atol=1e-5)
    np.testing.assert_allclose(last[2], states[1], atol=1e-5)


@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize("time", [layer_checks.TIME, None], ids=["known length", "unknown length"])
def test_masked_training_compiled_or_not(time, jit_compile):
    if jit_compile and keras.backend.backend() == "torch":
        pytest.skip("jit_compile=True means torch.compile there")
    x, mask = layer_checks.sequences(), layer_checks.MASKS["empty rows"].astype(bool)
    layer = CASE.layer(use_cudnn=False)
    sequences, masks = keras.Input((time, layer_checks.FEATURES)), keras.Input((time,), dtype="bool")
    model = keras.Model([sequences, masks], layer(sequences, mask=masks))
    model.compile(keras.optimizers.SGD(1.0), loss="mse", jit_compile=jit_compile)
    weights = [ops.convert_to_tensor(weight) for weight in layer.get_weights()]

    def loss(*weights):
        return ops.mean(ops.square(layer_checks.stateless(layer, weights, x, mask=mask)[0]))

    expected = [to_numpy(w) - to_numpy(g) for w, g in zip(weights, backend.gradient(loss, weights), strict=True)]
    model.train_on_batch([x, mask], np.zeros((len(x), UNITS)))
    for value, same in zip(layer.get_weights(), expected, strict=True):
        np.testing.assert_allclose(value, same, atol=1e-6)


@pytest.mark.parametrize("bidirectional", [False, True])
def test_equals_torch(bidirectional):
    torch = pytest.importorskip("torch")
    layer_checks.equals_torch(CASE, torch.nn.LSTM, bidirectional)


@pytest.mark.parametrize("make", [LSTM, LSTMCell])
@pytest.mark.parametrize("units", [0, -1, 2.5, True, None, "4"])
def test_units_must_be_a_positive_integer(make, units):
    with pytest.raises(ValueError, match="units to be a positive integer, received"):
        make(units)


def test_states_of_the_wrong_shape_or_number():
    x, state = layer_checks.sequences(), np.zeros((layer_checks.BATCH, UNITS), "float32")
    with pytest.raises(ValueError, match=r"expected 2 initial state\(s\) of sizes \[4, 4\], received 1"):
        LSTM(UNITS)(x, initial_state=[state])
    with pytest.raises(ValueError, match=r"'mine' expected initial state 1 of shape \(5, 4\), received \(5, 3\)"):
        LSTM(UNITS, name="mine")(x, initial_state=[state, state[:, :3]])


@pytest.mark.parametrize("use_cudnn", ["yes", None, 2])
def test_use_cudnn_must_be_known(use_cudnn):
    with pytest.raises(ValueError, match="use_cudnn"):
        LSTM(UNITS, use_cudnn=use_cudnn)


def test_cudnn_does_not_know_fresh_masks():
    with pytest.raises(ValueError, match="cannot run on cuDNN, which does not know its cell's equation"):
        LSTM(UNITS, dropout=0.1, dropout_each_step=True, use_cudnn=True)
    assert LSTM(UNITS, dropout_each_step=True, use_cudnn=True).use_cudnn is True  # nothing is dropped

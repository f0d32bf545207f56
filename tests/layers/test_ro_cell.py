import keras
import numpy as np
import pytest

from rnnkit.layers import Elman, Recurrent, ROCell
from tests import layer_checks, oracles
from tests.layer_checks import to_numpy

UNITS = 4
X = layer_checks.sequences()
Dense = keras.layers.Dense


def make(dtype=None, **kwargs):
    return Recurrent(ROCell(Dense(UNITS, "tanh", dtype=dtype), Dense(2, dtype=dtype)), **kwargs)


CASE = layer_checks.Case(make, oracles.ro_step, [UNITS])


@pytest.mark.parametrize("check", layer_checks.CHECKS, ids=lambda check: check.__name__)
def test_ro(check):
    check(CASE)


@pytest.mark.parametrize("mask", layer_checks.MASKS)
def test_dense_tanh_and_dense_are_an_elman_network(mask):
    mask = dict(layer_checks.masks())[mask]
    elman = Elman(UNITS, output_units=2, return_sequences=True)
    elman.build(X.shape)
    kernel, recurrent_kernel, bias, output_kernel = elman.get_weights()
    layer = Recurrent(ROCell(Dense(UNITS, "tanh"), Dense(2, use_bias=False)), return_sequences=True)
    layer.build(X.shape)
    layer.set_weights([np.concatenate([recurrent_kernel, kernel]), bias, output_kernel])
    np.testing.assert_allclose(to_numpy(layer(X, mask=mask)), to_numpy(elman(X, mask=mask)), atol=1e-6)


def test_without_o_the_output_is_the_state():
    outputs, state = Recurrent(ROCell(Dense(UNITS, "tanh")), return_state=True)(X)
    np.testing.assert_array_equal(to_numpy(outputs), to_numpy(state))


def test_r_may_be_a_model_with_two_inputs():
    state, x = keras.Input((UNITS,)), keras.Input((3,))
    R = keras.Model([state, x], keras.layers.Add()([Dense(UNITS)(x), state]))  # s_t = s_{t-1} + W x_t
    layer = Recurrent(ROCell(R), return_sequences=True)
    kernel, bias = R.get_weights()
    np.testing.assert_allclose(to_numpy(layer(X)), (X @ kernel + bias).cumsum(axis=1), atol=1e-5)
    twin = Recurrent.from_config(layer.get_config())
    twin.build(X.shape)
    twin.set_weights(layer.get_weights())
    np.testing.assert_array_equal(to_numpy(twin(X)), to_numpy(layer(X)))


def test_r_and_o_may_be_deep_and_have_dropout(tmp_path):
    R = keras.Sequential([Dense(8, "relu"), Dense(UNITS, "tanh")])
    O = keras.Sequential([Dense(5, "relu"), keras.layers.Dropout(0.5), Dense(2)])  # noqa: E741
    layer = Recurrent(ROCell(R, O, state_size=UNITS), return_sequences=True)
    model = keras.Sequential([keras.Input((None, 3)), layer])
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.predict_on_batch(X), model.predict_on_batch(X))
    if keras.backend.backend() != "jax":  # there, nothing can be drawn inside the loop
        assert abs(to_numpy(layer(X, training=True)) - to_numpy(layer(X))).max() > 1e-3


def test_r_may_be_a_custom_model():
    class Own(keras.Model):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.dense = Dense(UNITS, "tanh")

        def build(self, shape):
            self.dense.build(shape)

        def call(self, inputs):
            return self.dense(inputs)

    assert to_numpy(Recurrent(ROCell(Own(), state_size=UNITS))(X)).shape == (5, UNITS)


@pytest.mark.parametrize("R, O", [(np.tanh, None), (None, None), (Dense(3), "dense")])
def test_r_and_o_must_be_layers(R, O):  # noqa: E741
    with pytest.raises(ValueError, match="to be a Keras layer, received"):
        ROCell(R, O)


def test_state_size_must_be_known():
    with pytest.raises(ValueError, match="expected an R with a known number of output features, .* pass state_size="):
        ROCell(keras.Sequential([Dense(3)]))


@pytest.mark.parametrize("state_size", [0, -1, 2.5, "4", [4]])
def test_state_size_must_be_a_positive_integer(state_size):
    with pytest.raises(ValueError, match="ROCell expected state_size to be a positive integer, received"):
        ROCell(Dense(4), state_size=state_size)


def test_r_must_return_the_state_size():
    with pytest.raises(ValueError, match="expected R to return the next state with 3 features, received 4"):
        Recurrent(ROCell(Dense(4), state_size=3))(X)

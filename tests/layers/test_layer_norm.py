import numpy as np
import pytest

from rnnkit.layers import LayerNormGRU, LayerNormGRUCell, LayerNormLSTM, LayerNormLSTMCell
from tests import layer_checks, oracles

UNITS = 4
CASES = {
    "LSTM": layer_checks.Case(
        lambda **kwargs: LayerNormLSTM(UNITS, **kwargs), oracles.layer_norm_lstm_step, [UNITS, UNITS]
    ),
    "GRU": layer_checks.Case(lambda **kwargs: LayerNormGRU(UNITS, **kwargs), oracles.layer_norm_gru_step, [UNITS]),
}
LAYERS = [LayerNormLSTM, LayerNormGRU]


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("check", layer_checks.CHECKS, ids=lambda check: check.__name__)
def test_layer_norm(name, check):
    check(CASES[name])


@pytest.mark.parametrize("make", LAYERS)
def test_the_size_of_the_input_does_not_matter(make):
    x = layer_checks.sequences()
    layer = make(UNITS)
    expected = layer_checks.to_numpy(layer(x))
    np.testing.assert_allclose(layer_checks.to_numpy(layer(1000 * x)), expected, atol=1e-3)
    assert abs(layer_checks.to_numpy(layer(-x)) - expected).max() > 0.01


@pytest.mark.parametrize("make", LAYERS)
def test_epsilon_keeps_the_division_from_zero_and_survives_the_config(make):
    layer = make(UNITS, epsilon=0.5)
    assert make.from_config(layer.get_config()).cell.epsilon == 0.5
    assert type(layer.cell).from_config(layer.cell.get_config()).epsilon == 0.5
    zeros = np.zeros((2, 3, 3), "float32")
    assert np.isfinite(layer_checks.to_numpy(make(UNITS)(zeros))).all()
    x = layer_checks.sequences()
    small = make(UNITS, epsilon=1e-5)
    small.build(x.shape), layer.build(x.shape)
    small.set_weights(layer.get_weights())
    assert abs(layer_checks.to_numpy(small(x)) - layer_checks.to_numpy(layer(x))).max() > 1e-3


@pytest.mark.parametrize("make", LAYERS)
def test_cudnn_does_not_know_layer_normalization(make):
    with pytest.raises(ValueError, match="cannot run on cuDNN, which does not know its cell's equation"):
        make(UNITS, use_cudnn=True)


@pytest.mark.parametrize("make", LAYERS)
def test_frozen_means_every_weight(make):
    layer = make(UNITS, trainable=False)
    layer.build((None, None, 3))
    assert len(layer.weights) > 3 and not layer.trainable_weights


def test_gru_has_no_convention():
    with pytest.raises(ValueError, match="convention"):
        LayerNormGRU(UNITS, convention="torch")
    with pytest.raises(TypeError, match="convention"):
        LayerNormGRUCell(UNITS, convention="torch")


@pytest.mark.parametrize("make", [*LAYERS, LayerNormLSTMCell, LayerNormGRUCell])
@pytest.mark.parametrize("units", [0, 1.5, None])
def test_units_must_be_a_positive_integer(make, units):
    with pytest.raises(ValueError, match=f"{make.__name__} expected units to be a positive integer, received"):
        make(units)

import numpy as np
import pytest

from rnnkit.layers import LSTM, PeepholeLSTM, PeepholeLSTMCell
from tests import layer_checks, oracles
from tests.marks import slow_except

UNITS = 4


def case(step, **arguments):
    return layer_checks.Case(lambda **kwargs: PeepholeLSTM(UNITS, **arguments, **kwargs), step, [UNITS, UNITS])


CASES = {
    "full": case(oracles.peephole_full_step),
    "diagonal": case(oracles.peephole_diagonal_step, peephole="diagonal"),
}


@pytest.mark.parametrize("name", slow_except(["full"], CASES))
@pytest.mark.parametrize("check", layer_checks.CHECKS, ids=lambda check: check.__name__)
def test_peephole(name, check):
    check(CASES[name])


@pytest.mark.parametrize("peephole", ["full", "diagonal"])
def test_peepholes_of_zeros_make_an_lstm(peephole):
    x = layer_checks.sequences()
    layer, lstm = PeepholeLSTM(UNITS, peephole=peephole, peephole_initializer="zeros"), LSTM(UNITS)
    layer.build(x.shape), lstm.build(x.shape)
    lstm.set_weights(layer.get_weights()[:3])
    np.testing.assert_allclose(layer_checks.to_numpy(layer(x)), layer_checks.to_numpy(lstm(x)), atol=1e-6)


def test_diagonal_peepholes_start_as_an_lstm_and_full_ones_do_not():
    for peephole, is_zero in (("diagonal", True), ("full", False)):
        layer = PeepholeLSTM(UNITS, peephole=peephole)
        layer.build((None, None, 3))
        assert (layer.get_weights()[3] == 0).all() == is_zero


def test_initializer_survives_the_config():
    layer = PeepholeLSTM(UNITS, peephole_initializer="ones")
    twin = PeepholeLSTM.from_config(layer.get_config())
    twin.build((None, None, 3))
    assert (twin.get_weights()[3] == 1).all()
    assert PeepholeLSTMCell.from_config(layer.cell.get_config()).get_config() == layer.cell.get_config()


@pytest.mark.parametrize("peephole", ["half", None, True])
def test_peephole_must_be_known(peephole):
    for make in (PeepholeLSTM, PeepholeLSTMCell):
        with pytest.raises(ValueError, match=r"expected peephole to be in \('full', 'diagonal'\), received"):
            make(UNITS, peephole=peephole)


def test_cudnn_does_not_know_peepholes():
    with pytest.raises(ValueError, match="cannot run on cuDNN, which does not know its cell's equation"):
        PeepholeLSTM(UNITS, use_cudnn=True)


@pytest.mark.parametrize("units", [0, 1.5, None])
def test_units_must_be_a_positive_integer(units):
    with pytest.raises(ValueError, match="PeepholeLSTM expected units to be a positive integer, received"):
        PeepholeLSTM(units)

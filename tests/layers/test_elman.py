import keras
import numpy as np
import pytest

from rnnkit.layers import Elman, ElmanCell
from tests import layer_checks, oracles

UNITS = 4
CASES = {
    "Elman": layer_checks.Case(lambda **kwargs: Elman(UNITS, **kwargs), oracles.elman_step, [UNITS]),
    "Elman with output": layer_checks.Case(
        lambda **kwargs: Elman(UNITS, output_units=2, **kwargs), oracles.elman_with_output_step, [UNITS]
    ),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("check", layer_checks.CHECKS, ids=lambda check: check.__name__)
def test_elman(name, check):
    check(CASES[name])


@pytest.mark.parametrize("mask", layer_checks.MASKS)
def test_elman_is_simple_rnn_with_the_same_weights(mask):
    mask = dict(layer_checks.masks())[mask]
    x = layer_checks.sequences()
    ours, theirs = Elman(UNITS, return_sequences=True), keras.layers.SimpleRNN(UNITS, return_sequences=True)
    expected = theirs(x, mask=mask)
    ours.build(x.shape)
    ours.set_weights(theirs.get_weights())
    np.testing.assert_allclose(layer_checks.to_numpy(ours(x, mask=mask)), layer_checks.to_numpy(expected), atol=1e-6)


def test_no_bias_means_no_bias():
    layer = Elman(UNITS, use_bias=False, output_units=3)
    layer.build((None, None, 2))
    assert [weight.name for weight in layer.weights] == ["kernel", "recurrent_kernel", "output_kernel"]


def test_activity_regularizer_belongs_to_the_layer():
    layer = Elman(UNITS, activity_regularizer="l2")
    assert Elman.from_config(layer.get_config()).activity_regularizer is not None


@pytest.mark.parametrize("units", [0, -1, 2.5, True, None, "4"])
def test_units_must_be_a_positive_integer(units):
    with pytest.raises(ValueError, match="units to be a positive integer, received"):
        ElmanCell(units)


@pytest.mark.parametrize("output_units", [0, -3, 1.0])
def test_output_units_must_be_a_positive_integer(output_units):
    with pytest.raises(ValueError, match="output_units to be a positive integer, received"):
        Elman(3, output_units=output_units)


@pytest.mark.parametrize("make, theirs", [(Elman, keras.layers.SimpleRNN), (ElmanCell, keras.layers.SimpleRNNCell)])
def test_every_argument_of_keras_is_taken_and_kept(make, theirs):
    own = {
        "dropout_each_step": False,
        "output_units": None,
        "output_initializer": keras.initializers.serialize(keras.initializers.GlorotUniform()),
        "seed": 3,
    }
    if make is Elman:  # Keras's layer forgets it, and the seed
        own["activity_regularizer"] = keras.regularizers.serialize(keras.regularizers.L2())
    layer_checks.takes_the_arguments_of_keras(make, theirs, UNITS, layer_checks.KERAS_ARGUMENTS, own)


@pytest.mark.parametrize("make", [Elman, ElmanCell])
def test_fresh_masks_survive_the_config(make):
    layer = make(UNITS, dropout=0.2, dropout_each_step=True)
    assert make.from_config(layer.get_config()).get_config() == layer.get_config()

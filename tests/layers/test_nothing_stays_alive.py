"""After `del model; keras.backend.clear_session(); gc.collect()`, no layer, cell or weight of ours lives."""

import gc
import weakref

import keras
import numpy as np
import pytest

from rnnkit import layers
from tests.loop_cases import FEATURES, LAYERS, TIME, UNITS

pytestmark = pytest.mark.slow


def references(model):
    """Weak references to every layer, cell and variable of a model."""
    return [weakref.ref(one) for one in [*model._flatten_layers(), *model.variables]]


def left_of(make):
    """What is left of the model that `make` makes, once it was fitted, asked for predictions, called, and deleted."""
    model = make()
    x = np.zeros((8, TIME, FEATURES), "float32")
    model.compile("sgd", "mse")
    model.fit(x, np.zeros((8, *model.output_shape[1:]), "float32"), verbose=0)
    model.predict(x, verbose=0)
    model(x)
    found = references(model)
    assert len(found) > 5
    del model
    keras.backend.clear_session()
    gc.collect()
    return [reference() for reference in found if reference() is not None]


@pytest.mark.parametrize("name", LAYERS)
def test_nothing_is_left_of_a_layer(name):
    assert (
        left_of(lambda: keras.Sequential([keras.Input((TIME, FEATURES)), LAYERS[name](), keras.layers.Dense(2)])) == []
    )


def test_nothing_is_left_of_a_stack_of_two_directions():
    def make():
        stack = [layers.Bidirectional(layers.LSTM(UNITS)), layers.GRU(UNITS), layers.Elman(UNITS)]
        top = layers.LearnedInitialState(layers.LSTM(UNITS))
        return keras.Sequential([keras.Input((TIME, FEATURES)), layers.Stacked(stack, return_sequences=True), top])

    assert left_of(make) == []


def test_the_second_of_two_layers_goes_on_where_the_first_has_ended():
    """They share programs, whose gradients may be asked for when the layer that made them is gone."""
    x, y = np.ones((8, TIME, FEATURES), "float32"), np.ones((8, UNITS), "float32")

    def model():
        keras.utils.set_random_seed(0)
        made = keras.Sequential([keras.Input((TIME, FEATURES)), layers.LSTM(UNITS)])
        made.compile("sgd", "mse")
        return made

    first, second = model(), model()
    first.predict(x, verbose=0)
    expected = first.train_on_batch(x, y)
    del first
    gc.collect()
    np.testing.assert_allclose(second.train_on_batch(x, y), expected, rtol=1e-6)
    assert second.train_on_batch(x[:4], y[:4]) > 0

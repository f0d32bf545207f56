"""After `del model; keras.backend.clear_session(); gc.collect()`, no layer, cell or weight of ours lives."""

import gc
import weakref

import keras
import numpy as np
import pytest

from rnnkit import layers
from tests.loop_cases import FEATURES, LAYERS, TIME, UNITS

RUNS = ["fit", "predict", "eager"]


def references(model):
    """Weak references to every layer and every variable of a model."""
    alive = [*model._flatten_layers(), *model.variables, *model.trainable_variables]
    return [weakref.ref(one) for one in alive]


def left_after(make, run):
    """What is left of a model once it has run and is deleted."""
    model = make()
    x, y = np.zeros((8, TIME, FEATURES), "float32"), np.zeros((8, *model.output_shape[1:]), "float32")
    model.compile("sgd", "mse")
    if run == "fit":
        model.fit(x, y, verbose=0)
    elif run == "predict":
        model.predict(x, verbose=0)
    else:
        model(x)
    found = references(model)
    del model
    keras.backend.clear_session()
    gc.collect()
    return [reference() for reference in found if reference() is not None]


@pytest.mark.parametrize("run", RUNS)
@pytest.mark.parametrize("name", LAYERS)
def test_nothing_is_left_of_a_layer(name, run):
    def make():
        return keras.Sequential([keras.Input((TIME, FEATURES)), LAYERS[name](), keras.layers.Dense(2)])

    assert left_after(make, run) == []


@pytest.mark.parametrize("run", RUNS)
def test_nothing_is_left_of_a_stack_of_two_directions(run):
    def make():
        stack = [layers.Bidirectional(layers.LSTM(UNITS)), layers.GRU(UNITS), layers.Elman(UNITS)]
        inputs = keras.Input((TIME, FEATURES))
        return keras.Model(
            inputs, layers.LearnedInitialState(layers.LSTM(UNITS))(layers.Stacked(stack, return_sequences=True)(inputs))
        )

    assert left_after(make, run) == []


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
    assert second.train_on_batch(x, y) == expected
    assert second.train_on_batch(x[:4], y[:4]) > 0

"""A loss that a cell's step adds counts once per time step, however the layer runs."""

import keras
import numpy as np
import pytest
from keras import ops

from rnnkit import layers
from tests.marks import slow_except

STEPS, UNITS = 5, 4
X = np.random.default_rng(0).normal(size=(3, STEPS, UNITS)).astype("float32")


class Adding(layers.RecurrentCell):
    """Adds half the squared size of its state to the losses."""

    def __init__(self, counts=False, **kwargs):
        super().__init__(**kwargs)
        self.state_size, self.output_size, self.counts = [UNITS], UNITS, counts

    def build(self, input_shape):
        self.kernel = self.add_weight((UNITS, UNITS), "orthogonal", name="kernel")
        self.steps = self.add_weight((), "zeros", trainable=False, name="steps")

    def step(self, projected, states, training=False):
        h = ops.tanh(projected + layers.recurrent_product(states[0], self.kernel))
        self.add_loss(0.5 * ops.sum(h * h))
        if self.counts:
            self.steps.assign_add(1.0)
        return h, [h]


def dense(**kwargs):
    return keras.layers.Dense(UNITS, "tanh", activity_regularizer=keras.regularizers.L2(1.0), **kwargs)


def inside(**kwargs):
    return layers.ROCell(keras.Sequential([dense(), dense()]), state_size=UNITS)


CELLS = {
    "own cell": Adding,
    "regularized activity": lambda: layers.ROCell(dense()),
    "two of them": inside,
    "in a wrapper": lambda: layers.ResidualCell(layers.ROCell(dense())),
    "in a stack": lambda: keras.layers.StackedRNNCells([keras.layers.GRUCell(UNITS), layers.ROCell(dense())]),
}


def loss_of(cell, mask, run_eagerly, wrap=layers.Recurrent):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((STEPS, UNITS))
    unmasked = ops.any(inputs > (0.0 if mask else -9.0), axis=-1)
    layer = wrap(cell())
    model = keras.Model(inputs, layer(inputs, mask=unmasked) if mask else layer(inputs))
    model.compile(keras.optimizers.SGD(0.1), "mse", run_eagerly=run_eagerly)
    history = model.fit(X, np.ones((3, UNITS)), epochs=2, batch_size=3, shuffle=False, verbose=0).history["loss"]
    return [*history, model.evaluate(X, np.ones((3, UNITS)), verbose=0)]


@pytest.mark.parametrize("mask", [False, True])
@pytest.mark.parametrize("name", slow_except(["own cell"], CELLS))
def test_losses_are_those_of_eager_mode(name, mask):
    """After one step of training, too: the gradients of these losses."""
    eager = loss_of(CELLS[name], mask, run_eagerly=keras.backend.backend() != "jax")
    without = loss_of(lambda: layers.ROCell(keras.layers.Dense(UNITS, "tanh")), mask, run_eagerly=False)
    assert eager[0] > without[0] + 0.3  # they matter
    np.testing.assert_allclose(loss_of(CELLS[name], mask, run_eagerly=False), eager, rtol=1e-5)


def test_what_they_are():
    """Against the states that the layer returns."""
    layer = layers.Recurrent(Adding(), return_sequences=True)
    model = keras.Sequential([keras.Input((STEPS, UNITS)), layer])
    model.compile(loss=None, optimizer=keras.optimizers.SGD(0.0))
    added = model.evaluate(X, verbose=0)
    np.testing.assert_allclose(added, 0.5 * np.sum(model.predict(X, verbose=0) ** 2), rtol=1e-5)


def test_a_step_that_changes_a_variable_too():
    layer = layers.Recurrent(Adding(counts=True), return_sequences=True)
    model = keras.Sequential([keras.Input((STEPS, UNITS)), layer])
    model.compile(loss=None, optimizer=keras.optimizers.SGD(0.0))
    added = model.evaluate(X, verbose=0)
    np.testing.assert_allclose(added, 0.5 * np.sum(model.predict(X, verbose=0) ** 2), rtol=1e-5)
    assert float(layer.cell.steps) == 2 * STEPS


@pytest.mark.parametrize("wrap", [layers.Bidirectional, layers.Stacked])
def test_in_layers_around_the_layer(wrap):
    def wrapped(cell):
        layer = layers.Recurrent(cell, return_sequences=False)
        return (
            layers.Bidirectional(layer, merge_mode="sum") if wrap is layers.Bidirectional else layers.Stacked([layer])
        )

    eager = loss_of(CELLS["regularized activity"], True, keras.backend.backend() != "jax", wrapped)
    np.testing.assert_allclose(loss_of(CELLS["regularized activity"], True, False, wrapped), eager, rtol=1e-5)

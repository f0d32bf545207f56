"""Layers and masks for the tests of the loops that are compiled or differentiated by hand."""

import keras
import numpy as np
from keras import ops

from rnnkit import layers
from rnnkit.layers.state_shapes import state_specs

BATCH, TIME, FEATURES, UNITS = 8, 6, 3, 4
MASKS = {
    "none": None,
    "any": [
        *([1, 0, 1, 0, 1, 1], [0, 0, 1, 1, 1, 1], [1, 1, 1, 1, 0, 0], [0] * 6, [1] * 6),  # holes, left, right, empty
        *([0, 1, 1, 0, 0, 0], [1, 0, 0, 0, 0, 0], [1, 1, 0, 0, 0, 1]),
    ],
}


class OwnCell(layers.RecurrentCell):
    """Two states, a nested projection, a product of its own kind beside one that the loop knows."""

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units, self.state_size, self.output_size = units, [units, 2 * units], units

    def build(self, input_shape):
        self.kernel = self.add_weight((input_shape[-1], self.units), "glorot_uniform", name="kernel")
        self.wide = self.add_weight((self.units, 2 * self.units), "glorot_uniform", name="wide")
        self.back = self.add_weight((2 * self.units, self.units), "glorot_uniform", name="back")
        self.shift = self.add_weight((self.units,), "uniform", name="shift")

    def project(self, inputs, training=False):
        return {"x": ops.matmul(inputs, self.kernel), "gate": inputs[..., :1]}

    def step(self, projected, states, training=False):
        a, b = states
        b = 0.5 * b + ops.matmul(ops.tanh(a), self.wide)
        a = ops.tanh(layers.recurrent_product(ops.sin(b), 2 * self.back, base=projected["x"], bias=-self.shift))
        return ops.sigmoid(projected["gate"]) * a + self.shift, [a, b]


def stacked():
    return keras.layers.StackedRNNCells([keras.layers.LSTMCell(UNITS), layers.GRUCell(UNITS)])


def R():
    return keras.Sequential([keras.layers.Dense(7, "relu"), keras.layers.Dense(UNITS, "tanh")])


LAYERS = {
    "LSTM": lambda **kwargs: layers.LSTM(UNITS, **kwargs),
    "LSTM relu": lambda **kwargs: layers.LSTM(UNITS, activation="relu", use_bias=False, **kwargs),
    "LSTM dropout": lambda **kwargs: layers.LSTM(UNITS, dropout=0.3, recurrent_dropout=0.3, seed=1, **kwargs),
    "GRU": lambda **kwargs: layers.GRU(UNITS, **kwargs),
    "GRU chung": lambda **kwargs: layers.GRU(UNITS, convention="chung", **kwargs),
    "GRU torch": lambda **kwargs: layers.GRU(UNITS, convention="torch", **kwargs),
    "Elman": lambda **kwargs: layers.Elman(UNITS, **kwargs),
    "Elman readout": lambda **kwargs: layers.Elman(UNITS, output_units=2, **kwargs),
    "PeepholeLSTM": lambda **kwargs: layers.PeepholeLSTM(UNITS, **kwargs),
    "PeepholeLSTM diagonal": lambda **kwargs: layers.PeepholeLSTM(
        UNITS, peephole="diagonal", peephole_initializer="uniform", **kwargs
    ),
    "LayerNormLSTM": lambda **kwargs: layers.LayerNormLSTM(UNITS, **kwargs),
    "LayerNormGRU": lambda **kwargs: layers.LayerNormGRU(UNITS, **kwargs),
    "zoneout": lambda **kwargs: layers.Recurrent(layers.ZoneoutCell(layers.LSTMCell(UNITS), 0.3, seed=1), **kwargs),
    "residual": lambda **kwargs: layers.Recurrent(layers.ResidualCell(layers.GRUCell(FEATURES)), **kwargs),
    "R and O": lambda **kwargs: layers.Recurrent(layers.ROCell(R(), keras.layers.Dense(2), UNITS), **kwargs),
    "stack of cells": lambda **kwargs: layers.Recurrent(stacked(), **kwargs),
    "own cell": lambda **kwargs: layers.Recurrent(OwnCell(UNITS), **kwargs),
}


def run_and_inputs(layer, mask, training=True):
    """`run(sequences, *states)` of a layer with weights that hide nothing, for one of `MASKS`, and inputs for it."""
    rng = np.random.default_rng(0)
    x = ops.convert_to_tensor(rng.normal(size=(BATCH, TIME, FEATURES)), layer.compute_dtype)
    layer.build(x.shape)
    for weight in layer.trainable_weights:  # zeros would hide what is multiplied with them
        weight.assign_add(0.1 * rng.normal(size=weight.shape))
    specs = state_specs(layer.cell)
    shapes = [(BATCH, *spec.shape[1:]) for spec in keras.tree.flatten(specs)]
    states = [ops.convert_to_tensor(rng.normal(size=shape), layer.compute_dtype) for shape in shapes]
    mask = None if MASKS[mask] is None else np.array(MASKS[mask], bool)

    def run(x, *states):
        states = keras.tree.pack_sequence_as(specs, states)
        return layer(x, initial_state=states, mask=mask, training=training)

    return run, [x, *states]


def fit_a_model(training, **arguments):
    """The losses of a model that is fitted, and how its last layer ran; the same weights at the start of each call.

    Args:
        training: for its layers; False is a model that is trained without its layers' knowing.
        **arguments: of `compile`.
    """
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(10, TIME, FEATURES)), rng.normal(size=(10, UNITS))
    keras.utils.set_random_seed(0)
    inputs = keras.Input((TIME, FEATURES))
    hidden = layers.Bidirectional(layers.PeepholeLSTM(UNITS, return_sequences=True))(inputs, training=training)
    model = keras.Model(inputs, layers.LSTM(UNITS)(hidden, training=training))
    model.compile("sgd", "mse", **arguments)
    losses = model.fit(x, y, batch_size=4, epochs=3, shuffle=False, verbose=0).history["loss"]
    predicted, way = model.predict(x, verbose=0), model.layers[-1].explain()
    np.testing.assert_allclose(predicted, model(x), rtol=1e-5, atol=1e-6)
    return losses, way

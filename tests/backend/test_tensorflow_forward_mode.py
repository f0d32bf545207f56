"""Forward mode in and around a tf.function, and products of Hessians and vectors, against differences."""

import keras
import numpy as np
import pytest

from rnnkit import layers

if keras.backend.backend() != "tensorflow":
    pytest.skip("TensorFlow's own forward mode", allow_module_level=True)

import tensorflow as tf

from tests.loop_cases import FEATURES, LAYERS, TIME, UNITS, OwnCell
from tests.marks import slow_except

MAIN = ["LSTM", "own cell"]
CASES = [
    *((name, masked) for name in MAIN for masked in (False, True)),
    *((name, True) for name in LAYERS if name not in MAIN),
]
BATCH = 3


def make(name):
    if name in ("R and O", "stack of cells"):
        pytest.skip("its inner layers have another dtype; it runs as an own cell does")
    kwargs = {"return_sequences": True, "dtype": "float64"}
    if name == "own cell":
        return layers.Recurrent(OwnCell(UNITS, dtype="float64"), return_sequences=True)
    if name == "zoneout":
        return layers.Recurrent(layers.ZoneoutCell(layers.LSTMCell(UNITS, dtype="float64"), 0.3, dtype="float64"))
    if name == "residual":
        return layers.Recurrent(layers.ResidualCell(layers.GRUCell(FEATURES, dtype="float64"), dtype="float64"))
    return LAYERS[name](**kwargs)


@pytest.mark.parametrize("name, masked", slow_except([("LSTM", True)], CASES))
def test_directional_derivatives(name, masked):
    layer, rng = make(name), np.random.default_rng(0)
    x, direction = (tf.constant(rng.normal(size=(BATCH, TIME, FEATURES))) for _ in range(2))
    mask = tf.constant(rng.random((BATCH, TIME)) < 0.7) if masked else None
    layer.build(x.shape)
    weight = layer.trainable_weights[-1].value
    weight_direction = tf.constant(rng.normal(size=weight.shape))

    def run(x):
        return layer(x, mask=mask, training=False)

    def gradient(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            value = tf.reduce_sum(tf.sin(run(x)))
        return tape.gradient(value, [x, weight])

    def forward(function, x, direction):
        with tf.autodiff.ForwardAccumulator(x, direction) as accumulator:
            result = function(x)
        return accumulator.jvp(result)

    def for_the_weight(function):
        with tf.autodiff.ForwardAccumulator(weight, weight_direction) as accumulator:
            result = function()
        return accumulator.jvp(result)

    graph = tf.function(run)
    inside = tf.function(lambda x, d: [forward(run, x, d), forward(gradient, x, d), for_the_weight(lambda: run(x))])
    first, second, of_weight = inside(x, direction)
    assert "XLA compiles" in layer.explain()
    around = [(forward(graph, x, direction), for_the_weight(lambda: graph(x)))] if name in MAIN else []

    def difference(function):
        after, before = (function(x + sign * 1e-5 * direction) for sign in (1, -1))
        return tf.nest.map_structure(lambda a, b: (a - b) / 2e-5, after, before)

    of_run = difference(run)
    for found, expected in [(first, of_run), *((jvp, of_run) for jvp, _ in around), (second, difference(gradient))]:
        for a, b in zip(tf.nest.flatten(found), tf.nest.flatten(expected), strict=True):
            assert np.abs(b).max() > 1e-3  # there is something to get wrong
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)
    eager = for_the_weight(lambda: run(x))
    for found in (of_weight, *(jvp for _, jvp in around)):
        np.testing.assert_allclose(found, eager, rtol=1e-8, atol=1e-10)

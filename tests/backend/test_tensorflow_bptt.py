"""The loops that XLA compiles against the plain one: the same layer inside and outside of a tf.function."""

import keras
import numpy as np
import pytest
from keras import ops

from rnnkit import layers

if keras.backend.backend() != "tensorflow":
    pytest.skip("only TensorFlow has a loop that is not compiled", allow_module_level=True)

import tensorflow as tf

from tests.loop_cases import BATCH, FEATURES, LAYERS, MASKS, TIME, UNITS, OwnCell, fit_a_model, run_and_inputs

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("name", LAYERS)
def test_values_and_gradients_are_those_of_the_plain_loop(name, mask):
    # Layer normalization in float64: in float32, the plain loop alone may be off by more than is allowed here.
    dtype = {"dtype": "float64"} if name.startswith("LayerNorm") else {}
    check_equal(LAYERS[name](return_sequences=True, return_state=True, **dtype), mask)


@pytest.mark.parametrize("arguments", [{"go_backwards": True}, {"zero_output_for_mask": True}, {"dtype": "float64"}])
@pytest.mark.parametrize("name", ["LSTM", "GRU chung", "own cell"])
def test_with_the_arguments_of_the_layer(name, arguments):
    if name == "own cell" and "dtype" in arguments:
        layer = layers.Recurrent(OwnCell(UNITS, dtype="float64"), return_sequences=True, return_state=True)
    else:
        layer = LAYERS[name](return_sequences=True, return_state=True, **arguments)
    check_equal(layer, "any")


@pytest.mark.parametrize("feeding", [False, True])
def test_with_a_memory(feeding):
    cell = layers.AttentionCell(
        layers.GRUCell(UNITS), layers.BahdanauAttention(UNITS), input_feeding=feeding, coverage=feeding
    )
    layer = layers.Recurrent(cell, return_sequences=True)
    rng = np.random.default_rng(0)
    memory = tf.constant(rng.normal(size=(BATCH, 7, 2)).astype("float32"))
    x = tf.constant(rng.normal(size=(BATCH, TIME, FEATURES)).astype("float32"))

    def run(x, memory):
        return [layer(x, initial_state=cell.initial_state(memory), training=True)]

    compare(layer, run, [x, memory])


def test_gradients_of_gradients():
    layer = layers.LSTM(UNITS, return_sequences=True)
    x = tf.constant(np.random.default_rng(0).normal(size=(BATCH, TIME, FEATURES)).astype("float32"))

    def run(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            value = tf.reduce_sum(layer(x, training=True) ** 2)
        return [tape.gradient(value, x)]

    compare(layer, run, [x])


@pytest.mark.parametrize("training", [False, True])
def test_a_model_that_is_fitted(training):
    """`training=False` is a model that is trained without its layers' knowing: nothing was kept for the gradients."""
    (eager, eager_way), (compiled, way) = (fit_a_model(training, run_eagerly=eagerly) for eagerly in (True, False))
    assert "XLA" in way and "XLA" not in eager_way
    np.testing.assert_allclose(compiled, eager, rtol=1e-5)


class Counting(layers.RecurrentCell):
    """s_t = s_{t-1} + x_t + constant, and counts its steps."""

    def __init__(self, constant, counts, **kwargs):
        super().__init__(**kwargs)
        self.state_size, self.output_size = [FEATURES], FEATURES
        self.constant, self.counts = constant, counts

    def build(self, input_shape):
        self.steps = self.add_weight((), "zeros", trainable=False, name="steps")

    def step(self, projected, states, training=False):
        if self.counts:
            self.steps.assign_add(1.0)
        state = states[0] + projected + self.constant
        return state, [state]


@pytest.mark.parametrize(
    "counts, time, dtype, reason",
    [
        (True, TIME, "float32", "changes a variable"),
        (False, TIME, "float32", "neither state, input nor weight"),
        (False, TIME, "float16", "half precision"),
    ],
)
def test_what_cannot_be_compiled_runs_in_the_plain_loop_and_says_why(counts, time, dtype, reason):
    x = np.ones((2, TIME, FEATURES), dtype)

    @tf.function(input_signature=[tf.TensorSpec((None, time, FEATURES), dtype)])
    def run(x):
        layer.cell.constant = 0.0 if counts else tf.reduce_sum(x[0, 0])
        return layer(x)

    layer = layers.Recurrent(Counting(0.0, counts, dtype=dtype))
    layer.build(x.shape)
    expected = TIME * (1 if counts else 1 + FEATURES)
    np.testing.assert_allclose(run(x), np.full((2, FEATURES), expected))
    assert float(layer.cell.steps) == (TIME if counts else 0)
    assert reason in layer.explain()


def test_explain_before_the_first_run_and_outside_of_a_function():
    layer = layers.LSTM(UNITS, name="reader")
    assert layer.explain() == "Layer 'reader' has not run yet."
    layer(np.zeros((1, TIME, FEATURES), "float32"))
    assert "outside of a tf.function" in layer.explain()


def test_a_base_that_is_equal_for_all_rows_is_refused():
    with pytest.raises(ValueError, match=r"expected base \(batch, 3\), received shape \(3,\): .* is a bias"):
        layers.recurrent_product(np.ones((1, 2)), np.ones((2, 3)), base=np.ones(3))


def check_equal(layer, mask):
    compare(layer, *run_and_inputs(layer, mask))


def compare(layer, run, inputs):
    """Values, and gradients for weights and inputs, of `run` compiled and not."""
    run(*inputs)  # makes the weights
    generators = [generator.state for generator in seed_generators(layer)]
    seeds = [np.array(state) for state in generators]

    def values_and_gradients(*inputs):
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            results = keras.tree.flatten(run(*inputs))
            value = sum(tf.reduce_sum(tf.cos(result) * (n + 1)) for n, result in enumerate(results))
        sources = [*inputs, *(weight.value for weight in layer.trainable_weights)]
        return results, tape.gradient(value, sources, unconnected_gradients=tf.UnconnectedGradients.ZERO)

    found = []
    for function in (tf.function(values_and_gradients), values_and_gradients):
        for state, seed in zip(generators, seeds, strict=True):
            state.assign(seed)
        found.append(keras.tree.map_structure(np.array, function(*inputs)))
        found[-1] = (found[-1], layer.explain())
    (compiled, way), (plain, plain_way) = found
    assert "XLA" in way and "outside" in plain_way
    assert_close(layer, compiled, plain)


def assert_close(layer, compiled, plain):
    tolerance = 1e-10 if layer.compute_dtype == "float64" else 2e-5
    keras.tree.map_structure(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance), compiled, plain
    )


def seed_generators(layer):
    inner = [layer.cell, getattr(layer.cell, "cell", None)]
    return [part.seed_generator for part in inner if hasattr(part, "seed_generator")]


@pytest.mark.parametrize("name, mask", [("LSTM", "none"), ("own cell", "none"), *((name, "any") for name in LAYERS)])
def test_one_program_for_batches_of_many_lengths(name, mask):
    """Text is trained like that: each batch as long as its longest row, and the last one smaller than the others."""
    dtype = {"dtype": "float64"} if name.startswith("LayerNorm") else {}
    if name == "LSTM dropout":
        pytest.skip("its draws depend on the shape of all rows; their way is that of the layers without")
    layer = LAYERS[name](return_sequences=True, return_state=True, **dtype)
    layer.build((None, None, FEATURES))
    rng, traced = np.random.default_rng(0), []

    def values_and_gradients(x, unmasked):
        traced.append(x.shape)
        with tf.GradientTape() as tape:
            tape.watch(x)
            results = layer(x, mask=None if MASKS[mask] is None else unmasked, training=False)
            value = sum(tf.reduce_mean(tf.cos(result) * (n + 1)) for n, result in enumerate(results))
        return results, tape.gradient(value, [x, *(weight.value for weight in layer.trainable_weights)])

    signature = [tf.TensorSpec((None, None, FEATURES), layer.compute_dtype), tf.TensorSpec((None, None), "bool")]
    compiled = tf.function(values_and_gradients, input_signature=signature)
    compiled.get_concrete_function()
    assert "lengths 16, 64, 128" in layer.explain()
    for rows, steps in [(9, 5), (9, 16), (3, 1)]:  # padded, as long as a program, both halves in one
        x = tf.constant(rng.normal(size=(rows, steps, FEATURES)), layer.compute_dtype)
        unmasked = tf.constant(rng.random((rows, steps)) < 0.7)
        assert_close(layer, compiled(x, unmasked), values_and_gradients(x, unmasked))
    assert sum(shape == (None, None, FEATURES) for shape in traced) == 1


@pytest.mark.parametrize("name", ["LSTM", "own cell"])
def test_gradients_of_gradients_where_the_length_is_not_known(name):
    cell = {"LSTM": layers.LSTMCell, "own cell": OwnCell}[name](UNITS, dtype="float64")
    layer = layers.Recurrent(cell, return_sequences=True, return_state=True)
    layer.build((None, None, FEATURES))
    x = tf.constant(np.random.default_rng(0).normal(size=(3, 5, FEATURES)))

    def second_gradients(x):
        weights = [weight.value for weight in layer.trainable_weights]
        with tf.GradientTape() as outer:
            outer.watch(x)
            with tf.GradientTape() as inner:
                inner.watch(x)
                value = sum(tf.reduce_sum(tf.sin(result)) for result in layer(x))
            first = tf.reduce_sum(inner.gradient(value, x) ** 2)
        return first, outer.gradient(first, [x, *weights])

    compiled = tf.function(second_gradients, input_signature=[tf.TensorSpec((None, None, FEATURES), "float64")])
    assert_close(layer, compiled(x), second_gradients(x))


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("batch", [1, 8, 11])
def test_both_halves_of_a_batch(batch, known):
    layer = layers.GRU(UNITS, return_sequences=True, return_state=True)
    rng = np.random.default_rng(0)
    x = tf.constant(rng.normal(size=(batch, TIME, FEATURES)).astype("float32"))
    state = tf.constant(rng.normal(size=(batch, UNITS)).astype("float32"))
    mask = tf.constant(rng.random((batch, TIME)) < 0.7)
    layer.build(x.shape)

    def values_and_gradients(x, state, mask):
        with tf.GradientTape() as tape:
            tape.watch([x, state])
            results = layer(x, initial_state=state, mask=mask, training=True)
            value = sum(tf.reduce_sum(tf.cos(result)) for result in results)
        return results, tape.gradient(value, [x, state, *(weight.value for weight in layer.trainable_weights)])

    rows = batch if known else None
    signature = [tf.TensorSpec((rows, *y.shape[1:]), y.dtype) for y in (x, state, mask)]
    compiled = tf.function(values_and_gradients, input_signature=signature)
    keras.tree.map_structure(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-5),
        compiled(x, state, mask),
        values_and_gradients(x, state, mask),
    )
    pieces = 1 if known and batch == 1 else 2
    assert programs_in(compiled.get_concrete_function()) == 2 * pieces  # forward and backward


@pytest.mark.parametrize("training", [False, True])
def test_a_product_in_a_branch_runs_in_the_plain_loop_and_says_why(training):
    class Branching(OwnCell):
        def step(self, projected, states, training=False):
            a, b = states
            small = ops.sum(b) < 1e3
            a = ops.cond(small, lambda: layers.recurrent_product(b, 2 * self.back), lambda: a) + projected["x"]
            return a, [a, b + 0.1]

    layer = layers.Recurrent(Branching(UNITS))
    x = np.random.default_rng(0).normal(size=(BATCH, TIME, FEATURES)).astype("float32")
    expected = layer(x, training=training)
    np.testing.assert_allclose(tf.function(layer)(x, training=training), expected, rtol=1e-5, atol=1e-5)
    assert "branch" in layer.explain()


@pytest.mark.parametrize("name, training, count", [
    ("LSTM", True, 2), ("LSTM dropout", False, 2), ("LSTM dropout", True, 1), ("zoneout", False, 2),
    ("zoneout", True, 1), ("residual", True, 2), ("own cell", True, 1), ("stack of cells", True, 1),
])  # fmt: skip
def test_what_draws_and_what_is_not_known_runs_in_one_piece(name, training, count):
    layer = LAYERS[name]()
    layer(np.zeros((BATCH, TIME, FEATURES), "float32"))
    run = tf.function(lambda x: layer(x, training=training))
    assert programs_in(run.get_concrete_function(tf.TensorSpec((BATCH, TIME, FEATURES)))) == count


def programs_in(function):
    return sum(operation.type == "PartitionedCall" for operation in function.graph.get_operations())


def test_layers_of_one_equation_share_their_programs_and_others_do_not():
    traced = []

    def activation_of(function):
        def activation(x):
            traced.append(function)
            return function(x)

        return activation

    def last_output(layer, features=FEATURES):
        x = np.ones((2, TIME, features), "float32")
        layer.build(x.shape)
        layer.set_weights([np.full(weight.shape, 0.1) for weight in layer.weights])
        result = tf.function(layer)(x)
        assert "XLA" in layer.explain()
        np.testing.assert_allclose(result, layer(x), rtol=1e-5)
        return float(result[0, 0])

    first, second = activation_of(ops.tanh), activation_of(ops.sin)  # functions of one name
    value = last_output(layers.LSTM(UNITS, activation=first, name="one"))
    count = len(traced)
    assert last_output(layers.LSTM(UNITS, activation=first, kernel_initializer="zeros", name="two")) == value
    outside = len(traced) - count  # only the run outside of the tf.function
    assert outside < count
    last_output(layers.LSTM(UNITS, activation=first), features=FEATURES + 1)  # the loop does not read its kernel
    assert len(traced) == count + 2 * outside
    assert last_output(layers.LSTM(UNITS, activation=second)) != value
    assert last_output(layers.LSTM(UNITS, activation=first, use_bias=False)) != value

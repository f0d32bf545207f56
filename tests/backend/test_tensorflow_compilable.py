"""Any operation of TensorFlow in a cell's step: compiled, or found before it is."""

import keras
import numpy as np
import pytest

from rnnkit import layers

if keras.backend.backend() != "tensorflow":
    pytest.skip("only TensorFlow has a loop that is not compiled", allow_module_level=True)

import tensorflow as tf

from rnnkit.backend.tensorflow.compilable import CALLS, DIFFERENT, KNOWN

STEPS, UNITS = 3, 2


class Applying(keras.layers.Layer):
    """h_t = f(W h_{t-1} + x_t), as a Keras cell."""

    def __init__(self, function, **kwargs):
        super().__init__(**kwargs)
        self.function, self.state_size, self.output_size = function, UNITS, UNITS

    def build(self, input_shape):
        self.kernel = self.add_weight((UNITS, UNITS), "identity", name="kernel")

    def call(self, inputs, states):
        h = tf.ensure_shape(self.function(inputs + states[0] @ self.kernel), states[0].shape)
        return h, [h]


def in_python(function):
    return lambda h: tf.numpy_function(function, [h], tf.float32)


def through_text(h):
    return h * tf.strings.to_number(tf.strings.as_string(tf.reduce_sum(h)))


def with_a_check(h):
    tf.debugging.assert_less(h, 100.0)
    return h


def with_a_printed_line(h):
    tf.print("h", output_stream="file:///dev/null")
    return h


def eigenvalues(h):
    return h * tf.stop_gradient(tf.abs(tf.reduce_sum(tf.linalg.eigvals(tf.matmul(h, h, transpose_a=True)))))


def counted(h):
    return h * tf.cast(tf.reduce_sum(tf.range(2 + tf.cast(tf.reduce_max(h) > 0, tf.int32))), tf.float32)


def in_a_branch(h):
    return tf.cond(tf.reduce_sum(h) > 0, lambda: h, lambda: tf.math.bessel_i0(h))


def again_and_again(h):
    return tf.while_loop(lambda k, h: k < 3, lambda k, h: [k + 1, tf.sin(h)], [0, h], maximum_iterations=3)[1]


PLAIN = {
    "PyFunc": in_python(np.tanh),
    "BesselI0": tf.math.bessel_i0,
    "AsString": through_text,
    "Assert": with_a_check,
    "PrintV2": with_a_printed_line,
    "Eig": eigenvalues,
    "Range": counted,
    "bessel in a branch": in_a_branch,
    "CheckNumerics": lambda h: tf.debugging.check_numerics(h, "h"),
    "Where": lambda h: h * tf.reduce_sum(tf.gather_nd(h, tf.where(h > 0))),
    "DenseBincount": lambda h: h * tf.cast(tf.math.bincount(tf.cast(h > 0, tf.int32), minlength=2)[0], tf.float32),
}
COMPILED = {
    "sort": tf.sort,
    "softmax": tf.nn.softmax,
    "cumulated": lambda h: tf.cumsum(h, axis=1),
    "gathered": lambda h: tf.gather(h, [1, 0], axis=1),
    "a loop of its own": again_and_again,
    "a branch": lambda h: tf.cond(tf.reduce_sum(h) > 0, lambda: h, lambda: 2 * h),
    "inverted": lambda h: h @ tf.linalg.inv(tf.eye(2) + 0.1 * tf.matmul(h, h, transpose_a=True)),
}


@pytest.mark.parametrize("name", [*PLAIN, *COMPILED])
def test_a_step_gives_what_it_gives_in_eager_mode(name):
    layer = layers.Recurrent(Applying({**PLAIN, **COMPILED}[name]), return_sequences=True)
    x = tf.constant(np.random.default_rng(0).normal(size=(4, STEPS, UNITS)).astype("float32"))
    layer.build(x.shape)

    def values_and_gradients(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            result = layer(x, training=True)
        weights = [weight.value for weight in layer.trainable_weights]
        return result, tape.gradient(result, [x, *weights], unconnected_gradients="zero")

    found = tf.function(values_and_gradients)(x)
    assert ("XLA compiles" in layer.explain()) == (name in COMPILED)
    for a, b in zip(tf.nest.flatten(found), tf.nest.flatten(values_and_gradients(x)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_an_assertion_stops_training_and_a_printed_line_is_printed(tmp_path):
    file = tmp_path / "printed"

    def step(h):
        tf.print("step", output_stream=f"file://{file}")
        tf.debugging.assert_less(h, 0.5)
        return h

    layer = layers.Recurrent(Applying(step))
    model = keras.Sequential([keras.Input((STEPS, UNITS)), layer])
    model.compile("sgd", "mse")
    model.fit(np.zeros((2, STEPS, UNITS)), np.zeros((2, UNITS)), verbose=0)
    assert file.read_text().split() == ["step"] * STEPS
    assert "PrintV2" in layer.explain() or "Assert" in layer.explain()
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"assertion failed|Condition x < y"):
        model.fit(np.ones((2, STEPS, UNITS)), np.zeros((2, UNITS)), verbose=0)


def test_what_draws_in_its_step_has_the_gradient_of_its_own_draws():
    """A compiled backward loop would draw anew."""
    layer = layers.Recurrent(Applying(lambda h: h * tf.random.uniform(tf.shape(h))))
    x = tf.ones((4, 1, UNITS))
    layer.build(x.shape)

    @tf.function
    def value_and_gradient(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            result = layer(x)
        return result, tape.gradient(result, x)

    result, gradient = value_and_gradient(x)
    np.testing.assert_allclose(result, gradient[:, 0], rtol=1e-6)
    assert "RandomUniform" in layer.explain()


@pytest.mark.parametrize("training", [False, True])
def test_an_operation_of_an_activation_is_found_too(training):
    """Such a cell has a key, and shares its programs."""
    layer = layers.LSTM(UNITS, activation=lambda x: tf.math.bessel_i1(x))
    x = tf.ones((4, STEPS, UNITS))
    expected = layer(x)
    np.testing.assert_allclose(tf.function(layer)(x, training=training), expected, rtol=1e-5)
    assert "BesselI1" in layer.explain()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["check_numerics", "dump_debug_info"])
def test_debugging_of_all_operations(name, tmp_path):
    layer = layers.LSTM(UNITS)
    tf.function(layer)(tf.ones((2, STEPS, UNITS)))  # its program is shared by what comes after it
    assert "XLA compiles" in layer.explain()
    model = keras.Sequential([keras.Input((STEPS, UNITS)), layer])
    model.compile("sgd", "mse")
    enable, disable = {
        "check_numerics": (tf.debugging.enable_check_numerics, tf.debugging.disable_check_numerics),
        "dump_debug_info": (
            lambda: tf.debugging.experimental.enable_dump_debug_info(str(tmp_path)),
            tf.debugging.experimental.disable_dump_debug_info,
        ),
    }[name]
    enable()
    try:
        model.fit(np.ones((2, STEPS, UNITS)), np.ones((2, UNITS)), verbose=0)
    finally:
        disable()
    assert "tf.debugging watches" in layer.explain()


def test_the_lists_name_operations_that_there_are():
    graph = tf.Graph()
    for name in KNOWN | DIFFERENT | CALLS:
        graph.op_def_for_type(name)

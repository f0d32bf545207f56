"""TensorFlow's part of `rnnkit.backend`."""

import tensorflow as tf
from keras import tree


def scan(step, carry, sequences):
    """Runs `carry = step(carry, x_t)` over the first axis of `sequences`.

    Returns `carry[0]` of every step, stacked, and the last carry. The length may be unknown when the graph is built,
    which `keras.ops.scan` does not allow on TensorFlow.
    """
    first = tree.flatten(sequences)[0]
    length = tf.shape(first)[0] if first.shape[0] is None else first.shape[0]
    inputs = tree.map_structure(lambda sequence: tf.TensorArray(sequence.dtype, length).unstack(sequence), sequences)
    outputs = tf.TensorArray(carry[0].dtype, length, element_shape=carry[0].shape)

    def body(t, carry, outputs):
        carry = step(carry, tree.map_structure(lambda array: array.read(t), inputs))
        return t + 1, carry, outputs.write(t, carry[0])

    _, carry, outputs = tf.while_loop(lambda t, *_: t < length, body, (0, carry, outputs), maximum_iterations=length)
    return outputs.stack(), carry


def gradient(function, tensors):
    """d function(*tensors) / d tensor for each of `tensors`; `function` returns a scalar."""
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(tensors)
        value = function(*tensors)
    return tape.gradient(value, tensors, unconnected_gradients=tf.UnconnectedGradients.ZERO)


def is_concrete(tensor):
    return tf.executing_eagerly() and all(
        isinstance(t, tf.Tensor) and hasattr(t, "numpy") for t in tree.flatten(tensor)
    )

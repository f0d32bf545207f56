"""TensorFlow's part of `rnnkit.backend`."""

import functools

import tensorflow as tf
from keras import tree


def scan(step, carry, sequences, output):
    """Runs `carry, output = step(carry, x_t)` over the first axis of `sequences`.

    Returns the outputs of all steps, stacked, and the last carry. `output` is a tensor like one step's output. The
    length may be unknown when the graph is built, which `keras.ops.scan` does not allow on TensorFlow.
    """
    first = tree.flatten(sequences)[0]
    length = tf.shape(first)[0] if first.shape[0] is None else first.shape[0]
    inputs = tree.map_structure(lambda sequence: tf.TensorArray(sequence.dtype, length).unstack(sequence), sequences)
    outputs = tree.map_structure(lambda like: tf.TensorArray(like.dtype, length, element_shape=like.shape), output)

    def body(t, carry, outputs):
        carry, output = step(carry, tree.map_structure(lambda array: array.read(t), inputs))
        outputs = tree.map_structure(lambda array, value: array.write(t, value), outputs, output)
        return t + 1, carry, outputs

    _, carry, outputs = tf.while_loop(lambda t, *_: t < length, body, (0, carry, outputs), maximum_iterations=length)
    return tree.map_structure(lambda array: array.stack(), outputs), carry


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


def compiled(function, variables):
    """`function` of tensors, which reads `variables`, as one graph."""
    function = functools.partial(function)  # programs of one definition are not one program that is traced too often
    return tf.function(function, autograph=False, reduce_retracing=True)

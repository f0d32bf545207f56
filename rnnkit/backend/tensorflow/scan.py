"""TensorFlow's plain loop."""

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

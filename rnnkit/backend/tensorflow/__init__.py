"""TensorFlow's part of `rnnkit.backend`."""

import functools
import os

import tensorflow as tf
from keras import tree

from rnnkit.backend.plain_recurrence import NeedsPlainLoop
from rnnkit.backend.tensorflow.bptt import compiled_scan


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


def recurrence(project, step, carry, sequences, output, constants, variables, training, key):
    """`scan` for a recurrent layer, in the fastest way that fits.

    Args:
        project: function of any number of steps of `sequences`, which returns as many of what `step` takes.
        step: `carry, output = step(carry, x_t, constants)`.
        carry, constants: lists of tensors.
        sequences: nested structure of tensors `(time, batch, ...)`.
        output: a tensor like one step's output.
        variables: list of the Keras variables that `project` and the step read.
        training: whether this is a training run.
        key: see `compiled_scan`.

    Returns:
        The outputs of all steps, stacked; the last carry; and in words which way it was, and why.
    """
    sequences = project(sequences)
    reason = _against_compiling(tree.flatten(sequences)[0].shape[0], carry)
    if reason is None:
        try:
            outputs, last = compiled_scan(step, carry, sequences, constants, variables, training, scan, key)
            return outputs, last, "two loops that XLA compiles, forward and backward"
        except NeedsPlainLoop as error:
            reason = str(error)
    outputs, last = scan(lambda carry, x: step(carry, x, constants), carry, sequences, output)
    return outputs, last, f"a loop of TensorFlow's operations: {reason}"


def split_batch(function, sequences, states, mask, may_be_halved):
    """`function(sequences, states, mask)`, each half of the batch by itself where the loop is compiled.

    XLA's loop over small tensors keeps one core busy. TensorFlow runs two at once, as neither waits for the other.

    Args:
        function: returns a nested structure of tensors `(batch, ...)`.
        sequences: tensor `(batch, time, features)`.
        states: nested structure of tensors `(batch, ...)`.
        mask: tensor `(batch, time)`, or None.
        may_be_halved: function that says whether each row of the results is made from that row alone.

    Returns:
        What `function` returns, and in words whether it was in halves: to follow what `recurrence` says.
    """
    arguments, (batch, time) = [sequences, states, mask], sequences.shape[:2]
    too_small = batch is not None and batch < SMALLEST_IN_HALVES
    if _against_compiling(time, tree.flatten(states)) or too_small or os.cpu_count() == 1 or not may_be_halved():
        return function(*arguments), ""
    if batch is None:
        batch = tf.shape(sequences)[0]
        second = tf.where(batch < SMALLEST_IN_HALVES, 0, batch // 2)
    else:
        second = batch // 2
    sizes = [batch - second, second]
    halves = zip(*([None] * 2 if x is None else tf.split(x, sizes) for x in tree.flatten(arguments)), strict=True)
    results = [function(*tree.pack_sequence_as(arguments, half)) for half in halves]
    results = tree.map_structure(lambda *parts: tf.concat(parts, 0), *results)
    return results, ", for both halves of the batch at the same time"


SMALLEST_IN_HALVES = 8  # rows; by measurement


def _against_compiling(time, states):
    """Why the loop had better not be compiled; None if it had. By measurement: `benchmarks/recurrent.py`."""
    if not tf.inside_function():
        return "it was called outside of a tf.function, where compiling would be paid for at each call"
    if time is None:
        return "the number of time steps is not known beforehand, and each would be compiled anew"
    if any(x.dtype in (tf.float16, tf.bfloat16) for x in states):
        return "XLA is slow with half precision on a processor"
    if tf.config.list_logical_devices("GPU"):
        return "there is a GPU, for which nothing was measured"
    return None


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

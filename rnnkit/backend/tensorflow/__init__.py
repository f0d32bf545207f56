"""TensorFlow's part of `rnnkit.backend`."""

import dataclasses
import functools
import os

import tensorflow as tf
from keras import tree

from rnnkit.backend import chains as chains
from rnnkit.backend.loop import Loop, NeedsPlainLoop, Run, run_plainly, run_with_losses, with_losses
from rnnkit.backend.tensorflow.bptt import run_compiled
from rnnkit.backend.tensorflow.callers import reason_of_the_caller
from rnnkit.backend.tensorflow.scan import scan as scan

SMALLEST_IN_HALVES = 8  # rows; by measurement


def run(loop: Loop) -> Run:
    """Runs a loop in the fastest way that fits."""
    reason = loop.only_plainly or reason_of_the_caller() or _against_compiling(loop)
    if reason is None:
        try:
            return _run_in_halves(loop) if _pays_in_halves(loop) else run_compiled(loop)
        except NeedsPlainLoop as error:
            reason = str(error)
    run = run_with_losses if _adds_losses(loop) else run_plainly
    return run(loop, scan, f"a loop of TensorFlow's operations: {reason}")


def _against_compiling(loop):
    """Why the loop had better not be compiled; None if it had. By measurement: `benchmarks/recurrent.py`."""
    if not tf.inside_function():
        return "it was called outside of a tf.function, where compiling would be paid for at each call"
    if any(x.dtype in (tf.float16, tf.bfloat16) for x in loop.states):
        return "XLA is slow with half precision on a processor"
    if loop.not_for_xla is not None:
        return loop.not_for_xla
    if _is_watched():
        return "tf.debugging watches each of its operations, which XLA does not let it do"
    if tf.config.list_logical_devices("GPU"):
        return "there is a GPU, for which nothing was measured"
    return None


def _is_watched():
    """Whether `tf.debugging` adds operations to all graphs, as `enable_check_numerics` does."""
    graph = tf.Graph()
    with graph.as_default():
        tf.sin(tf.compat.v1.placeholder(tf.float32, (2,)))
    return len(graph.get_operations()) > 2


def _adds_losses(loop):
    """Whether the step adds a loss that would be a tensor of the loop's own graph."""
    if not tf.inside_function() or loop.key is not None:
        return False
    losses = []

    @tf.function(autograph=False)
    def one_step():
        inputs = tree.map_structure(lambda x: x[0], loop.project(loop.inputs))
        losses.extend(with_losses(loop, lambda: loop.step(loop.carry, inputs, loop.constants))[1])

    one_step.get_concrete_function()
    return bool(losses)


def _pays_in_halves(loop):
    batch = loop.sequences.shape[0]
    large = batch is None or batch >= SMALLEST_IN_HALVES
    return large and os.cpu_count() != 1 and loop.key is not None and not (loop.training and loop.draws)


def _run_in_halves(loop):
    """Runs each half of the batch by itself.

    XLA's loop over small tensors keeps one core busy. TensorFlow runs two at once, as neither waits for the other.
    """
    batch = loop.sequences.shape[0]
    if batch is None:
        batch = tf.shape(loop.sequences)[0]
        second = tf.where(batch < SMALLEST_IN_HALVES, 0, batch // 2)
    else:
        second = batch // 2
    sizes = [batch - second, second]
    names = ("sequences", "mask", "states", "constants")
    whole = [getattr(loop, name) for name in names]
    halves = zip(*([None] * 2 if x is None else tf.split(x, sizes) for x in tree.flatten(whole)), strict=True)
    parts = [dict(zip(names, tree.pack_sequence_as(whole, half), strict=True)) for half in halves]
    runs = [run_compiled(dataclasses.replace(loop, **part)) for part in parts]
    outputs, states = tree.map_structure(
        lambda *halves: tf.concat(halves, 0), *[(run.outputs, run.states) for run in runs]
    )
    return Run(outputs, states, f"{runs[0].how}, for both halves of the batch at the same time")


def gradient(function, tensors):
    """d function(*tensors) / d tensor for each of `tensors`; `function` returns a scalar."""
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(tensors)
        value = function(*tensors)
    return tape.gradient(value, tensors, unconnected_gradients=tf.UnconnectedGradients.ZERO)


def from_ragged(tensor):
    """A RaggedTensor as a tensor, padded with zeros, and booleans over its ragged axes: what was there.

    Anything else as it is, and None.
    """
    if not isinstance(tensor, tf.RaggedTensor):
        return tensor, None
    rows = tensor.flat_values
    present = tensor.with_flat_values(tf.ones(tf.shape(rows)[:1], "bool"))
    return tensor.to_tensor(), present.to_tensor()


def is_concrete(tensor):
    return tf.executing_eagerly() and all(
        isinstance(t, tf.Tensor) and hasattr(t, "numpy") for t in tree.flatten(tensor)
    )


def compiled(function, variables):
    """`function` of tensors, which reads `variables`, as one graph."""
    function = functools.partial(function)  # programs of one definition are not one program that is traced too often
    return tf.function(function, autograph=False, reduce_retracing=True)

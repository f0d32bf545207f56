"""JAX's part of `rnnkit.backend`."""

import jax
import keras

from rnnkit.backend.jax.bptt import bptt_scan, is_pure
from rnnkit.backend.plain_recurrence import NeedsPlainLoop, in_one_piece


def scan(step, carry, sequences, output):
    """Runs `carry, output = step(carry, x_t)` over the first axis of `sequences`.

    Returns the outputs of all steps, stacked, and the last carry. `output` is a tensor like one step's output.
    """
    carry, outputs = jax.lax.scan(step, carry, sequences)
    return outputs, carry


def recurrence(project, step, carry, sequences, output, constants, variables, training, key):
    """`scan` for a recurrent layer, in the fastest way that fits: see `rnnkit.backend.tensorflow`."""
    reason = _against_a_backward_loop(carry, sequences, constants, variables)
    if training or (reason is None and not is_pure(project, sequences, variables)):
        # What is drawn at random, or added to the loss, is so for all steps at once.
        sequences, project = project(sequences), lambda projected: projected
    if reason is None:
        try:
            outputs, last = bptt_scan(project, step, carry, sequences, constants, variables)
            return outputs, last, "two loops that XLA compiles, forward and backward"
        except NeedsPlainLoop as error:
            reason = str(error)
    outputs, last = scan(lambda carry, x: step(carry, x, constants), carry, project(sequences), output)
    return outputs, last, f"a loop that XLA compiles, differentiated by JAX: {reason}"


split_batch = in_one_piece


def _against_a_backward_loop(carry, sequences, constants, variables):
    """Why the loop had better be left to JAX; None if it had not. By measurement: `benchmarks/recurrent.py`."""
    if is_concrete([carry, sequences, constants, [variable.value for variable in variables]]):
        return "it was called outside of a compiled function, where nothing asks for gradients"
    if not isinstance(jax.tree.leaves(sequences)[0].shape[0], int):
        return "the number of time steps is not known"
    if jax.default_backend() == "gpu":
        return "there is a GPU, for which nothing was measured"
    return None


def gradient(function, tensors):
    """d function(*tensors) / d tensor for each of `tensors`; `function` returns a scalar."""
    return list(jax.grad(function, argnums=tuple(range(len(tensors))))(*tensors))


def is_concrete(tensor):
    return not any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(tensor))


def compiled(function, variables):
    """`function` of tensors, which reads `variables`, as one XLA program."""

    @jax.jit
    def run(values, arguments):
        with keras.StatelessScope(state_mapping=list(zip(variables, values, strict=True))):
            return function(*arguments)

    return lambda *arguments: run([variable.value for variable in variables], arguments)

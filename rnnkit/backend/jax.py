"""JAX's part of `rnnkit.backend`."""

import jax
import keras

from rnnkit.backend.plain_recurrence import plain_recurrence


def scan(step, carry, sequences, output):
    """Runs `carry, output = step(carry, x_t)` over the first axis of `sequences`.

    Returns the outputs of all steps, stacked, and the last carry. `output` is a tensor like one step's output.
    """
    carry, outputs = jax.lax.scan(step, carry, sequences)
    return outputs, carry


recurrence = plain_recurrence(scan, "a loop that XLA compiles")


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

"""JAX's part of `rnnkit.backend`."""

import jax


def scan(step, carry, sequences):
    """Runs `carry = step(carry, x_t)` over the first axis of `sequences`.

    Returns `carry[0]` of every step, stacked, and the last carry.
    """

    def emit(carry, x_t):
        carry = step(carry, x_t)
        return carry, carry[0]

    carry, outputs = jax.lax.scan(emit, carry, sequences)
    return outputs, carry


def gradient(function, tensors):
    """d function(*tensors) / d tensor for each of `tensors`; `function` returns a scalar."""
    return list(jax.grad(function, argnums=tuple(range(len(tensors))))(*tensors))


def is_concrete(tensor):
    return not any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(tensor))

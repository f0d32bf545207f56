"""JAX's part of `rnnkit.backend`."""

import jax
import keras

from rnnkit.backend import chains as chains
from rnnkit.backend.jax.bptt import is_pure, run_compiled
from rnnkit.backend.jax.scan import scan
from rnnkit.backend.loop import Loop, NeedsPlainLoop, Run, run_plainly, run_with_losses


def run(loop: Loop) -> Run:
    """Runs a loop in the fastest way that fits."""
    adds_losses = _adds_losses(loop)
    reason = "its cell adds a loss in its step" if adds_losses else loop.only_plainly or _against_a_backward_loop(loop)
    if reason is None:
        try:
            # What is drawn at random, or added to the loss, is so for all steps at once.
            return run_compiled(loop, at_once=loop.training or not is_pure(loop))
        except NeedsPlainLoop as error:
            reason = str(error)
    run = run_with_losses if adds_losses else run_plainly
    return run(loop, scan, f"a loop that XLA compiles, differentiated by JAX: {reason}")


def _adds_losses(loop):
    """Whether the step adds a loss."""
    if loop.key is not None:
        return False
    count_before = 0

    def one_step(carry, inputs, constants):
        nonlocal count_before
        inputs = jax.tree.map(lambda x: x[0], loop.project(inputs))
        count_before = len(scope.losses)
        return loop.step(carry, inputs, constants)

    with keras.StatelessScope(collect_losses=True, initialize_variables=False) as scope:
        if scope.original_scope is not None:
            scope.state_mapping.update(scope.original_scope.state_mapping)
        jax.eval_shape(one_step, loop.carry, loop.inputs, loop.constants)
    return len(scope.losses) > count_before


def _against_a_backward_loop(loop):
    """Why the loop had better be left to JAX; None if it had not. By measurement: `benchmarks/recurrent.py`."""
    values = [variable.value for variable in loop.variables]
    if is_concrete([loop.sequences, loop.mask, loop.states, loop.constants, values]):
        return "it was called outside of a compiled function, where nothing asks for gradients"
    if not isinstance(loop.sequences.shape[1], int):
        return "the number of time steps is not known"
    if jax.default_backend() == "gpu":
        return "there is a GPU, for which nothing was measured"
    return None


def gradient(function, tensors):
    """d function(*tensors) / d tensor for each of `tensors`; `function` returns a scalar."""
    return list(jax.grad(function, argnums=tuple(range(len(tensors))))(*tensors))


def from_ragged(tensor):
    """As they are: there are no ragged tensors."""
    return tensor, None


def is_concrete(tensor):
    return not any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(tensor))


def compiled(function, variables):
    """`function` of tensors, which reads `variables`, as one XLA program."""

    @jax.jit
    def run(values, arguments):
        with keras.StatelessScope(state_mapping=list(zip(variables, values, strict=True))):
            return function(*arguments)

    return lambda *arguments: run([variable.value for variable in variables], arguments)

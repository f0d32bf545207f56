"""The product of a state with a weight, which decides how fast a recurrent step is."""

from contextlib import contextmanager
from contextvars import ContextVar

from keras import Variable, ops

from rnnkit.annotations import Tensor


def recurrent_product(state: Tensor, kernel: Tensor, base: Tensor | None = None, bias: Tensor | None = None) -> Tensor:
    """Computes `base + state @ kernel + bias`: the product of a state, or of what was made from it, with a weight.

    A cell whose `step` calls this instead of `keras.ops.matmul` gets the same numbers, and trains faster where the loop
    is compiled: the result is kept for the backward pass instead of being computed again, and the gradients of
    `kernel` and `bias` from all time steps are one product after the loop.

    Args:
        state: tensor `(batch, features)`.
        kernel: tensor `(features, units)`: a weight, or what is computed from weights alone, such as a part of one; it
            is the same at all time steps.
        base: tensor `(batch, units)` to add, such as the projected inputs. Defaults to `None`.
        bias: tensor `(units,)` to add, a weight as `kernel` is. Defaults to `None`.

    Returns:
        Tensor `(batch, units)`.

    Raises:
        ValueError: `base` has another shape.

    Example:

    >>> import numpy as np, rnnkit.layers
    >>> sums = rnnkit.layers.recurrent_product(np.ones((1, 2)), np.ones((2, 3)), base=np.ones((1, 3)))
    >>> np.array(sums).tolist()
    [[3.0, 3.0, 3.0]]
    """
    if base is not None and (len(base.shape) != 2 or base.shape[-1] != kernel.shape[-1]):
        raise ValueError(
            f"recurrent_product expected base (batch, {kernel.shape[-1]}), received shape {tuple(base.shape)}: what is "
            "equal for all rows is a bias."
        )
    kernel, base, bias = (x.value if isinstance(x, Variable) else x for x in (kernel, base, bias))
    return _computing.get()(state, kernel, base, bias)


def plain_product(state, kernel, base, bias):
    sums = ops.matmul(state, kernel)
    for summand in (base, bias):
        if summand is not None:
            sums = sums + summand
    return sums


def kernels_of(run_step):
    """Returns kernel and bias of each product of a step, in their order; `run_step` runs the step."""
    found = []

    def note(state, kernel, base, bias):
        found.append((kernel, bias))
        return plain_product(state, kernel, base, bias)

    with computed_by(note):
        run_step()
    return found


def with_kernels(kernels):
    """Returns `plain_product` for the products of one step, in their order, with these pairs of kernel and bias.

    What a step makes of weights alone, such as a part of a kernel, is then made once, before the loop.
    """
    pairs = iter(kernels)

    def product(state, kernel, base, bias):
        kernel, bias = next(pairs)
        return plain_product(state, kernel, base, bias)

    return product


_computing = ContextVar("computing", default=plain_product)


@contextmanager
def computed_by(function):
    """Within this context, `recurrent_product` calls `function(state, kernel, base, bias)`."""
    token = _computing.set(function)
    try:
        yield
    finally:
        _computing.reset(token)

"""The one product of a recurrent step that stands in the way of speed, marked as such."""

from contextlib import contextmanager
from contextvars import ContextVar

from keras import Variable, ops


def recurrent_product(state, kernel, base=None, bias=None):
    """`base + state @ kernel + bias`: the product of a state, or of what was made from it, with a weight.

    A cell that calls this in its `step` instead of `keras.ops.matmul` gets the same numbers, and trains faster where
    the loop is compiled: the result is kept for the backward pass instead of being computed again, and the gradients of
    `kernel` and `bias` from all time steps are one product after the loop.

    Args:
        state: tensor `(batch, features)`.
        kernel: tensor `(features, units)`: a weight, or what is computed from weights alone, such as a part of one; it
            is the same at all time steps.
        base: tensor `(batch, units)` to add, such as the projected inputs; nothing if left out.
        bias: tensor `(units,)` to add, a weight as `kernel` is; nothing if left out.

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
    """Kernel and bias of each product of a step, in their order; `run_step` runs it."""
    found = []

    def note(state, kernel, base, bias):
        found.append((kernel, bias))
        return plain_product(state, kernel, base, bias)

    with computed_by(note):
        run_step()
    return found


def with_kernels(kernels):
    """`plain_product` for one step's products in their order, with these pairs of kernel and bias instead of its own.

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
    """Within it, `function(state, kernel, base, bias)` stands for `recurrent_product`."""
    token = _computing.set(function)
    try:
        yield
    finally:
        _computing.reset(token)

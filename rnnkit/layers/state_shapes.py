"""The shapes of a cell's states and output, and the one rule that tells a shape from nesting.

Keras's cells nest their states as they like: `keras.layers.RNN` takes whatever `get_initial_state` returns, and a stack
of cells has one entry per cell. In `state_size`, both look the same: `[4, (4, 4)]` may be a vector and a matrix, or a
vector and a pair of vectors.
"""

import numbers
from typing import Any

import keras
from keras import tree

from rnnkit.annotations import Shape

CELLS_OF_KERAS = (keras.layers.LSTMCell, keras.layers.GRUCell, keras.layers.SimpleRNNCell)


def state_specs(cell: Any, input_shape: Shape | None = None, given: Any = None) -> list:
    """Returns a `keras.InputSpec` for each state, nested as the cell takes its states.

    - The states of a `RecurrentCell` are a flat list. An entry of its `state_size` that is no integer is a shape.
    - A stack of cells has a list of the states of each cell.
    - Any other cell nests its states as its `get_initial_state` does. Where it has none, an entry of `state_size` that
      is no integer is a shape, unless the states that are given are as many as there are integers.

    Args:
        cell: the cell.
        input_shape: shape of its inputs at one step, `(batch, ...)`. Defaults to `None`, not known: then sizes that
            follow from it are known only if the cell is built.
        given: nested structure of initial states. Defaults to `None`.
    """
    specs = _specs(cell, input_shape, given)
    return specs if tree.is_nested(specs) else [specs]


def output_shape(cell: Any, input_shape: Shape | None = None) -> Shape | None:
    """Returns the shape of a cell's output at one step, `(None, ...)`; None if it is not known.

    See `state_specs` for the arguments.
    """
    if hasattr(cell, "sizes"):
        return _spec(_sizes(cell, input_shape)[1]).shape
    if hasattr(cell, "cells"):
        shape = None
        for inner, inner_input_shape in cells_and_input_shapes(cell, input_shape):
            shape = output_shape(inner, inner_input_shape)
        return shape
    size = getattr(cell, "output_size", None)
    return tree.flatten(state_specs(cell))[0].shape if size is None else _spec(size).shape


def cells_and_input_shapes(cell: Any, input_shape: Shape | None) -> list[tuple[Any, Shape | None]]:
    """Returns the cells of a stack, each with the shape of what it reads at one step, `(batch, ...)`."""
    found = []
    for inner in cell.cells:
        found.append((inner, input_shape))
        shape = output_shape(inner, input_shape)
        input_shape = shape if shape is None or input_shape is None else (input_shape[0], *shape[1:])
    return found


def input_spec(cell: Any) -> keras.InputSpec:
    """Returns what a cell says of its inputs at one step, as its `input_spec` or in another way.

    rnnkit's and Keras's cells read `(batch, features)` if they do not say otherwise. Of any other cell, nothing is
    known but that its inputs have an axis after the batch.
    """
    if isinstance(getattr(cell, "input_spec", None), keras.InputSpec):
        return cell.input_spec
    if getattr(cell, "cells", None):
        return input_spec(cell.cells[0])
    if isinstance(getattr(cell, "cell", None), keras.layers.Layer):  # a cell around another one may read more features
        spec = input_spec(cell.cell)
        return keras.InputSpec(ndim=spec.ndim, min_ndim=spec.min_ndim, max_ndim=spec.max_ndim)
    is_known = hasattr(cell, "sizes") or isinstance(cell, CELLS_OF_KERAS)
    return keras.InputSpec(ndim=2) if is_known else keras.InputSpec(min_ndim=2)


def size_of(shape: Shape | None) -> Any:
    """Returns an entry of `state_size` for a state of this shape, `(batch, ...)`: an integer where one is enough."""
    if shape is None:
        return None
    return shape[1] if len(shape) == 2 else tuple(shape[1:])


def axes_of(size: Any) -> tuple[Any, ...]:
    """Returns the axes after the batch, from an entry of `state_size`: the inverse of `size_of`."""
    return (int(size),) if isinstance(size, numbers.Integral) else tuple(size)


def check_features(owner: str, input_shape: Shape) -> int:
    """Returns the number of features of what a cell reads; refuses, with a `ValueError`, one that is not known."""
    if input_shape[-1] is None:
        raise ValueError(
            f"{owner} expected a known number of input features, received inputs of shape {tuple(input_shape)}: its "
            "weights have that size. Give the last axis of keras.Input a number."
        )
    return input_shape[-1]


def _specs(cell, input_shape, given):
    if hasattr(cell, "sizes"):
        sizes = _sizes(cell, input_shape)[0]
        return [_spec(size) for size in (sizes if isinstance(sizes, list | tuple) else [sizes])]
    if hasattr(cell, "cells"):
        return [_specs(inner, shape, None) for inner, shape in cells_and_input_shapes(cell, input_shape)]
    specs = _specs_of_initial_state(cell)
    if specs is not None:
        return specs
    sizes = cell.state_size
    if not isinstance(sizes, list | tuple):
        return _spec(sizes)
    nested = [_nested_specs(size) for size in sizes]
    count = None if given is None else len(tree.flatten(given))
    return nested if count == len(tree.flatten(nested)) else [_spec(size) for size in sizes]


def _sizes(cell, input_shape):
    return (cell.state_size, cell.output_size) if input_shape is None else cell.sizes(input_shape)


def _specs_of_initial_state(cell):
    if not hasattr(cell, "get_initial_state"):
        return None
    try:
        with keras.StatelessScope():  # should it draw at random, the next draw is what it would have been
            states = cell.get_initial_state(batch_size=1)
    except Exception:  # it is not built yet; if anything else is wrong, Keras's own call of it will say so
        return None
    return tree.map_structure(lambda x: keras.InputSpec(shape=(None, *x.shape[1:])), states)


def _nested_specs(size):
    return [_nested_specs(inner) for inner in size] if isinstance(size, list | tuple) else _spec(size)


def _spec(size):
    if size is None or isinstance(size, numbers.Integral) and size < 0:  # Keras's convolutional cells have -1
        return keras.InputSpec()
    return keras.InputSpec(shape=(None, *axes_of(size)))

"""What a recurrent cell is, and how any Keras cell becomes one."""

import inspect
from collections.abc import Callable, Hashable, Iterator
from functools import cached_property
from typing import Any

import keras
from keras import ops, tree

from rnnkit.annotations import Shape, Tensor, Tensors
from rnnkit.backend.loop import Equation
from rnnkit.layers.state_shapes import cells_and_input_shapes, output_shape, size_of, state_specs


@keras.saving.register_keras_serializable(package="rnnkit")
class RecurrentCell(keras.layers.Layer):
    """Base class of recurrent cells: a projection of the input, and a step.

    A recurrent network applies the same two functions at every time step: s_t = R(s_{t-1}, x_t) and y_t = O(s_t). A
    cell writes R in two parts:

    - `project(inputs, training)` is everything that can be done without the state: the input half of every gate, and
      random draws. A layer does it for many time steps at once, as one matrix product.
    - `step(projected, states, training)` is what is left, the recurrence: it returns y_t and the list of new states.

    `call(inputs, states, training)` is `step(project(inputs), states)`, so every cell also works in `keras.layers.RNN`
    and `keras.layers.StackedRNNCells`. A cell with gates also has `gates(projected, states)`, which returns everything
    that one step computes, by name; `rnnkit.diagnostics.record_gates` records it.

    A subclass sets `state_size` and `output_size` in its constructor, makes its weights in `build(input_shape)`, and
    implements `step`. It implements `project` where there is something to project, and `readout` where y_t is not
    simply its first state. A product of a state with a weight trains faster as `rnnkit.layers.recurrent_product`.

    `state_size` is a list with an entry for each state: its number of features, or its shape. With `[4, (4, 4)]`, the
    states are `(batch, 4)` and `(batch, 4, 4)`. `output_size` is one such entry. A cell whose input at one step is not
    `(batch, input_features)` says so as any layer of Keras does, by `self.input_spec = keras.InputSpec(ndim=4)`.

    Args:
        **kwargs: `name`, `dtype`, `trainable`.

    Call arguments:
        inputs: tensor `(batch, input_features)`, x_t.
        states: list of tensors `(batch, state_size[i])`, s_{t-1}; `(batch, *state_size[i])` where that is a shape.
        training: whether this is a training run. Defaults to `False`.

    Returns:
        y_t `(batch, output_size)` and the list of new states.

    Raises:
        NotImplementedError: the subclass has no `step`.

    Example:

    >>> import keras, numpy as np, rnnkit.layers
    >>> class Decay(rnnkit.layers.RecurrentCell):  # s_t = s_{t-1} / 2 + x_t
    ...     def __init__(self, units, **kwargs):
    ...         super().__init__(**kwargs)
    ...         self.state_size, self.output_size = [units], units
    ...     def step(self, projected, states, training=False):
    ...         state = 0.5 * states[0] + projected
    ...         return state, [state]
    >>> layer = rnnkit.layers.Recurrent(Decay(1), return_sequences=True)
    >>> np.array(layer(np.ones((1, 4, 1), "float32"))).ravel().tolist()
    [1.0, 1.5, 1.75, 1.875]

    References:
        Goldberg, "A primer on neural network models for natural language processing", 2016, section 10 (R and O).
    """

    state_size: Any = None
    output_size: Any = None
    not_for_xla: Any = None  # in words, why XLA had better not compile the step, by measurement

    def sizes(self, input_shape: Shape) -> tuple[Any, Any]:
        """Returns `state_size` and `output_size` for inputs of this shape at one step, `(batch, ...)`.

        By default, these are the attributes. A cell whose states have a shape that follows from its input overrides
        this, and sets the attributes in `build`.
        """
        return self.state_size, self.output_size

    def project(self, inputs: Tensor, training: bool = False) -> Tensors:
        """Computes the part of the step that needs no state, of each time step from its own input alone.

        Args:
            inputs: tensor `(..., input_features)`: one step `(batch, input_features)`, or many steps at once
                `(time, batch, input_features)`.
            training: whether this is a training run. Random numbers are drawn here and not in `step`, from a
                `keras.random.SeedGenerator`: on JAX, nothing can be drawn inside the loop. Defaults to `False`.

        Returns:
            A tensor, or a nested structure of tensors, with the same leading axes.
        """
        return inputs

    def step(self, projected: Tensors, states: list[Tensor], training: bool = False) -> tuple[Tensor, list[Tensor]]:
        """Runs one time step.

        Args:
            projected: what `project` returned for this step, `(batch, ...)`.
            states: list of tensors `(batch, state_size[i])`.
            training: whether this is a training run. Defaults to `False`.

        Returns:
            y_t `(batch, output_size)` and the list of new states.
        """
        raise NotImplementedError(f"{type(self).__name__} must implement step(projected, states, training).")

    def prepare(self, states: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """Divides the states before the loop into those that a step changes, and what it only reads.

        The second list may hold what is computed from such states alone. `step` then gets both lists as one, and
        returns as many.
        """
        return list(states), []

    def loop(self) -> tuple[Callable[..., Any], Any, Callable[..., Tensor] | None]:
        """Returns the part of `step` that has to run in a loop, because later steps need it.

        Returns:
            The function to run in the loop, with the arguments of `step`; the features of its output; and a function
            that makes the outputs of the cell from those of the loop, all steps at once: `(batch, time, features)` and
            the constants of `prepare` in, `(batch, time, output_size)` out. By default `step`, and None.
        """
        return self.step, self.output_size, None

    def readout(self, states: list[Tensor]) -> Tensor:
        """Computes y_t = O(s_t), `(batch, output_size)`, from the states at t. By default, the first state."""
        return states[0]

    def program_key(self) -> Hashable | None:
        """Names what the cell computes, apart from its weights, each row of a batch from that row alone.

        On TensorFlow, layers whose cells have equal keys share compiled programs, and run both halves of a batch at the
        same time.

        Returns:
            Something hashable, made by `key_of`; None, as by default, if that cannot be said.
        """
        return None

    def equation(self, training: bool) -> Equation | None:
        """The equation of the cell, if a kernel may know it; None, as by default, if none does."""
        return None

    def call(self, inputs: Tensor, states: list[Tensor], training: bool = False) -> tuple[Tensor, list[Tensor]]:
        return self.step(self.project(inputs, training=training), list(states), training=training)

    def get_initial_state(self, batch_size: int | None = None) -> list[Tensor]:
        """Returns zeros of the shape of each state."""
        return [ops.zeros((batch_size, *spec.shape[1:]), dtype=self.compute_dtype) for spec in state_specs(self)]


def key_of(layer: Any, owner: type, *parts: Hashable | None) -> Hashable | None:
    """A `RecurrentCell.program_key` made of parts; None where one of them is.

    Args:
        layer: the cell, or a layer inside it.
        owner: the class that computes what the parts say. A subclass may compute anything, and has no key.
        *parts: whatever the computation depends on, but for shapes, weights and dtype.
    """
    dtypes = layer.compute_dtype, layer.variable_dtype, layer.quantization_mode
    return None if type(layer) is not owner or None in parts else (owner, *dtypes, *parts)


class KerasCell:
    """Any Keras cell, as a `RecurrentCell`: it projects nothing, and its whole `call` is the step."""

    not_for_xla = None

    def __init__(self, cell: Any, states: Any = None):
        self.cell = cell
        if states is not None:
            self.states = states

    @cached_property
    def states(self) -> Any:
        """A structure that is nested as the cell wants its states."""
        return state_specs(self.cell)

    @property
    def output_size(self) -> Any:
        return size_of(output_shape(self.cell))

    def project(self, inputs: Tensor, training: bool = False) -> Tensors:
        return inputs

    def prepare(self, states: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        return list(states), []

    def loop(self) -> tuple[Callable[..., Any], Any, Callable[..., Tensor] | None]:
        return self.step, self.output_size, None

    def readout(self, states: list[Tensor]) -> Tensor:
        return states[0]

    def program_key(self) -> Hashable | None:
        return None

    def equation(self, training: bool) -> Equation | None:
        return None

    def step(self, projected: Tensors, states: list[Tensor], training: bool = False) -> tuple[Tensor, list[Tensor]]:
        takes_training = "training" in inspect.signature(self.cell.call).parameters
        states = tree.pack_sequence_as(self.states, list(states))
        output, states = self.cell(projected, states, **({"training": training} if takes_training else {}))
        return output, tree.flatten(states)


def as_recurrent_cell(cell: Any, states: Any = None) -> RecurrentCell | KerasCell:
    """The cell itself if it is a `RecurrentCell`; any other Keras cell with the same methods.

    Args:
        cell: the cell.
        states: what the states of another Keras cell are nested like. Defaults to `None`: as the cell says.
    """
    return cell if isinstance(cell, RecurrentCell) else KerasCell(cell, states)


def all_cells(cell: Any, input_shape: Shape | None = None) -> Iterator[tuple[Any, Shape | None]]:
    """Yields the cell and all cells inside it, the innermost first, each with the shape of what it reads at a step."""
    if hasattr(cell, "cells"):
        for inner, inner_shape in cells_and_input_shapes(cell, input_shape):
            yield from all_cells(inner, inner_shape)
    if isinstance(getattr(cell, "cell", None), keras.layers.Layer):
        inner_shape = input_shape
        if input_shape is not None and hasattr(cell, "reads"):
            inner_shape = (*input_shape[:-1], cell.reads(input_shape[-1]))
        yield from all_cells(cell.cell, inner_shape)
    yield cell, input_shape


def draws_at_random(cell: Any) -> bool:
    """Whether training the cell takes random numbers: for dropout, or from a seed generator of its own."""

    def draws(cell):
        if hasattr(cell, "recurrent_dropout"):  # Keras's cells have a seed generator in any case
            return bool(cell.dropout or cell.recurrent_dropout)
        return any(isinstance(value, keras.random.SeedGenerator) for value in vars(cell).values())

    return any(draws(inner) for inner, _ in all_cells(cell))

"""What a recurrent cell is."""

import inspect
from functools import partial

import keras
from keras import ops, tree

from rnnkit.layers.nested_layers import plain


@keras.saving.register_keras_serializable(package="rnnkit")
class RecurrentCell(keras.layers.Layer):
    """Base class of recurrent cells: a projection of the input, and a step.

    A recurrent network is, in the words of the decks, s_t = R(s_{t-1}, x_t) and y_t = O(s_t): the same two functions at
    every time step. A cell writes R in two parts:

    - `project(inputs, training)` is all that can be done without the state (the input half of every gate; what is drawn
      at random). A layer does it for many time steps at once, as one matrix product.
    - `step(projected, states, training)` is what is left, the recurrence: it returns y_t and the list of new states.

    `call(inputs, states, training)` is `step(project(inputs), states)`, so every cell also works in `keras.layers.RNN`
    and `keras.layers.StackedRNNCells`. A cell with gates also has `gates(projected, states)`: everything that one step
    computes, by name, which `rnnkit.diagnostics.record_gates` records.

    A subclass sets `state_size` (list of integers, the features of each state) and `output_size` (integer) in its
    constructor, makes its weights in `build(input_shape)`, and implements `step`. It implements `project` where there
    is something to project, and `readout` where y_t is not simply its first state.

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
        "Recurrent neural networks: an abstraction" (deck); Huang, "Recurrent Neural Networks" (deck).
    """

    state_size = None
    output_size = None

    def project(self, inputs, training=False):
        """The part of the step that needs no state; each step's from its own inputs alone, as many as there are.

        Args:
            inputs: tensor `(..., input_features)`: one step `(batch, input_features)`, or many steps at once
                `(time, batch, input_features)`.
            training: whether this is a training run. Random numbers are drawn here and not in `step`, from a
                `keras.random.SeedGenerator`: on JAX, nothing can be drawn inside the loop.

        Returns:
            A tensor, or a nested structure of tensors, with the same leading axes.
        """
        return inputs

    def step(self, projected, states, training=False):
        """One time step.

        Args:
            projected: what `project` returned for this step, `(batch, ...)`.
            states: list of tensors `(batch, state_size[i])`.
            training: whether this is a training run.

        Returns:
            y_t `(batch, output_size)` and the list of new states.
        """
        raise NotImplementedError(f"{type(self).__name__} must implement step(projected, states, training).")

    def prepare(self, states):
        """Divides the states before the loop: a list of those that a step changes, and a list of what it only reads.

        The latter may hold what is computed from them alone. `step` then gets both lists as one, and returns as many.
        """
        return list(states), []

    def loop(self):
        """The part of `step` that has to run in a loop, because later steps need it.

        Returns:
            The function to run in the loop, with the arguments of `step`; the features of its output; and a function
            that makes the outputs of the cell from those of the loop, all steps at once: `(batch, time, features)` and
            the constants of `prepare` in, `(batch, time, output_size)` out. By default `step`, and None.
        """
        return self.step, self.output_size, None

    def readout(self, states):
        """O of the decks: y_t `(batch, output_size)` from the states at t. By default, the first state."""
        return states[0]

    def program_key(self):
        """What the cell computes, apart from the weights, each row of a batch from that row alone.

        On TensorFlow, layers whose cells are equal in it share compiled programs, and run both halves of a batch at the
        same time.

        Returns:
            Something hashable; None, as by default, if it cannot be told.
        """
        return None

    def call(self, inputs, states, training=False):
        return self.step(self.project(inputs, training=training), list(states), training=training)

    def get_initial_state(self, batch_size=None):
        """Zeros `(batch_size, state_size[i])` for each state."""
        return [ops.zeros((batch_size, size), dtype=self.compute_dtype) for size in tree.flatten(self.state_size)]


def program_key_of(layer, *inside):
    """`RecurrentCell.program_key` from the class and configuration of a layer of rnnkit and of the layers inside of it."""
    parts = [inner.program_key() if isinstance(inner, RecurrentCell) else program_key_of(inner) for inner in inside]
    if None in parts or not type(layer).__module__.startswith("rnnkit."):
        return None  # what is not ours may do anything
    functions = [value for name, value in vars(layer).items() if name.endswith("activation")]
    about_weights = ("initializer", "regularizer", "constraint", "activation")
    config = {name: value for name, value in layer.get_config().items() if not name.endswith(about_weights)}
    for name in [name for name in config if any(getattr(layer, name, None) is inner for inner in inside)]:
        config.pop(name)
    for name in ("name", "trainable", "seed"):
        config.pop(name, None)
    return type(layer), *functions, repr(config), *parts


def project_inputs(cell, inputs, training):
    """`cell.project` for any cell: a plain Keras cell projects nothing."""
    return cell.project(inputs, training=training) if isinstance(cell, RecurrentCell) else inputs


def prepare(cell, states):
    """`cell.prepare` for any cell: of a plain Keras cell, all states change."""
    return cell.prepare(states) if isinstance(cell, RecurrentCell) else (list(states), [])


def run_step(cell, projected, states, training):
    """`cell.step` for any cell, with a flat list of states: of a plain Keras cell, its `call`."""
    if isinstance(cell, RecurrentCell):
        return cell.step(projected, states, training=training)
    takes_training = "training" in inspect.signature(cell.call).parameters
    if tree.is_nested(cell.state_size):  # as nested as the cell wants them
        states = tree.pack_sequence_as(plain(cell.state_size), list(states))
    output, states = cell(projected, states, **({"training": training} if takes_training else {}))
    return output, tree.flatten(states)


def cells_with_dropout(cell, features):
    """The cells in `cell` that draw dropout before the loop, as Keras's do, each with the features that it reads."""
    for inner in getattr(cell, "cells", []):
        yield from cells_with_dropout(inner, features)
        features = size_of_output(inner)
    if isinstance(getattr(cell, "cell", None), keras.layers.Layer):
        yield from cells_with_dropout(cell.cell, cell.reads(features) if hasattr(cell, "reads") else features)
    if hasattr(cell, "get_dropout_mask"):
        yield cell, features


def cells_inside(cell):
    """The cell and all cells in it."""
    yield cell
    for inner in [*getattr(cell, "cells", []), getattr(cell, "cell", None)]:
        if isinstance(inner, keras.layers.Layer):
            yield from cells_inside(inner)


def draws_at_random(cell):
    """Whether training the cell takes random numbers: for dropout, or by a seed generator of its own."""

    def draws(cell):
        if hasattr(cell, "recurrent_dropout"):  # Keras's cells have a seed generator in any case
            return bool(cell.dropout or cell.recurrent_dropout)
        return any(isinstance(value, keras.random.SeedGenerator) for value in vars(cell).values())

    return any(draws(inner) for inner in cells_inside(cell))


def loop_of(cell):
    """`cell.loop` for any cell."""
    if isinstance(cell, RecurrentCell):
        return cell.loop()
    return partial(run_step, cell), size_of_output(cell), None


def size_of_output(cell):
    """Features of the cell's output; of a plain Keras cell that does not tell, its first state's."""
    size = getattr(cell, "output_size", None)
    return tree.flatten(cell.state_size)[0] if size is None else size

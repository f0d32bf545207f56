"""Runs any cell over time."""

import inspect
from functools import partial

import keras
from keras import ops, tree

from rnnkit import backend
from rnnkit.arguments import agree
from rnnkit.backend.plain_recurrence import in_one_piece
from rnnkit.backend.unrolled import unrolled_recurrence
from rnnkit.layers.nested_layers import StateVariables, reset_rows
from rnnkit.layers.recurrent_cell import (
    RecurrentCell,
    cells_with_dropout,
    draws_at_random,
    loop_of,
    prepare,
    project_inputs,
)
from rnnkit.ops.masking import check_mask, without_padding


@keras.saving.register_keras_serializable(package="rnnkit")
class Recurrent(keras.layers.RNN):
    """Runs a cell over the time steps of a sequence.

    The input is projected for many steps in one matrix product; only `cell.step` has to wait for the step before.
    Everything else is that of `keras.layers.RNN`: initial states, `stateful`, `return_state`, `go_backwards`, `unroll`,
    and use inside `keras.layers.Bidirectional`. A Keras cell that is not a `RecurrentCell`, or a list of cells, runs as
    well: its whole `call` stands in the loop.

    A mask may have any shape: padding on the right, on the left, holes, rows with nothing in them. At a masked step the
    states stay as they are and the output is the previous output (zeros before the first step that counts, and zeros
    everywhere if `zero_output_for_mask`). Whatever stands in the padding, NaN included, changes neither results nor
    gradients.

    Args:
        cell: a `RecurrentCell`, any other Keras cell, or a list of cells, which becomes a `StackedRNNCells`.
        return_sequences: whether to return the output of every step instead of the last one.
        return_state: whether to return the last states, too.
        go_backwards: whether to run from the last step to the first; the outputs come in the order of the run.
        stateful: whether the states of a batch are where the next one starts.
        unroll: whether to build one copy of the step per time step instead of a loop (short sequences only).
        zero_output_for_mask: whether the output of a masked step is zeros.
        **kwargs: `name`, `dtype` (default: the cell's), `trainable`.

    Call arguments:
        sequences: tensor `(batch, time, features)`, at least one time step.
        initial_state: list of tensors `(batch, cell.state_size[i])`; zeros if left out.
        mask: boolean tensor `(batch, time)`, True where a step counts.
        training: whether this is a training run; handed to the cell.

    Returns:
        `(batch, time, cell.output_size)` with `return_sequences`, else `(batch, cell.output_size)`; with `return_state`
        followed by each last state `(batch, cell.state_size[i])`.

    Raises:
        ValueError: the cell is a layer over sequences, lacks its sizes, or has an output of another size; sequences,
            states or mask have the wrong shape; a step that counts holds NaN (seen only outside of a compiled function,
            where the numbers are known).

    Example:

    >>> import numpy as np, rnnkit.layers
    >>> layer = rnnkit.layers.Recurrent(rnnkit.layers.ElmanCell(8), return_sequences=True, return_state=True)
    >>> outputs, state = layer(np.zeros((2, 5, 3), "float32"))
    >>> tuple(outputs.shape), tuple(state.shape)
    ((2, 5, 8), (2, 8))
    """

    def __init__(
        self,
        cell,
        return_sequences=False,
        return_state=False,
        go_backwards=False,
        stateful=False,
        unroll=False,
        zero_output_for_mask=False,
        **kwargs,
    ):
        if isinstance(cell, RecurrentCell):
            _check_sizes(cell)
        if hasattr(cell, "return_sequences"):
            raise ValueError(f"Recurrent expected a cell, received the layer {cell!r}: its cell is layer.cell.")
        if kwargs.get("dtype") is None:
            kwargs["dtype"] = getattr(cell, "dtype_policy", None)
        super().__init__(
            cell,
            return_sequences=return_sequences,
            return_state=return_state,
            go_backwards=go_backwards,
            stateful=stateful,
            unroll=unroll,
            zero_output_for_mask=zero_output_for_mask,
            **kwargs,
        )
        if isinstance(cell, RecurrentCell) and self.compute_dtype != cell.compute_dtype:
            raise ValueError(
                f"Recurrent computes in {self.compute_dtype}, its cell in {self.cell.compute_dtype}: "
                "give both the same dtype, or only the cell."
            )
        self.supports_masking = True  # Keras 3.16 sets it to False
        self._way = None

    def build(self, sequences_shape, initial_state_shape=None):
        if initial_state_shape is not None and not self.cell.built:
            batch, _, features = sequences_shape
            if "states_shape" in inspect.signature(self.cell.build).parameters:
                self.cell.build((batch, features), initial_state_shape)
                self.cell.built = True
        super().build(sequences_shape)
        if self.stateful:
            self.state_variables = StateVariables(tree.flatten(self.states), name="states")

    def compute_output_shape(self, sequences_shape, initial_state_shape=None):
        shapes = super().compute_output_shape(sequences_shape)
        if self.return_state and None in self.state_size:  # a memory, as it was given
            return (shapes[0], *map(tuple, initial_state_shape))
        return shapes

    def compute_mask(self, sequences, mask=None):
        mask = tree.flatten(mask)[0] if self.return_sequences else None
        if mask is not None and self.go_backwards:
            mask = ops.flip(mask, axis=1)  # in the order of the outputs
        return [mask] + [None] * len(self.state_size) if self.return_state else mask

    def call(self, sequences, initial_state=None, mask=None, training=False):
        if initial_state is not None:
            initial_state = list(initial_state) if tree.is_nested(initial_state) else [initial_state]
        mask = None if mask is None else ops.convert_to_tensor(mask, dtype="bool")
        self._check(sequences, initial_state, mask)
        if initial_state is None and self.stateful:
            # Copies: on PyTorch, the variables are written to before gradients are taken.
            initial_state = tree.map_structure(ops.copy, list(self.states))
        sequences = without_padding(sequences, mask)
        if _holds_nan(sequences):
            raise ValueError(
                f"Layer {self.name!r} expected numbers in its sequences, but a step that counts holds NaN. "
                "Fill or drop missing values, or mask their steps."
            )
        return super().call(sequences, initial_state=initial_state, mask=mask, training=training)

    def reset_state(self, rows=None):
        """Sets the states of a stateful layer to zero.

        Args:
            rows: which rows of the batch: a list of row numbers, or a boolean array `(batch,)`; all rows if left out.

        Raises:
            ValueError: there is no such row: too large a number, or a layer that is not stateful or not built.
        """
        reset_rows(self, rows)

    def explain(self):
        """How the layer ran last, and why: a sentence.

        A layer has several ways to run the same computation, which differ in speed only: compiled, as a loop of the
        backend's operations, as a kernel that the backend has for its cell. `Recurrent` takes what is the fastest by
        measurement (`benchmarks/recurrent.py`).

        Example:

        >>> import numpy as np, rnnkit.layers
        >>> layer = rnnkit.layers.Recurrent(rnnkit.layers.ElmanCell(8), unroll=True, name="reader")
        >>> _ = layer(np.zeros((2, 5, 3), "float32"))
        >>> layer.explain()
        "Layer 'reader' ran last as one copy of its step per time step: unroll=True asks for it."
        """
        if self._way is None:
            return f"Layer {self.name!r} has not run yet."
        return f"Layer {self.name!r} ran last as {self._way}."

    def inner_loop(self, sequences, initial_state, mask, training=False):
        dropping = list(cells_with_dropout(self.cell, sequences.shape[-1])) if training else []
        for cell, features in dropping:  # Keras draws for its own cells, but not inside of wrappers
            batch, units = ops.shape(sequences)[0], tree.flatten(cell.state_size)[0]
            cell.get_dropout_mask(ops.ones((batch, features), dtype=self.compute_dtype))
            cell.get_recurrent_dropout_mask(ops.ones((batch, units), dtype=self.compute_dtype))
        sequences, mask = self._in_order_of_the_run(sequences, mask)
        initial_state = initial_state if tree.is_nested(initial_state) else [initial_state]  # Keras's GRU unpacks it
        run = partial(self._run, self._step(training, mask is not None), training)
        split_batch = in_one_piece if self.unroll else backend.split_batch
        results, how = split_batch(run, sequences, initial_state, mask, partial(self._may_be_halved, training))
        self._way += how
        for cell, _ in dropping:
            cell.reset_dropout_mask()
            cell.reset_recurrent_dropout_mask()
        return results

    def _may_be_halved(self, training):
        """Whether a row's results are known not to depend on the others, nor on where random numbers are drawn."""
        return self._equation() is not None and not (training and draws_at_random(self.cell))

    def _equation(self):
        return self.cell.program_key() if isinstance(self.cell, RecurrentCell) else None

    def _step(self, training, masked):
        """`carry, output = step(carry, inputs, constants)`, with the states as carry; or with a mask, see `_run`."""
        cell_step, size, _ = loop_of(self.cell)

        def step(states, projected, constants):
            output, new_states = cell_step(projected, [*states, *constants], training)
            self._check_output(output, size)
            pairs = zip(new_states[: len(states)], states, strict=True)
            return [ops.cast(new, old.dtype) for new, old in pairs], ops.cast(output, self.compute_dtype)

        def masked_step(carry, inputs, constants):
            projected, counts = inputs
            new_states, output = step(carry[1:], projected, constants)
            states = [ops.where(counts, new, old) for new, old in zip(new_states, carry[1:], strict=True)]
            # Where y_t is a state, it is the same tensor after the mask, too, and is kept once.
            kept = [state for state, new in zip(states, new_states, strict=True) if new is output]
            output = kept[0] if kept else ops.where(counts, output, carry[0])
            return [output, *states], output

        return masked_step if masked else step

    def _run(self, step, training, sequences, initial_state, mask):
        """Projects, runs the step over time, and reads out: the last output, all outputs, the last states."""
        _, size, outputs_of = loop_of(self.cell)
        zeros = ops.zeros((ops.shape(sequences)[0], size), dtype=self.compute_dtype)
        all_states = tree.flatten(initial_state)
        states, constants = prepare(self.cell, all_states)
        carry, inputs = states, ops.swapaxes(sequences, 0, 1)
        if mask is not None:
            mask = ops.swapaxes(mask, 0, 1)[..., None]
            carry, inputs = [zeros, *states], (inputs, mask)

        def project(inputs):
            if mask is None:
                return project_inputs(self.cell, inputs, training)
            sequences, counts = inputs
            return project_inputs(self.cell, sequences, training), counts

        def key():
            equation = self._equation()
            return equation and (equation, training, mask is None)

        recurrence = unrolled_recurrence if self.unroll else backend.recurrence
        variables = getattr(self.cell, "variables", [])
        outputs, carry, self._way = recurrence(project, step, carry, inputs, zeros, constants, variables, training, key)
        states = carry if mask is None else carry[1:]
        if outputs_of is not None:
            outputs = outputs_of(ops.swapaxes(outputs, 0, 1), constants)
            outputs = ops.cast(ops.swapaxes(outputs, 0, 1), self.compute_dtype)
        if mask is not None:
            # Before its first step that counts, a row has no output.
            shown = mask if self.zero_output_for_mask else ops.cumsum(ops.cast(mask, "int32"), axis=0) > 0
            outputs = without_padding(outputs, shown)
        states = tree.pack_sequence_as(initial_state, [*states, *all_states[len(states) :]])
        return outputs[-1], ops.swapaxes(outputs, 0, 1), states

    def _in_order_of_the_run(self, sequences, mask):
        if not self.go_backwards:
            return sequences, mask
        return ops.flip(sequences, axis=1), None if mask is None else ops.flip(mask, axis=1)

    def _check(self, sequences, initial_state, mask):
        batch, time = sequences.shape[:2]
        if len(sequences.shape) != 3 or time == 0:
            raise ValueError(
                f"Layer {self.name!r} expected sequences (batch, time, features) with at least one time step, "
                f"received shape {tuple(sequences.shape)}."
            )
        check_mask(f"Layer {self.name!r}", mask, sequences)
        if initial_state is None:
            return
        states, sizes = tree.flatten(initial_state), tree.flatten(self.state_size)
        if len(states) != len(sizes):
            raise ValueError(
                f"Layer {self.name!r} expected {len(sizes)} initial state(s) of sizes {sizes}, received {len(states)}."
            )
        for index, (state, size) in enumerate(zip(states, sizes, strict=True)):
            if size is not None and not agree(state.shape, (batch, size)):
                raise ValueError(
                    f"Layer {self.name!r} expected initial state {index} of shape {(batch, size)}, "
                    f"received {tuple(state.shape)}."
                )

    def _check_output(self, output, expected):
        if output.shape[-1] != expected:
            raise ValueError(
                f"The output of {type(self.cell).__name__} has {output.shape[-1]} features, expected its output_size "
                f"{expected}: set output_size in the cell's constructor to what its step returns."
            )


def _holds_nan(x):
    """Whether x holds NaN; False where that is not known yet."""
    suspicious = ops.isnan(ops.sum(x)) if backend.is_concrete(x) else x  # a sum takes a tenth of the time of any
    # In a compiled function of JAX, what is computed from a known tensor is not known.
    return backend.is_concrete(suspicious) and bool(suspicious) and bool(ops.any(ops.isnan(x)))


def _check_sizes(cell):
    for attribute in ("state_size", "output_size"):
        if getattr(cell, attribute) is None:
            raise ValueError(
                f"{type(cell).__name__} has no `{attribute}`: set state_size (list of integers) and output_size "
                "(integer) in its constructor. Without them, shapes cannot be known before the first call."
            )

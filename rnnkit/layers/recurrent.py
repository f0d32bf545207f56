"""Runs any cell over time."""

import contextlib
import inspect
import math
from functools import partial
from typing import Any

import keras
import numpy as np
from keras import ops, tree

from rnnkit import backend
from rnnkit.annotations import Mask, Shape, Tensor
from rnnkit.arguments import agree
from rnnkit.backend.loop import Loop, masked, run_unrolled
from rnnkit.layers.plain_loop import reason_of_the_switch
from rnnkit.layers.quantization import without_quantization
from rnnkit.layers.ragged import padded
from rnnkit.layers.recurrent_cell import RecurrentCell, all_cells, as_recurrent_cell, draws_at_random
from rnnkit.layers.state_origin import note_origins
from rnnkit.layers.state_shapes import (
    CELLS_OF_KERAS,
    axes_of,
    cells_and_input_shapes,
    check_features,
    input_spec,
    output_shape,
    size_of,
    state_specs,
)
from rnnkit.layers.states_in_files import StateVariables
from rnnkit.ops.masking import check_mask, without_padding


@keras.saving.register_keras_serializable(package="rnnkit")
class Recurrent(keras.layers.RNN):
    """Runs a cell over the time steps of a sequence.

    The input is projected for many steps in one matrix product; only `cell.step` has to wait for the step before.
    Everything else is Keras's: initial states, `stateful`, `return_state`, `go_backwards`, `unroll`, and use inside
    `keras.layers.Bidirectional`. A Keras cell that is not a `RecurrentCell`, or a list of cells, runs as well, with its
    whole `call` in the loop.

    A mask may have any shape: padding on the right, on the left, holes, rows with nothing in them. At a masked step the
    states stay as they are and the output is the previous output (zeros before the first unmasked step, and zeros
    everywhere if `zero_output_for_mask`). Whatever is in the padding, even NaN, changes neither results nor gradients.

    On TensorFlow and JAX, the loop is compiled wherever that is possible; `explain()` says how the layer ran, and why.
    Set `layer.plain_loop = True` to turn that off, or see `rnnkit.layers.plain_loop`.

    Args:
        cell: a `RecurrentCell`, any other Keras cell, or a list of cells, which becomes a `StackedRNNCells`.
        return_sequences: whether to return the output of every step instead of the last one. Defaults to `False`.
        return_state: whether to return the last states, too. Defaults to `False`.
        go_backwards: whether to run from the last step to the first; the outputs come in the order of the run. Defaults
            to `False`.
        stateful: whether each batch starts from the last states of the batch before; `states_in_files` saves and loads
            them. Defaults to `False`.
        unroll: whether to build one copy of the step per time step instead of a loop (short sequences only). Defaults
            to `False`.
        zero_output_for_mask: whether the output of a masked step is zeros instead of the output before it. Defaults to
            `False`.
        **kwargs: `name`, `dtype` (by default the cell's), `trainable`.

    Call arguments:
        sequences: tensor `(batch, time, features)`, or `(batch, time, ...)` where the cell reads inputs of another
            rank; at least one time step. Of a RaggedTensor (TensorFlow), the outputs are padded, and have a mask.
        initial_state: list of tensors `(batch, cell.state_size[i])`, or `(batch, *cell.state_size[i])` where that is a
            shape; nested as the cell nests them. Zeros if left out.
        mask: boolean tensor `(batch, time)`, True at unmasked steps.
        training: whether this is a training run; passed to the cell. Defaults to `False`.

    Returns:
        `(batch, time, cell.output_size)` with `return_sequences`, else `(batch, cell.output_size)`. With `return_state`
        followed by each last state `(batch, cell.state_size[i])`.

    Raises:
        ValueError: the cell is a layer over sequences, lacks its sizes, or has an output of another size; sequences,
            states or mask have the wrong shape; an unmasked step holds NaN (seen only outside a compiled function,
            where the numbers are known).

    Example:

    >>> import numpy as np, rnnkit.layers
    >>> layer = rnnkit.layers.Recurrent(rnnkit.layers.ElmanCell(8), return_sequences=True, return_state=True)
    >>> outputs, state = layer(np.zeros((2, 5, 3), "float32"))
    >>> tuple(outputs.shape), tuple(state.shape)
    ((2, 5, 8), (2, 8))
    """

    plain_loop: bool = False

    def __init__(
        self,
        cell: Any,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        zero_output_for_mask: bool = False,
        **kwargs: Any,
    ):
        if isinstance(cell, RecurrentCell):
            _check_sizes(cell)
        if hasattr(cell, "return_sequences"):
            raise ValueError(f"Recurrent expected a cell, received the layer {cell!r}: its cell is layer.cell.")
        if kwargs.get("dtype") is None:
            kwargs["dtype"] = getattr(cell, "dtype_policy", None)
        kwargs["dtype"] = without_quantization(kwargs["dtype"])
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
        self._how: str | None = None
        self._given_shapes: Any = None

    def build(self, sequences_shape: Shape, initial_state_shape: Any = None) -> None:
        self._check_sequences(sequences_shape)
        step_shape = _at_one_step(sequences_shape)
        for cell, input_shape in all_cells(self.cell, step_shape):
            if isinstance(cell, CELLS_OF_KERAS):  # half built, they would not be built again
                check_features(type(cell).__name__, input_shape)
        if initial_state_shape is not None and not self.cell.built:
            if "states_shape" in inspect.signature(self.cell.build).parameters:
                self.cell.build(step_shape, initial_state_shape)
                self.cell.built = True
        _build_cells(self.cell, step_shape)
        self._given_shapes = initial_state_shape
        super().build(sequences_shape)
        if self.stateful:
            self.state_variables = StateVariables(self, name="states")

    def compute_output_shape(self, sequences_shape: Shape, initial_state_shape: Any = None) -> Any:
        self._check_sequences(sequences_shape)
        (batch, time, *_), step_shape = sequences_shape, _at_one_step(sequences_shape)
        output = output_shape(self.cell, step_shape)
        if output is None:
            raise ValueError(
                f"Layer {self.name!r} does not know the shape of its cell's output before it is built: set output_size "
                f"in the constructor of {type(self.cell).__name__}, or build the layer."
            )
        shape = (batch, time, *output[1:]) if self.return_sequences else (batch, *output[1:])
        if not self.return_state:
            return shape
        specs = state_specs(self.cell, step_shape, initial_state_shape)
        if any(spec.shape is None for spec in tree.flatten(specs)):  # a memory, as it was given
            return (shape, *map(tuple, initial_state_shape))
        return (shape, *tree.map_structure(lambda spec: (batch, *spec.shape[1:]), specs))

    def get_initial_state(self, batch_size: Any) -> Any:
        if self.stateful and self._given_shapes is not None and None in tree.flatten(self.state_size):
            return [ops.zeros(shape, dtype=self.compute_dtype) for shape in self._given_shapes]  # with a memory
        if hasattr(self.cell, "get_initial_state"):
            return super().get_initial_state(batch_size)
        return tree.map_structure(
            lambda spec: ops.zeros((batch_size, *spec.shape[1:]), dtype=self.cell.compute_dtype), state_specs(self.cell)
        )

    def compute_mask(self, sequences: Tensor, mask: Mask = None) -> Any:
        mask = padded(sequences, tree.flatten(mask)[0])[1] if self.return_sequences else None
        if mask is not None and self.go_backwards:
            mask = ops.flip(mask, axis=1)  # in the order of the outputs
        return [mask] + [None] * len(self.state_size) if self.return_state else mask

    def call(self, sequences: Tensor, initial_state: Any = None, mask: Mask = None, training: bool = False) -> Any:
        if initial_state is not None:
            initial_state = list(initial_state) if tree.is_nested(initial_state) else [initial_state]
        sequences, mask = padded(sequences, mask)
        mask = None if mask is None else ops.convert_to_tensor(mask, dtype="bool")
        self._check_sequences(sequences.shape)
        check_mask(f"Layer {self.name!r}", mask, sequences)
        if initial_state is not None:
            initial_state = self._nested_initial_state(initial_state, sequences.shape[0])
        if initial_state is None and self.stateful:
            # Copies: on PyTorch, the variables are written to before gradients are taken.
            initial_state = tree.map_structure(ops.copy, list(self.states))
        sequences = without_padding(sequences, mask)
        if holds_nan(sequences):
            raise ValueError(
                f"Layer {self.name!r} expected numbers in its sequences, but an unmasked step holds NaN. "
                "Fill or drop missing values, or mask their steps."
            )
        result = super().call(sequences, initial_state=initial_state, mask=mask, training=training)
        if self.return_state:
            note_origins(tree.flatten(result[1:]), self)
        return result

    def reset_state(self, rows: Any = None) -> None:
        """Sets the states of a stateful layer to zero.

        Args:
            rows: which rows of the batch: a list of row numbers, or a boolean array `(batch,)`. Defaults to `None`,
                which means all rows.

        Raises:
            ValueError: there is no such row, or the layer is not stateful or not built.
        """
        reset_rows(self, rows)

    def explain(self) -> str:
        """Returns a sentence that says how the layer ran last, and why.

        A layer has several ways to run the same computation, which differ only in speed: compiled, as a loop of the
        backend's operations, or as a kernel that the backend has for its cell. `Recurrent` takes the one that was the
        fastest when measured (`benchmarks/recurrent.py`).

        Example:

        >>> import numpy as np, rnnkit.layers
        >>> layer = rnnkit.layers.Recurrent(rnnkit.layers.ElmanCell(8), unroll=True, name="reader")
        >>> _ = layer(np.zeros((2, 5, 3), "float32"))
        >>> layer.explain()
        "Layer 'reader' ran last as one copy of its step per time step: unroll=True asks for it."
        """
        if self._how is None:
            return f"Layer {self.name!r} has not run yet."
        return f"Layer {self.name!r} ran last as {self._how}."

    def inner_loop(self, sequences: Tensor, initial_state: Any, mask: Mask, training: bool = False) -> Any:
        """Runs the cell over time: what `keras.layers.RNN` calls between its own preparations."""
        with self._dropout_of_keras(sequences, training):
            return self._run(sequences, initial_state, mask, training)

    def _run(self, sequences, initial_state, mask, training):
        """The last output, all outputs, and the last states."""
        initial_state = initial_state if tree.is_nested(initial_state) else [initial_state]  # Keras's GRU unpacks it
        nesting, states = tree.map_structure(lambda x: 0, initial_state), tree.flatten(initial_state)
        cell = as_recurrent_cell(self.cell, nesting)
        loop = self._loop(cell, sequences, states, mask, training, nesting)
        outputs, last_states, self._how = run_unrolled(loop) if self.unroll else backend.run(loop)
        _, _, outputs_of = cell.loop()
        if outputs_of is not None:
            outputs = ops.cast(outputs_of(outputs, loop.constants), self.compute_dtype)
        if mask is not None:
            # Before its first unmasked step, a row has no output.
            has_output = ops.cumsum(ops.cast(loop.mask, "int32"), axis=1) > 0
            outputs = without_padding(outputs, loop.mask if self.zero_output_for_mask else has_output)
        states = tree.pack_sequence_as(initial_state, [*last_states, *states[len(last_states) :]])
        return outputs[:, -1], outputs, states

    def _loop(self, cell, sequences, states, mask, training, nesting=None):
        changing, constants = cell.prepare(states)
        if self.go_backwards:
            sequences, mask = ops.flip(sequences, axis=1), None if mask is None else ops.flip(mask, axis=1)
        return Loop(
            cell=self.cell,
            bind=partial(
                _step_of, nesting=nesting, training=training, is_masked=mask is not None, dtype=self.compute_dtype
            ),
            project_sequences=partial(cell.project, training=training),
            sequences=sequences,
            mask=mask,
            states=changing,
            constants=constants,
            output_size=axes_of(cell.loop()[1]),
            dtype=self.compute_dtype,
            training=training,
            key=cell.program_key(),
            draws=draws_at_random(self.cell),
            equation=cell.equation(training),
            no_kernel=self._no_kernel(),
            only_plainly=reason_of_the_switch(self),
            not_for_xla=cell.not_for_xla,
        )

    def _no_kernel(self):
        """Why no kernel may run in place of the loop, whatever the cell computes; None if one may."""
        return None

    @contextlib.contextmanager
    def _dropout_of_keras(self, sequences, training):
        """Within it, cells that draw dropout as Keras's do have drawn: Keras draws for its own, not inside wrappers."""
        cells = all_cells(self.cell, _at_one_step(sequences.shape)) if training else []
        cells = [(cell, input_shape) for cell, input_shape in cells if hasattr(cell, "get_dropout_mask")]
        batch = ops.shape(sequences)[0]
        for cell, input_shape in cells:
            state_shape = tree.flatten(state_specs(cell))[0].shape
            cell.get_dropout_mask(ops.ones((batch, *input_shape[1:]), dtype=self.compute_dtype))
            cell.get_recurrent_dropout_mask(ops.ones((batch, *state_shape[1:]), dtype=self.compute_dtype))
        try:
            yield
        finally:
            for cell, _ in cells:
                cell.reset_dropout_mask()
                cell.reset_recurrent_dropout_mask()

    def _check_sequences(self, shape):
        """Refuses sequences that the cell does not read, before anything is built."""
        spec, found = input_spec(self.cell), len(shape)
        at_least, at_most = (1 + (spec.ndim or rank) for rank in (spec.min_ndim or 2, spec.max_ndim or math.inf))
        axes = "(batch, time, features)" if at_most == 3 else "(batch, time, ...)"
        if not at_least <= found <= at_most:
            expected = f"ndim={at_least}" if at_least == at_most else f"min_ndim={at_least}"
            raise ValueError(
                f"Layer {self.name!r} expected sequences {axes}: expected {expected}, found ndim={found}, received "
                f"shape {tuple(shape)}. A recurrent layer below this one needs return_sequences=True."
            )
        if shape[1] == 0:
            raise ValueError(
                f"Layer {self.name!r} expected sequences {axes} with at least one time step, received shape "
                f"{tuple(shape)}."
            )
        expected = list(spec.shape or [None] * (found - 1))
        for axis, size in spec.axes.items():
            expected[axis] = size
        expected = (expected[0], None, *expected[1:])
        if not agree(shape, expected):
            raise ValueError(
                f"Layer {self.name!r} was built for sequences of shape {expected}, received shape {tuple(shape)}."
            )

    def _nested_initial_state(self, initial_state, batch):
        """The initial states that the caller gives, which are flat or nested, nested as the cell wants them."""
        specs = state_specs(self.cell, given=initial_state)
        states, flat_specs = tree.flatten(initial_state), tree.flatten(specs)
        if len(states) != len(flat_specs):
            sizes = [size_of(spec.shape) for spec in flat_specs]
            raise ValueError(
                f"Layer {self.name!r} expected {len(sizes)} initial state(s) of sizes {sizes}, received {len(states)}."
            )
        for index, (state, spec) in enumerate(zip(states, flat_specs, strict=True)):
            if spec.shape is not None and not agree(state.shape, (batch, *spec.shape[1:])):
                raise ValueError(
                    f"Layer {self.name!r} expected initial state {index} of shape {(batch, *spec.shape[1:])}, "
                    f"received {tuple(state.shape)}."
                )
        return tree.pack_sequence_as(specs, states)


def _at_one_step(sequences_shape):
    return (sequences_shape[0], *sequences_shape[2:])


def _build_cells(cell, input_shape):
    """Builds the cells of a stack in which one reads what is no vector: Keras would tell it no more than a size."""
    if not hasattr(cell, "cells"):
        return
    cells = cells_and_input_shapes(cell, input_shape)
    if any(shape is not None and len(shape) != 2 for _, shape in cells[1:]):
        for inner, shape in cells:
            if not inner.built:
                _build_cells(inner, shape)
                inner.build(shape)
                inner.built = True


def _step_of(cell, nesting, training, is_masked, dtype):
    """`carry, output = step(carry, inputs, constants)` of a cell: see `Loop`."""
    cell_step, size, _ = as_recurrent_cell(cell, nesting).loop()
    expected = (None, *axes_of(size))

    def step(states, projected, constants):
        output, new_states = cell_step(projected, [*states, *constants], training)
        if not agree(output.shape, expected):
            found = size_of(tuple(output.shape))
            raise ValueError(
                f"The output of {type(cell).__name__} has {found} features, expected its output_size "
                f"{size}: set output_size in the cell's constructor to what its step returns."
            )
        pairs = zip(new_states[: len(states)], states, strict=True)
        return [ops.cast(new, old.dtype) for new, old in pairs], ops.cast(output, dtype)

    return masked(step) if is_masked else step


def holds_nan(x: Tensor) -> bool:
    """Returns whether a tensor holds NaN; False where that is not known yet."""
    suspicious = ops.isnan(ops.sum(x)) if backend.is_concrete(x) else x  # a sum takes a tenth of the time of any
    # In a compiled function of JAX, what is computed from a known tensor is not known.
    return backend.is_concrete(suspicious) and bool(suspicious) and bool(ops.any(ops.isnan(x)))


def _check_sizes(cell):
    for attribute in ("state_size", "output_size"):
        if getattr(cell, attribute) is None:
            raise ValueError(
                f"{type(cell).__name__} has no `{attribute}`: set state_size (a list with the features or the shape of "
                "each state) and output_size (the same of its output) in its constructor. Without them, shapes cannot "
                "be known before the first call."
            )


def reset_rows(layer, rows):
    """Sets the states of a `keras.layers.RNN` to zero: all, or only some rows; see `Recurrent.reset_state`."""
    states = tree.flatten(layer.states) if layer.states is not None else []
    if rows is None:
        for state in states:
            state.assign(ops.zeros_like(state.value))
        return
    if not states:
        raise ValueError(
            f"Layer {layer.name!r} has no states to reset: it needs stateful=True, and a first call or build."
        )
    batch, rows = states[0].shape[0], np.asarray(rows)
    if rows.dtype == bool:
        fits = rows.shape == (batch,)
    else:
        fits = rows.ndim == 1 and (
            rows.size == 0 or rows.dtype.kind in "iu" and -batch <= rows.min() <= rows.max() < batch
        )
    if not fits:
        raise ValueError(
            f"reset_state expected row numbers below {batch} or a boolean array ({batch},), received {rows.tolist()}."
        )
    kept = np.ones(batch, bool)
    kept[rows if rows.size else []] = False
    for state in states:
        state.assign(without_padding(ops.convert_to_tensor(state), ops.convert_to_tensor(kept)))

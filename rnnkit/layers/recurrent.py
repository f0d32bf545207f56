"""Runs any cell over time."""

import keras
from keras import ops, tree

from rnnkit import backend
from rnnkit.backend.unrolled import unrolled_scan
from rnnkit.layers.cell import RecurrentCell


@keras.saving.register_keras_serializable(package="rnnkit")
class Recurrent(keras.layers.RNN):
    """Runs a `RecurrentCell` over the time steps of a sequence.

    The input is projected for all steps in one matrix product; only `cell.step` runs in the loop. Everything else is
    that of `keras.layers.RNN`: initial states, `stateful`, `return_state`, `go_backwards`, `unroll`, and use inside
    `keras.layers.Bidirectional`.

    A mask may have any shape: padding on the right, on the left, holes, rows with nothing in them. At a masked step the
    states stay as they are and the output is the previous output (zeros before the first step that counts, and zeros
    everywhere if `zero_output_for_mask`). Whatever stands in the padding, NaN included, changes neither results nor
    gradients.

    Args:
        cell: a `RecurrentCell`.
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
        ValueError: the cell is not a `RecurrentCell` or lacks its sizes; sequences, states or mask have the wrong
            shape; a step that counts holds NaN (seen only outside of a compiled function, where the numbers are known).

    Example:

    >>> import numpy as np, rnnkit.layers
    >>> layer = rnnkit.layers.Recurrent(rnnkit.layers.ElmanCell(8), return_sequences=True, return_state=True)
    >>> outputs, state = layer(np.zeros((2, 5, 3), "float32"))
    >>> tuple(outputs.shape), tuple(state.shape)
    ((2, 5, 8), (2, 8))
    """

    def __init__(self, cell, **kwargs):
        if not isinstance(cell, RecurrentCell):
            raise ValueError(
                f"Recurrent expected a rnnkit.layers.RecurrentCell, received {cell!r}. "
                "A plain Keras cell runs in keras.layers.RNN."
            )
        for attribute in ("state_size", "output_size"):
            if getattr(cell, attribute) is None:
                raise ValueError(
                    f"{type(cell).__name__} has no `{attribute}`: set state_size (list of integers) and output_size "
                    "(integer) in its constructor. Without them, shapes cannot be known before the first call."
                )
        if kwargs.get("dtype") is None:
            kwargs["dtype"] = cell.dtype_policy
        super().__init__(cell, **kwargs)
        if self.compute_dtype != cell.compute_dtype:
            raise ValueError(
                f"Recurrent computes in {self.compute_dtype}, its cell in {cell.compute_dtype}: "
                "give both the same dtype, or only the cell."
            )
        self.supports_masking = True  # Keras 3.16 sets it to False

    def compute_mask(self, sequences, mask=None):
        mask = tree.flatten(mask)[0] if self.return_sequences else None
        return [mask] + [None] * len(self.state_size) if self.return_state else mask

    def call(self, sequences, initial_state=None, mask=None, training=False):
        if initial_state is not None:
            initial_state = list(initial_state) if tree.is_nested(initial_state) else [initial_state]
        mask = None if mask is None else ops.convert_to_tensor(mask, dtype="bool")
        self._check(sequences, initial_state, mask)
        if mask is not None:
            # What stands in the padding must not reach a gradient, not even as NaN times zero.
            sequences = ops.where(mask[..., None], sequences, ops.zeros_like(sequences))
        if backend.is_concrete(sequences) and bool(ops.any(ops.isnan(sequences))):
            raise ValueError(
                f"Layer {self.name!r} expected numbers in its sequences, but a step that counts holds NaN. "
                "Fill or drop missing values, or mask their steps."
            )
        return super().call(sequences, initial_state=initial_state, mask=mask, training=training)

    def inner_loop(self, sequences, initial_state, mask, training=False):
        projected = self.cell.project(sequences)
        if self.go_backwards:
            projected, mask = tree.map_structure(
                lambda x: None if x is None else ops.flip(x, axis=1), (projected, mask)
            )
        time_major = tree.map_structure(lambda x: ops.swapaxes(x, 0, 1), projected)
        output = ops.zeros((ops.shape(sequences)[0], self.cell.output_size), dtype=self.compute_dtype)
        carry = (output, *initial_state)

        def step(carry, projected):
            output, states = self.cell.step(projected, list(carry[1:]), training=training)
            return (output, *states)

        def masked_step(carry, inputs):
            projected, counts = inputs
            return tuple(ops.where(counts, new, old) for new, old in zip(step(carry, projected), carry, strict=True))

        scan = unrolled_scan if self.unroll else backend.scan
        if mask is None:
            outputs, carry = scan(step, carry, time_major)
        else:
            mask = ops.swapaxes(mask, 0, 1)[..., None]
            outputs, carry = scan(masked_step, carry, (time_major, mask))
            if self.zero_output_for_mask:
                outputs = ops.where(mask, outputs, ops.zeros_like(outputs))
        last = outputs[-1] if self.zero_output_for_mask else carry[0]
        return last, ops.swapaxes(outputs, 0, 1), list(carry[1:])

    def _check(self, sequences, initial_state, mask):
        batch, time = sequences.shape[:2]
        if len(sequences.shape) != 3 or time == 0:
            raise ValueError(
                f"Layer {self.name!r} expected sequences (batch, time, features) with at least one time step, "
                f"received shape {tuple(sequences.shape)}."
            )
        if mask is not None and (len(mask.shape) != 2 or not _agree(mask.shape, (batch, time))):
            raise ValueError(
                f"Layer {self.name!r} expected a mask (batch, time) = {(batch, time)} for sequences of shape "
                f"{tuple(sequences.shape)}, received shape {tuple(mask.shape)}."
            )
        if initial_state is None:
            return
        if len(initial_state) != len(self.state_size):
            raise ValueError(
                f"Layer {self.name!r} expected {len(self.state_size)} initial state(s) of sizes {self.state_size}, "
                f"received {len(initial_state)}."
            )
        for index, (state, size) in enumerate(zip(initial_state, self.state_size, strict=True)):
            if len(state.shape) != 2 or not _agree(state.shape, (batch, size)):
                raise ValueError(
                    f"Layer {self.name!r} expected initial state {index} of shape {(batch, size)}, "
                    f"received {tuple(state.shape)}."
                )


class CellLayer(Recurrent):
    """Base of the layers that make their own cell (`Elman`, ...): a subclass names its `cell_class`.

    The constructor takes the cell's arguments and the layer's alike, and so does the configuration.
    """

    cell_class = None

    def __init__(self, *cell_arguments, **kwargs):
        own = {name: kwargs.pop(name) for name in _LAYER_ARGUMENTS if name in kwargs}
        super().__init__(self.cell_class(*cell_arguments, **kwargs), **own)

    def get_config(self):
        config = super().get_config()
        return {**config.pop("cell")["config"], **config}

    @classmethod
    def from_config(cls, config):
        return cls(**config)


_LAYER_ARGUMENTS = (
    "return_sequences",
    "return_state",
    "go_backwards",
    "stateful",
    "unroll",
    "zero_output_for_mask",
    "activity_regularizer",
    "name",
    "trainable",
)


def _agree(shape, expected):
    """Whether two shapes can be the same where both are known."""
    return all(a is None or b is None or a == b for a, b in zip(shape, expected, strict=True))

"""What the gates of a recurrent layer did at every time step."""

import contextlib
from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops, tree

from rnnkit import backend
from rnnkit.annotations import Mask, Tensor, Tensors
from rnnkit.diagnostics.recurrent_layer import recurrent_layer, replaced_loop
from rnnkit.layers.gru import GRUCell
from rnnkit.layers.lstm import LSTMCell
from rnnkit.layers.recurrent_cell import RecurrentCell


def record_gates(
    layer_or_model: keras.layers.Layer,
    inputs: Tensors,
    mask: Mask = None,
    layer: str | keras.layers.Layer | None = None,
    initial_state: list[Tensor] | None = None,
) -> dict[str, Any]:
    """Records every gate of a recurrent layer at every time step, without training anything again.

    The layer runs as in inference (no dropout); nothing in it changes.

    Args:
        layer_or_model: an `LSTM` or `GRU`, any layer whose cell has `gates`, an already trained `keras.layers.LSTM` or
            `keras.layers.GRU`, or a `Bidirectional` around one; or a model or `Stacked` with such a layer inside.
        inputs: array `(batch, time, features)` for a layer; the inputs of the model for a model.
        mask: boolean array `(batch, time)`, True at unmasked steps; a model with an `Embedding(mask_zero=True)` makes
            its own. Defaults to `None`.
        layer: the recurrent layer inside, or its name, if there are several. One direction of a `Bidirectional` is its
            `forward_layer` or `backward_layer`; the layer of a `Decoder` is its `recurrent`. Defaults to `None`, the
            only one.
        initial_state: list of states, for a layer that does not start from zeros or has a memory. Defaults to `None`.

    Returns:
        Dictionary of arrays `(batch, time, units)`, in the order of the input's time steps: `"i"`, `"f"`,
        `"candidate"`, `"o"`, `"C"` and `"h"` for an LSTM; `"z"`, `"r"`, `"candidate"` and `"h"` for a GRU;
        `"alignment"` and `"context"` for an `AttentionCell`, together with those of the cell inside. At a masked step
        the gates are NaN, as none was computed, and the states are the same as before. For a `Bidirectional`, a
        dictionary of two of these, `"forward"` and `"backward"`.

    Raises:
        ValueError: there is no recurrent layer, or several; the layer is stateful, or does not run exactly once in the
            model; its cell has no gates.

    Example:

    >>> import keras, numpy as np, rnnkit.diagnostics
    >>> model = keras.Sequential([keras.layers.LSTM(8), keras.layers.Dense(1)])
    >>> gates = rnnkit.diagnostics.record_gates(model, np.zeros((2, 5, 3), "float32"))
    >>> sorted(gates), gates["f"].shape
    (['C', 'candidate', 'f', 'h', 'i', 'o'], (2, 5, 8))

    References:
        Karpathy, Johnson and Fei-Fei, "Visualizing and understanding recurrent networks", 2015.
    """
    return for_each_direction(
        record("record_gates", layer_or_model, inputs, mask, layer, initial_state), lambda run: run.in_time(run.gates)
    )


class Record(NamedTuple):
    """What one recurrent layer did, in the order in which it ran; see `record_gates`.

    Attributes:
        cell: the cell, with `gates`.
        gates: dictionary of arrays `(batch, time, units)`.
        mask: boolean array `(batch, time)`.
        backwards: whether the layer ran from the last time step to the first.
    """

    cell: RecurrentCell
    gates: dict[str, np.ndarray]
    mask: np.ndarray
    backwards: bool

    def in_time(self, arrays: Any) -> Any:
        """Returns arrays `(batch, time, ...)` in the order of the input's time steps."""
        return tree.map_structure(lambda array: array[:, ::-1] if self.backwards else array, arrays)


def record(
    caller: str,
    layer_or_model: keras.layers.Layer,
    inputs: Tensors,
    mask: Mask = None,
    layer: str | keras.layers.Layer | None = None,
    initial_state: list[Tensor] | None = None,
) -> Record | dict[str, Record]:
    """Makes a `Record`, or for a `Bidirectional` a dictionary of two; `caller` is the name in error messages."""
    found = recurrent_layer(caller, layer_or_model, layer)
    parts = {"layer": found}
    if isinstance(found, keras.layers.Bidirectional):
        parts = {"forward": found.forward_layer, "backward": found.backward_layer}
    for part in parts.values():
        if getattr(part, "stateful", False):
            raise ValueError(f"Layer {part.name!r} is stateful: {caller} would change its states. Use stateful=False.")
    given = {"mask": mask, "initial_state": initial_state}
    given = {name: value for name, value in given.items() if value is not None}
    if not found.built:
        layer_or_model(inputs, training=False, **given)
    runs = {name: [] for name in parts}
    with contextlib.ExitStack() as stack:
        for name, part in parts.items():
            stack.enter_context(replaced_loop(part, _watched(part, _with_gates(caller, part), runs[name])))
        layer_or_model(inputs, training=False, **given)
    if any(len(times) != 1 for times in runs.values()):
        raise ValueError(
            f"{caller} expected layer {found.name!r} to run once in {layer_or_model.name!r}, but it ran "
            f"{max(map(len, runs.values()))} times: pass the layer itself, with its own inputs."
        )
    records = {name: run for name, (run,) in runs.items()}
    return records.get("layer", records)


def for_each_direction(runs: Record | dict[str, Record], function: Callable[[Record], Any]) -> Any:
    """Applies a function to a `Record`, or to each of the two of a `Bidirectional`."""
    return {name: function(run) for name, run in runs.items()} if isinstance(runs, dict) else function(runs)


def _watched(layer, cell, runs):
    """The layer's own loop, which also appends a `Record` to `runs`: inside the call, in its precision."""
    inner_loop = layer.inner_loop

    def watched(sequences, initial_state, mask, training=False):
        runs.append(_record(cell, sequences, list(initial_state), mask, layer.go_backwards))
        return inner_loop(sequences, initial_state, mask, training=training)

    return watched


def _record(cell, sequences, states, mask, backwards):
    batch, time = sequences.shape[:2]
    mask = ops.ones((batch, time), "bool") if mask is None else ops.cast(mask, "bool")
    if backwards:
        sequences, mask = ops.flip(sequences, axis=1), ops.flip(mask, axis=1)
    projected = cell.project(ops.swapaxes(sequences, 0, 1), training=False)
    steps = ops.swapaxes(mask, 0, 1)[..., None]

    states, constants = cell.prepare(states)

    def step(states, inputs):
        projected, unmasked = inputs
        gates = cell.gates(projected, [*states, *constants])
        _, new_states = cell.step(projected, [*states, *constants], training=False)
        pairs = zip(new_states[: len(states)], states, strict=True)
        states = [ops.where(unmasked, ops.cast(new, old.dtype), old) for new, old in pairs]
        gates = {name: ops.where(unmasked, ops.cast(gate, "float32"), np.nan) for name, gate in gates.items()}
        unchanged = dict(zip(("h", "C"), states, strict=False))  # at a masked step
        return states, {name: ops.cast(unchanged.get(name, gate), "float32") for name, gate in gates.items()}

    _, like = step(states, tree.map_structure(lambda x: x[0], (projected, steps)))
    run = backend.compiled(lambda *arguments: backend.scan(step, *arguments, like)[0], cell.variables)
    gates = run(states, (projected, steps))
    gates = {name: np.swapaxes(ops.convert_to_numpy(gate), 0, 1) for name, gate in gates.items()}
    return Record(cell, gates, ops.convert_to_numpy(mask), backwards)


def _with_gates(caller, layer):
    """The cell of the layer; for one of Keras's, the cell of rnnkit with the same weights."""
    cell = getattr(layer, "cell", None)
    for theirs, ours in ((keras.layers.LSTMCell, LSTMCell), (keras.layers.GRUCell, GRUCell)):
        if type(cell) is theirs:
            return ours.from_keras_cell(cell)
    if not hasattr(cell, "gates"):
        raise ValueError(
            f"{caller} expected a layer whose cell has gates (LSTM, GRU, ...), but {layer.name!r} has {cell!r}: a "
            "custom cell needs a method gates(projected, states) that returns them by name."
        )
    return cell

"""What the gates of a recurrent layer did at every time step."""

import contextlib
from typing import NamedTuple

import keras
import numpy as np
from keras import ops, tree

from rnnkit import backend
from rnnkit.diagnostics.recurrent_layer import recurrent_layer, replaced_loop
from rnnkit.layers.gru import GRUCell
from rnnkit.layers.lstm import LSTMCell
from rnnkit.layers.recurrent_cell import RecurrentCell


def record_gates(layer_or_model, inputs, mask=None, layer=None, initial_state=None):
    """Records every gate of a recurrent layer at every time step, without training anything again.

    The layer runs as in inference (no dropout); nothing in it changes.

    Args:
        layer_or_model: an `LSTM` or `GRU`, any layer whose cell has `gates`, an already trained `keras.layers.LSTM` or
            `keras.layers.GRU`, or a `Bidirectional` around one; or a model or `Stacked` with such a layer inside.
        inputs: array `(batch, time, features)` for a layer; what the model takes for a model.
        mask: boolean array `(batch, time)`, True where a step counts. A model with an `Embedding(mask_zero=True)` makes
            its own.
        layer: the recurrent layer inside, or its name, where there are several. One direction of a `Bidirectional` is
            its `forward_layer` or `backward_layer`; that of a `Decoder` is its `recurrent`.
        initial_state: list of states for a layer that does not begin with zeros, or has a memory.

    Returns:
        Dictionary of arrays `(batch, time, units)`, in the order of the input's time steps: `"i"`, `"f"`,
        `"candidate"`, `"o"`, `"C"` and `"h"` of an LSTM; `"z"`, `"r"`, `"candidate"` and `"h"` of a GRU; of an
        `AttentionCell` `"alignment"` and `"context"`, beside those of the cell inside. At a masked step the gates are
        NaN, as none was computed, and the states are what they were before. For a `Bidirectional`, a dictionary with
        two of these, `"forward"` and `"backward"`.

    Raises:
        ValueError: there is no recurrent layer, or several; the layer is stateful, runs not at all or several times
            in the model; its cell has no gates.

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
    """What one recurrent layer did, in the order in which it ran: see `record_gates`.

    Attributes:
        cell: the cell, with `gates`.
        gates: dictionary of arrays `(batch, time, units)`.
        mask: boolean array `(batch, time)`.
        backwards: whether the layer ran from the last time step to the first.
    """

    cell: RecurrentCell
    gates: dict
    mask: np.ndarray
    backwards: bool

    def in_time(self, arrays):
        """Arrays `(batch, time, ...)` in the order of the input's time steps."""
        return tree.map_structure(lambda array: array[:, ::-1] if self.backwards else array, arrays)


def record(caller, layer_or_model, inputs, mask=None, layer=None, initial_state=None):
    """A `Record`, or for a `Bidirectional` a dictionary of two."""
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
            f"{max(map(len, runs.values()))} times: pass the layer itself, with what it reads."
        )
    runs = {name: run for name, (run,) in runs.items()}
    return runs.get("layer", runs)


def for_each_direction(runs, function):
    """Applies a function to a `Record`, or to each of the two of a `Bidirectional`."""
    return {name: function(run) for name, run in runs.items()} if isinstance(runs, dict) else function(runs)


def _watched(layer, cell, runs):
    """The layer's own loop, which appends to `runs` what the cell does in each: within the call, in its precision."""
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
        projected, counts = inputs
        gates = cell.gates(projected, [*states, *constants])
        _, new_states = cell.step(projected, [*states, *constants], training=False)
        pairs = zip(new_states[: len(states)], states, strict=True)
        states = [ops.where(counts, ops.cast(new, old.dtype), old) for new, old in pairs]
        gates = {name: ops.where(counts, ops.cast(gate, "float32"), np.nan) for name, gate in gates.items()}
        kept = dict(zip(("h", "C"), states, strict=False))  # what a masked step leaves as it is
        return states, {name: ops.cast(kept.get(name, gate), "float32") for name, gate in gates.items()}

    _, like = step(states, tree.map_structure(lambda x: x[0], (projected, steps)))
    run = backend.compiled(lambda *arguments: backend.scan(step, *arguments, like)[0], cell.variables)
    gates = run(states, (projected, steps))
    gates = {name: np.swapaxes(ops.convert_to_numpy(gate), 0, 1) for name, gate in gates.items()}
    return Record(cell, gates, ops.convert_to_numpy(mask), backwards)


def _with_gates(caller, layer):
    """The layer's cell, or rnnkit's in its place with the same weights."""
    cell = getattr(layer, "cell", None)
    for theirs, ours in ((keras.layers.LSTMCell, LSTMCell), (keras.layers.GRUCell, GRUCell)):
        if type(cell) is theirs:
            return ours.from_keras_cell(cell)
    if not hasattr(cell, "gates"):
        raise ValueError(
            f"{caller} expected a layer whose cell has gates (LSTM, GRU, ...), but {layer.name!r} has {cell!r}: a cell "
            "of your own needs a method gates(projected, states) that returns them by name."
        )
    return cell

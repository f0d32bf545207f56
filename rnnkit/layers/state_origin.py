"""Which layer returned a state, and which one of its states that is: what `Bridge` pairs states by.

A symbolic tensor has a history. On a number, the layer notes it, as Keras notes a mask; what is computed from such a
number has no note.
"""

import weakref
from typing import Any, NamedTuple

import keras

from rnnkit.annotations import Tensor


class Origin(NamedTuple):
    """Where a state is from: a layer, one of its calls, and the place of the state among the states of the layer."""

    layer: Any
    call: int
    place: int


def note_origins(states: list[Tensor], layer: Any) -> None:
    """Notes on states which layer returned them. That does not keep the layer alive."""
    for place, state in enumerate(states):
        try:
            state._rnnkit_origin_of_state = weakref.ref(layer), place
        except AttributeError:  # JAX, inside a compiled function
            return


def origin_of_state(state: Tensor) -> Origin | None:
    """Returns where a state is from, or None if that is not known."""
    if isinstance(state, keras.KerasTensor):
        return _origin_by_history(state)
    reference, place = getattr(state, "_rnnkit_origin_of_state", (None, 0))
    layer = None if reference is None else reference()
    return None if layer is None else Origin(layer, 0, place)


def _origin_by_history(state):
    history = getattr(state, "_keras_history", None)
    layer = None if history is None else history.operation
    if isinstance(layer, keras.Model) and hasattr(layer, "outputs"):  # look inside of a functional model
        return _origin_by_history(layer.outputs[history.tensor_index])
    if not isinstance(layer, keras.layers.Layer):
        return None
    outputs = 2 if getattr(layer, "merge_mode", "concat") is None else 1  # a Bidirectional may return two
    return Origin(layer, history.node_index, history.tensor_index - outputs)

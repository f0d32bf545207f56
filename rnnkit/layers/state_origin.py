"""Which layer returned a state: noted on the state itself, as Keras notes a mask, and read by `Bridge`."""

import weakref
from typing import Any

from rnnkit.annotations import Tensor


def attach_layer(states: list[Tensor], layer: Any) -> None:
    """Notes on states which layer returned them. That does not keep the layer alive."""
    for state in states:
        try:
            state._rnnkit_layer = weakref.ref(layer)
        except AttributeError:  # JAX, inside a compiled function: there, symbolic tensors have a history
            return


def layer_of(state: Tensor) -> Any:
    """Returns the layer that returned a state, or None if that is not known."""
    reference = getattr(state, "_rnnkit_layer", None)
    return None if reference is None else reference()

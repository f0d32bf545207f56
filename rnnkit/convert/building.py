"""What all conversions need: checking that a layer is built, and building another one like it."""

import keras
from keras import ops


def build_like(twin: keras.layers.Layer, layer: keras.layers.Layer) -> None:
    """Builds a layer for the inputs of another one."""
    (forward, *_) = directions_of(layer)
    batch = ops.shape(forward.states[0])[0] if forward.stateful else None
    twin.build((batch, None, forward.cell.kernel.shape[0]))


def check_built(layer: keras.layers.Layer) -> None:
    """Raises a `ValueError` if a layer has no weights yet."""
    if not layer.built:
        raise ValueError(f"Layer {layer.name!r} has no weights yet: build it or call it first.")


def directions_of(layer: keras.layers.Layer) -> list[keras.layers.Layer]:
    """Returns the two layers inside a `Bidirectional`, or the layer itself."""
    return [layer.forward_layer, layer.backward_layer] if isinstance(layer, keras.layers.Bidirectional) else [layer]

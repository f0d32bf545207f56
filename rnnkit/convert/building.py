"""What all conversions need: whether a layer has weights, and another built like it."""

import keras
from keras import ops


def build_like(twin, layer):
    (forward, *_) = directions_of(layer)
    batch = ops.shape(forward.states[0])[0] if forward.stateful else None
    twin.build((batch, None, forward.cell.kernel.shape[0]))


def check_built(layer):
    if not layer.built:
        raise ValueError(f"Layer {layer.name!r} has no weights yet: build it or call it first.")


def directions_of(layer):
    return [layer.forward_layer, layer.backward_layer] if isinstance(layer, keras.layers.Bidirectional) else [layer]

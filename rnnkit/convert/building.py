"""What all conversions need: checking that a layer is built, building another one like it, and looking inside."""

from collections.abc import Iterator

import keras
from keras import tree


def build_like(twin: keras.layers.Layer, layer: keras.layers.Layer) -> None:
    """Builds a layer for the inputs of another one."""
    twin.build_from_config(layer.get_build_config())


def check_built(layer: keras.layers.Layer) -> None:
    """Raises a `ValueError` if a layer has no weights yet."""
    if not layer.built:
        raise ValueError(f"Layer {layer.name!r} has no weights yet: build it or call it first.")


def layers_inside(layer: keras.layers.Layer) -> Iterator[keras.layers.Layer]:
    """Yields a layer, and all that it holds in its attributes, in the order of their attributes; each once."""
    found, waiting = set(), [layer]
    while waiting:
        value = waiting.pop(0)
        if id(value) in found:
            continue
        found.add(id(value))
        if isinstance(value, keras.layers.Layer):
            yield value
            waiting = [*vars(value).values(), *waiting]
        elif isinstance(value, list | tuple):
            waiting = [*value, *waiting]
        elif isinstance(value, dict):
            waiting = [*value.values(), *waiting]


def states_of(layer: keras.layers.Layer) -> list:
    """Returns the variables that hold the states of the stateful layers inside a layer."""
    recurrent = [one for one in layers_inside(layer) if isinstance(one, keras.layers.RNN)]
    return [state for one in recurrent if one.stateful and one.states for state in tree.flatten(one.states)]

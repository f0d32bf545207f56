"""The recurrent layers inside layers and models, and their states."""

from collections.abc import Iterable, Iterator
from typing import Any

import keras
from keras import tree

from rnnkit.annotations import Config
from rnnkit.layers.recurrent import reset_rows
from rnnkit.layers.state_shapes import size_of, state_specs


def state_specs_of(layer: Any) -> list:
    """Returns a `keras.InputSpec` for each of a recurrent layer's states, nested as its `initial_state`.

    Raises:
        ValueError: the layer has no states.
    """
    if isinstance(layer, keras.layers.Bidirectional):
        return state_specs_of(layer.forward_layer) + state_specs_of(layer.backward_layer)
    if isinstance(layer, keras.layers.RNN):
        return state_specs(layer.cell)
    if hasattr(layer, "state_specs") and hasattr(layer, "return_sequences"):
        return layer.state_specs
    raise ValueError(
        f"Expected a recurrent layer (keras.layers.RNN, LSTM, GRU, Recurrent, Stacked, ...) or a Bidirectional around "
        f"one, received {layer!r}."
    )


def recurrent_layers(layers: Iterable) -> Iterator:
    """Yields the recurrent layers among `layers`, and inside models, stacks and wrappers there; the lowest first."""
    for layer in layers:
        if isinstance(layer, keras.layers.RNN | keras.layers.Bidirectional):
            yield layer
        elif isinstance(layer, keras.layers.Wrapper):
            yield from recurrent_layers([layer.layer])
        elif isinstance(getattr(layer, "recurrent", None), keras.layers.RNN):  # a Decoder's
            yield layer.recurrent
        elif isinstance(getattr(layer, "layers", None), list):
            yield from recurrent_layers(layer.layers)


def split_states(layer: keras.layers.Layer, initial_state: Any, layers: list) -> list:
    """Divides a list of states, flat or nested, into one list per layer, nested as that layer wants them."""
    states, specs = tree.flatten(initial_state), [state_specs_of(inner) for inner in layers]
    counts = [len(tree.flatten(inner)) for inner in specs]
    if len(states) != sum(counts):
        sizes = [size_of(spec.shape) for spec in tree.flatten(specs)]
        raise ValueError(
            f"Layer {layer.name!r} expected {sum(counts)} initial states of sizes {sizes}, received {len(states)}."
        )
    split = [[states.pop(0) for _ in range(count)] for count in counts]
    return [tree.pack_sequence_as(inner, part) for inner, part in zip(specs, split, strict=True)]


def reset_state_of(layer: keras.layers.Layer, rows: Any) -> None:
    """Sets the states of a layer of rnnkit or Keras to zero: all, or only some rows."""
    if isinstance(layer, keras.layers.RNN):
        reset_rows(layer, rows)
    elif isinstance(layer, keras.layers.Bidirectional):
        reset_state_of(layer.forward_layer, rows)
        reset_state_of(layer.backward_layer, rows)
    elif isinstance(layer, keras.layers.Wrapper):
        reset_state_of(layer.layer, rows)
    else:
        layer.reset_state(rows)


def backward_copy(config: Config) -> Config:
    """Returns the configuration of a layer inside the backward layer of a `Bidirectional`, with its own name.

    On PyTorch, Keras keeps the variables of a loaded model by name: of two with the same name it forgets one.
    """
    name = config["config"]["name"]
    return {**config, "config": {**config["config"], "name": f"backward_{name.removeprefix('backward_')}"}}

"""The recurrent layers inside layers and models, and their states."""

from collections.abc import Iterable, Iterator
from typing import Any

import keras
from keras import tree

from rnnkit.annotations import Config
from rnnkit.layers.recurrent import reset_rows
from rnnkit.layers.recurrent_cell import plain


def state_size_of(layer: Any) -> list:
    """Returns the sizes of a recurrent layer's states, nested as its `initial_state`; a `ValueError` if it has none."""
    if isinstance(layer, keras.layers.Bidirectional):
        return plain(layer.forward_layer.state_size) + plain(layer.backward_layer.state_size)
    if isinstance(layer, keras.layers.Layer) and hasattr(layer, "state_size") and hasattr(layer, "return_sequences"):
        return plain(layer.state_size)
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
    states, sizes = tree.flatten(initial_state), [state_size_of(inner) for inner in layers]
    counts = [len(tree.flatten(size)) for size in sizes]
    if len(states) != sum(counts):
        raise ValueError(
            f"Layer {layer.name!r} expected {sum(counts)} initial states of sizes {tree.flatten(sizes)}, "
            f"received {len(states)}."
        )
    split = [[states.pop(0) for _ in range(count)] for count in counts]
    return [tree.pack_sequence_as(size, part) for size, part in zip(sizes, split, strict=True)]


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

"""The states of a recurrent layer by layer and direction, in the order in which it returns them."""

from typing import Any, NamedTuple

import keras
from keras import tree

from rnnkit.layers.attention_cell import AttentionCell
from rnnkit.layers.state_origin import Origin, origin_of_state
from rnnkit.layers.state_shapes import size_of, state_specs


class State(NamedTuple):
    """A state of a layer: its name in the equations, its size, and where it is among all states, once per direction."""

    kind: str
    size: Any
    places: tuple[int, ...]


def states_of(layer: Any) -> list[list[State]]:
    """Returns the states of each layer inside of a layer, cell or functional model, or of a list, the lowest first.

    Raises:
        ValueError: there is no recurrent layer, or the directions of one differ in their states.
    """
    return _states_of(layer, 0)


def states_behind(origins: list[Origin]) -> list[list[State]] | None:
    """Returns the states of the layers that states are from, in any order; None if these are not all of them."""
    places = {}
    for index, (layer, call, place) in enumerate(origins):
        places.setdefault((id(layer), call), (layer, {}))[1].setdefault(place, index)
    found = []
    for layer, indices in places.values():
        if len(places) > 1 and getattr(layer, "go_backwards", False):
            return None  # it may be one of two directions, or a layer of its own
        try:
            states = _states_of(layer, 0)
        except ValueError:
            return None
        if set(indices) != {place for inner in states for state in inner for place in state.places}:
            return None
        found += [[s._replace(places=tuple(indices[p] for p in s.places)) for s in inner] for inner in states]
    count = sum(len(state.places) for inner in found for state in inner)
    return found if found and count == len(origins) else None


def kinds(layers: list[list[State]]) -> list[list[str]]:
    """Returns the names of the states of each layer."""
    return [[state.kind for state in layer] for layer in layers]


def places_by_direction(layers: list[list[State]]) -> list[tuple[int, ...]]:
    """Returns the places of the states of each layer and direction, the lowest first and forward before backward."""
    return [group for layer in layers for group in zip(*(state.places for state in layer), strict=True)]


def in_words(layers: list[list[State]]) -> str:
    """Returns how many layers these are, and the states of each, for a message."""
    named = [" and ".join(state.kind for state in layer) for layer in layers]
    return f"{len(layers)} {'layer' if len(layers) == 1 else 'layers'} ({', '.join(named)})"


def _states_of(layer, first):
    if isinstance(layer, list | tuple):
        found = []
        for inner in layer:
            found += _states_of(inner, first + sum(len(state.places) for states in found for state in states))
        return found
    if isinstance(layer, keras.layers.Bidirectional):
        return _states_of_two_directions(layer, first)
    if isinstance(layer, keras.Model):
        return _states_of_model(layer, first)
    for attribute in ("cells", "layers"):  # a stack of cells, a Stacked
        if isinstance(getattr(layer, attribute, None), list | tuple):
            return _states_of(getattr(layer, attribute), first)
    if isinstance(layer, keras.layers.RNN | AttentionCell):
        return _states_of(layer.cell, first)
    for attribute in ("recurrent", "layer"):  # a Decoder, a wrapper
        if hasattr(layer, attribute):
            return _states_of(getattr(layer, attribute), first)
    if not hasattr(layer, "state_size"):
        raise ValueError(
            "expected a recurrent layer (LSTM, GRU, Bidirectional, Stacked, ...), a cell, a functional model that "
            f"returns their states, or a list of them, received {layer!r}."
        )
    specs = tree.flatten(state_specs(layer))
    names = {1: ["h"]}.get(len(specs), [f"state {number}" for number in range(len(specs))])
    if len(specs) == 2 and _is_lstm(layer):
        names = ["h", "C"]
    sizes = [size_of(spec.shape) for spec in specs]
    return [[State(name, size, (first + i,)) for i, (name, size) in enumerate(zip(names, sizes, strict=True))]]


def _states_of_two_directions(layer, first):
    forward = _states_of(layer.forward_layer, first)
    backward = _states_of(layer.backward_layer, first + sum(map(len, forward)))
    if kinds(forward) != kinds(backward):
        raise ValueError(
            f"expected both directions of {layer.name!r} to have the same states, received {in_words(forward)} "
            f"forward and {in_words(backward)} backward."
        )
    return [
        [a._replace(size=(a.size, b.size), places=(*a.places, *b.places)) for a, b in zip(*pair, strict=True)]
        for pair in zip(forward, backward, strict=True)
    ]


def _states_of_model(model, first):
    """The states among a functional model's outputs, in the order of these."""
    origins = [origin_of_state(output) for output in getattr(model, "outputs", None) or []]
    found = states_behind([origin for origin in origins if origin is not None and origin.place >= 0])
    if found is None:
        raise ValueError(
            f"expected a functional model that returns all last states of its recurrent layers, received {model.name!r}"
            ", whose outputs are others. Pass the recurrent layers themselves, the lowest first."
        )
    return [[state._replace(places=tuple(first + p for p in state.places)) for state in layer] for layer in found]


def _is_lstm(cell):
    while hasattr(cell, "cell"):  # a wrapper
        cell = cell.cell
    return any("LSTM" in base.__name__ for base in type(cell).__mro__)

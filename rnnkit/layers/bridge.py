"""From an encoder's last states to a decoder's first ones."""

from typing import Any, NamedTuple

import keras
from keras import ops, tree

from rnnkit.annotations import Activation, Config, Tensor
from rnnkit.arguments import check_positive_integer
from rnnkit.layers.attention_cell import AttentionCell
from rnnkit.layers.state_origin import layer_of
from rnnkit.layers.state_shapes import size_of, state_specs


@keras.saving.register_keras_serializable(package="rnnkit")
class Bridge(keras.layers.Layer):
    """Makes the first states of a decoder from the last states of an encoder.

    For each layer of the encoder, and each state of its cell, state k of the decoder is f(W_k s_k + b_k), with weights
    of its own: s_k is the state, or [forward; backward] where the layer has two directions. So h comes from h, and C
    from C, layer by layer, and the decoder may have other widths than the encoder.

    The layer has to know which states it gets. It sees that where they are symbolic, or come right from layers of
    rnnkit. Pass `encoder` where they come from elsewhere; without, they count as those of one `Bidirectional`.

    Args:
        units: size of each of the decoder's states, an integer or one for each state; or the decoder's layer or cell,
            or a list of them, which says what it needs.
        activation: f; tanh keeps h in the range that it has in an LSTM or GRU. Defaults to `"tanh"`.
        encoder: the recurrent layer whose states come in, a `Bidirectional` or a `Stacked`, or a list of layers, the
            lowest first. Defaults to `None`.
        **kwargs: `name`, `dtype`, `trainable`.

    Call arguments:
        states: list of the encoder's last states, each `(batch, features)`, as its layers return them.

    Returns:
        List of tensors `(batch, units)`.

    Raises:
        ValueError: units are not positive integers; the encoder has other states than those that come in, or its layers
            or the kinds of their states are not those of the decoder.

    Example:

    >>> import numpy as np, rnnkit.layers
    >>> encoder = rnnkit.layers.Bidirectional(rnnkit.layers.LSTM(8, return_sequences=True, return_state=True))
    >>> memory, *states = encoder(np.zeros((2, 5, 3), "float32"))
    >>> h, C = rnnkit.layers.Bridge(6)(states)
    >>> tuple(h.shape), tuple(C.shape)
    ((2, 6), (2, 6))

    References:
        Bahdanau, Cho and Bengio, "Neural machine translation by jointly learning to align and translate", 2015,
        appendix A.2.2 (which takes the backward state alone).
    """

    def __init__(self, units: Any, activation: Activation = "tanh", encoder: Any = None, **kwargs: Any):
        sources = kwargs.pop("sources", None)  # of a configuration
        super().__init__(**kwargs)
        self._wanted = None
        if isinstance(units, int | list | tuple) and all(isinstance(x, int) for x in tree.flatten(units)):
            sizes = units if isinstance(units, list | tuple) else [units]
            sizes = [check_positive_integer("Bridge", "units", size) for size in sizes]
            self.units = sizes if isinstance(units, list | tuple) else sizes[0]
        elif isinstance(units, keras.layers.Layer | list | tuple):
            self._wanted = _states_of(units)
            self.units = [state.size for layer in self._wanted for state in layer]
        else:
            check_positive_integer("Bridge", "units", units)
        self.activation = keras.activations.get(activation)
        self.sources = sources
        if encoder is not None:
            self._set_sources(_states_of(encoder))

    def __call__(self, states: Any, *args: Any, **kwargs: Any) -> list[Tensor]:
        if self.sources is None and not self.built:
            layers = _layers_behind(tree.flatten(states))
            if layers is not None:
                self._set_sources(layers)
        return super().__call__(states, *args, **kwargs)

    def build(self, states_shape: Any) -> None:
        shapes = states_shape if tree.is_nested(states_shape[0]) else [states_shape]  # one tensor is one state
        groups = self._groups([tuple(shape) for shape in shapes])
        units = self.units if isinstance(self.units, list) else [self.units] * len(groups)
        if len(units) != len(groups):
            raise ValueError(
                f"Bridge expected states for {len(units)} states of the decoder, received {len(shapes)}, which make "
                f"{len(groups)}."
            )
        self.kernels, self.biases = [], []
        for index, (group, size) in enumerate(zip(groups, units, strict=True)):
            self.kernels.append(self.add_weight((sum(shape[-1] for shape in group), size), name=f"kernel_{index}"))
            self.biases.append(self.add_weight((size,), initializer="zeros", name=f"bias_{index}"))

    def call(self, states: list[Tensor]) -> list[Tensor]:
        groups = [ops.concatenate(group, axis=-1) for group in self._groups(tree.flatten(states))]
        sums = [ops.matmul(group, W) + b for group, W, b in zip(groups, self.kernels, self.biases, strict=True)]
        return [self.activation(total) for total in sums]

    def get_config(self) -> Config:
        activation = keras.activations.serialize(self.activation)
        config = {**super().get_config(), "units": self.units, "activation": activation}
        return config if self.sources is None else {**config, "sources": self.sources}

    def _set_sources(self, layers):
        """Notes which states make which state of the decoder, if the decoder has such layers."""
        if self._wanted is not None and _kinds(layers) != _kinds(self._wanted):
            raise ValueError(
                "Bridge expected an encoder with the states of its decoder, layer by layer: "
                f"{_in_words(self._wanted)}. Received one with {_in_words(layers)}."
            )
        self.sources = [list(state.places) for layer in layers for state in layer]

    def _groups(self, states):
        """The states that make each state of the decoder."""
        if self.sources is not None:
            expected = sum(map(len, self.sources))
            if len(states) != expected:
                raise ValueError(f"Bridge expected the {expected} states of its encoder, received {len(states)}.")
            return [[states[place] for place in places] for places in self.sources]
        half = len(states) // 2
        if not states or len(states) % 2:
            raise ValueError(
                f"Bridge expected the states of a forward and of a backward layer, as many of each, received "
                f"{len(states)}: take those of encoder = Bidirectional(LSTM(units, return_state=True)), or pass "
                "Bridge(units, encoder=encoder)."
            )
        if self._wanted is not None and len(self._wanted) > 1:
            raise ValueError(
                f"Bridge expected to know the layers of its encoder, as its decoder has {len(self._wanted)}: pass "
                "encoder=encoder."
            )
        return list(zip(states[:half], states[half:], strict=True))


class _State(NamedTuple):
    """A state of a layer: its name in the equations, its size, and where it is among all states, once per direction."""

    kind: str
    size: Any
    places: tuple[int, ...]


def _states_of(layer, first=0):
    """For each layer inside of a layer or cell, or of a list of them, the lowest first, a list of `_State`."""
    if isinstance(layer, list | tuple):
        found = []
        for inner in layer:
            found += _states_of(inner, first + sum(len(state.places) for states in found for state in states))
        return found
    if isinstance(layer, keras.layers.Bidirectional):
        forward = _states_of(layer.forward_layer, first)
        backward = _states_of(layer.backward_layer, first + sum(map(len, forward)))
        if _kinds(forward) != _kinds(backward):
            raise ValueError(
                f"Bridge expected both directions of {layer.name!r} to have the same states, received "
                f"{_in_words(forward)} forward and {_in_words(backward)} backward."
            )
        return [
            [a._replace(places=(*a.places, *b.places)) for a, b in zip(*pair, strict=True)]
            for pair in zip(forward, backward, strict=True)
        ]
    if isinstance(layer, keras.layers.RNN):
        return _states_of(layer.cell, first)
    if isinstance(layer, keras.layers.StackedRNNCells):
        return _states_of(layer.cells, first)
    if isinstance(layer, AttentionCell):
        return _states_of(layer.cell, first)
    if isinstance(getattr(layer, "layers", None), list):  # a Stacked
        return _states_of(layer.layers, first)
    for attribute in ("recurrent", "layer"):  # a Decoder, a wrapper
        if hasattr(layer, attribute):
            return _states_of(getattr(layer, attribute), first)
    if not hasattr(layer, "state_size"):
        raise ValueError(
            "Bridge expected a recurrent layer (LSTM, GRU, Bidirectional, Stacked, ...), a cell, or a list of them, "
            f"received {layer!r}."
        )
    specs = tree.flatten(state_specs(layer))
    kinds = {1: ["h"]}.get(len(specs), [f"state {number}" for number in range(len(specs))])
    if len(specs) == 2 and _is_lstm(layer):
        kinds = ["h", "C"]
    return [
        [
            _State(kind, size_of(spec.shape), (first + i,))
            for i, (kind, spec) in enumerate(zip(kinds, specs, strict=True))
        ]
    ]


def _is_lstm(cell):
    while hasattr(cell, "cell"):  # a wrapper
        cell = cell.cell
    return any("LSTM" in base.__name__ for base in type(cell).__mro__)


def _kinds(layers):
    return [[state.kind for state in layer] for layer in layers]


def _in_words(layers):
    named = [f"{' and '.join(state.kind for state in layer)}" for layer in layers]
    return f"{len(layers)} {'layer' if len(layers) == 1 else 'layers'} ({', '.join(named)})"


def _layers_behind(states):
    """The states of the layers that returned `states`, if those can be seen; otherwise None."""
    owners = [_owner_of(state) for state in states]
    layers = [owner for i, owner in enumerate(owners) if owner is not None and (i == 0 or owner is not owners[i - 1])]
    if not layers or None in owners or any(getattr(layer, "go_backwards", False) for layer in layers):
        return None  # a layer that runs backward is one of two directions, as far as one can see
    try:
        found = _states_of(layers)
    except ValueError:
        return None
    return found if sum(len(state.places) for layer in found for state in layer) == len(states) else None


def _owner_of(state):
    if isinstance(state, keras.KerasTensor):
        history = getattr(state, "_keras_history", None)
        owner = None if history is None else history.operation
        return owner if isinstance(owner, keras.layers.Layer) else None
    return layer_of(state)

"""From an encoder's last states to a decoder's first ones."""

from typing import Any

import keras
from keras import ops, tree

from rnnkit.annotations import Activation, Config, Tensor
from rnnkit.arguments import check_positive_integer
from rnnkit.layers.state_layout import State, in_words, kinds, states_behind, states_of
from rnnkit.layers.state_origin import origin_of_state


@keras.saving.register_keras_serializable(package="rnnkit")
class Bridge(keras.layers.Layer):
    """Makes the first states of a decoder from the last states of an encoder.

    For each layer of the encoder, and each state of its cell, state k of the decoder is f(W_k s_k + b_k), with weights
    of its own: s_k is the state, or [forward; backward] where the layer has two directions. So h comes from h, and C
    from C, layer by layer, and the decoder may have other widths than the encoder.

    The layer has to know which states it gets. It sees that where they come right from layers, in any order: from any
    recurrent layer where they are symbolic, from rnnkit's where they are numbers. Pass `encoder` where they come from
    elsewhere, such as an array, a Dropout, a `keras.layers.LSTM` called on numbers, or a compiled function on JAX.

    Args:
        units: size of each of the decoder's states, an integer or one for each state; or the decoder's layer or cell,
            or a list of them, which says what it needs.
        activation: f; tanh keeps h in the range that it has in an LSTM or GRU. Defaults to `"tanh"`.
        encoder: the recurrent layer whose states come in, such as a `Bidirectional` or a `Stacked`, a list of layers,
            the lowest first, or a functional model that returns the states. The states come in the order in which it
            returns them. Defaults to `None`.
        **kwargs: `name`, `dtype`, `trainable`.

    Call arguments:
        states: list of the encoder's last states, each `(batch, features)`; nested states are taken one by one.

    Returns:
        List of tensors `(batch, units)`.

    Raises:
        ValueError: units are not positive integers; it cannot be seen which layers the states are from; the encoder has
            other states than those that come in, or its layers or the kinds of their states are not those of the
            decoder.

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
        self._wanted = self._encoder = None
        if isinstance(units, int | list | tuple) and all(isinstance(x, int) for x in tree.flatten(units)):
            sizes = units if isinstance(units, list | tuple) else [units]
            sizes = [check_positive_integer("Bridge", "units", size) for size in sizes]
            self.units = sizes if isinstance(units, list | tuple) else sizes[0]
        elif isinstance(units, keras.layers.Layer | list | tuple):
            self._wanted = _states("units", units)
            self.units = [state.size for layer in self._wanted for state in layer]
            if not all(isinstance(size, int) for size in self.units):
                raise ValueError(
                    "Bridge expected a decoder of one direction whose states are vectors, received "
                    f"{in_words(self._wanted)} with states of the sizes {self.units}."
                )
        else:
            check_positive_integer("Bridge", "units", units)
        self.activation = keras.activations.get(activation)
        self.sources = sources
        if encoder is not None:
            self._encoder = _states("encoder", encoder)
            self._check_kinds(self._encoder)
            self.sources = _places(self._encoder)

    def __call__(self, states: Any, *args: Any, **kwargs: Any) -> list[Tensor]:
        origins = [origin_of_state(state) for state in tree.flatten(states)]
        known = [origin for origin in origins if origin is not None]
        seen = states_behind(known) if len(known) == len(origins) else None
        if seen is not None:
            self._take_order(seen)
        return super().__call__(states, *args, **kwargs)

    def build(self, states_shape: Any) -> None:
        shapes = _shapes_in(states_shape)
        if self.sources is None:
            self.sources = self._without_encoder(len(shapes))
        if len(shapes) != sum(map(len, self.sources)):
            raise ValueError(
                f"Bridge expected the {sum(map(len, self.sources))} states of its encoder, received {len(shapes)}."
            )
        for shape in shapes:
            if len(shape) != 2 or shape[-1] is None:
                raise ValueError(
                    "Bridge expected states of shape (batch, features), with a known number of features, received one "
                    f"of shape {shape}."
                )
        self._widths = [shape[-1] for shape in shapes]
        self._check_sizes()
        units = self.units if isinstance(self.units, list) else [self.units] * len(self.sources)
        if len(units) != len(self.sources):
            raise ValueError(
                f"Bridge expected states for {len(units)} states of the decoder, received {len(shapes)}, which make "
                f"{len(self.sources)}."
            )
        self.kernels, self.biases = [], []
        for index, (places, size) in enumerate(zip(self.sources, units, strict=True)):
            width = sum(self._widths[place] for place in places)
            self.kernels.append(self.add_weight((width, size), name=f"kernel_{index}"))
            self.biases.append(self.add_weight((size,), initializer="zeros", name=f"bias_{index}"))

    def call(self, states: list[Tensor]) -> list[Tensor]:
        states = tree.flatten(states)
        widths = [state.shape[-1] for state in states]
        if widths != self._widths:
            raise ValueError(f"Bridge expected states of {self._widths} features, received {widths}.")
        groups = [ops.concatenate([states[place] for place in places], axis=-1) for places in self.sources]
        sums = [ops.matmul(group, W) + b for group, W, b in zip(groups, self.kernels, self.biases, strict=True)]
        return [self.activation(total) for total in sums]

    def get_config(self) -> Config:
        activation = keras.activations.serialize(self.activation)
        config = {**super().get_config(), "units": self.units, "activation": activation}
        return config if self.sources is None else {**config, "sources": self.sources}

    def _take_order(self, seen):
        """Takes the order in which the states come from those that were seen, or refuses another one than before."""
        if self.built:
            if _places(seen) != [list(places) for places in self.sources]:
                raise ValueError(
                    f"Bridge expected the states in the order of its first call, which makes its decoder's states from "
                    f"those at {self.sources}; received them in an order that makes these from {_places(seen)}."
                )
            return
        self._check_kinds(seen)
        if self._encoder is not None and kinds(seen) != kinds(self._encoder):
            raise ValueError(
                f"Bridge expected the states of its encoder: {in_words(self._encoder)}. Received those of another one: "
                f"{in_words(seen)}."
            )
        self._encoder, self.sources = seen, _places(seen)

    def _check_kinds(self, encoder):
        if self._wanted is not None and kinds(encoder) != kinds(self._wanted):
            raise ValueError(
                "Bridge expected an encoder with the states of its decoder, layer by layer: "
                f"{in_words(self._wanted)}. Received one with {in_words(encoder)}."
            )

    def _check_sizes(self):
        """Compares the widths of the states with the encoder's."""
        for state in (state for layer in self._encoder or [] for state in layer):
            sizes = state.size if len(state.places) > 1 else [state.size]
            for place, size in zip(state.places, sizes, strict=True):
                if isinstance(size, int) and size != self._widths[place]:
                    raise ValueError(
                        f"Bridge expected state {place} of its encoder, which is {state.kind}, to have {size} features,"
                        f" received {self._widths[place]}: pass the states in the order in which the encoder returns "
                        "them."
                    )

    def _without_encoder(self, count):
        """The sources where nothing is known of the layers: clear only if there is a single state."""
        if count == 1:
            return [[0]]
        raise ValueError(
            f"Bridge expected to know which layers its {count} states are from, to pair h with h and C with C, received"
            " states that do not say it. Pass Bridge(units, encoder=encoder), with the recurrent layer that returned "
            "them: LSTM(...), Bidirectional(...), Stacked([...]), or a list of layers, the lowest first."
        )


def _places(layers: list[list[State]]) -> list[list[int]]:
    return [list(state.places) for layer in layers for state in layer]


def _shapes_in(nested):
    """The shapes in a nested structure of shapes, one after the other."""
    if all(size is None or isinstance(size, int) for size in nested):
        return [tuple(nested)]
    return [shape for inner in nested for shape in _shapes_in(inner)]


def _states(argument, layers):
    try:
        return states_of(layers)
    except ValueError as error:
        raise ValueError(f"Bridge, {argument}: {error}") from None

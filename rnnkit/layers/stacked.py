"""Recurrent layers on top of each other."""

import keras
from keras import ops, tree

from rnnkit.layers.states import state_size_of


@keras.saving.register_keras_serializable(package="rnnkit")
class Stacked(keras.layers.Layer):
    """Recurrent layers on top of each other, each reading the outputs of the one below, with the states of all.

    The mask reaches every layer, whatever the version of Keras. With rnnkit's layers inside, the result is the same
    whether the sequence is padded left, right or not at all.

    Args:
        layers: list of recurrent layers from the lowest to the highest: of rnnkit, of Keras, or `Bidirectional`. The
            stack sets their `return_sequences` and `return_state`.
        residual: whether the input of each layer but the lowest is added to its output; they must be equally wide.
        return_sequences: whether to return the output of every step instead of the last one.
        return_state: whether to return the last states of all layers, too.
        go_backwards: whether to run from the last step to the first; the outputs come in the order of the run.
        zero_output_for_mask: whether the output of a masked step is zeros instead of the one before.
        **kwargs: `name`, `dtype` (default: that of the lowest layer), `trainable`.

    Call arguments:
        sequences: tensor `(batch, time, features)`.
        initial_state: list of the states of all layers, lowest first, as they are returned; zeros if left out.
        mask: boolean tensor `(batch, time)`, True where a step counts.
        training: whether this is a training run.

    Returns:
        `(batch, time, features)` with `return_sequences`, else `(batch, features)`, of the highest layer; with
        `return_state` followed by the states of all layers, lowest first: h and C of the lowest LSTM, then of the next.

    Raises:
        ValueError: there is no layer, or one that is not recurrent or runs backwards; a residual between different
            widths; sequences, states or mask have the wrong shape.

    Example:

    >>> import numpy as np, rnnkit.layers
    >>> stack = rnnkit.layers.Stacked([rnnkit.layers.LSTM(8), rnnkit.layers.GRU(8)], residual=True, return_state=True)
    >>> outputs, h_1, C_1, h_2 = stack(np.zeros((2, 5, 3), "float32"))
    >>> tuple(outputs.shape), tuple(h_2.shape)
    ((2, 8), (2, 8))

    References:
        Graves, Mohamed and Hinton, "Speech recognition with deep recurrent neural networks", 2013; Khanzhina,
        "Recurrent neural networks" (deck).
    """

    def __init__(
        self,
        layers,
        residual=False,
        return_sequences=False,
        return_state=False,
        go_backwards=False,
        zero_output_for_mask=False,
        **kwargs,
    ):
        layers = list(layers) if isinstance(layers, list | tuple) else [layers]
        _check_layers(layers)
        if residual and not return_sequences and isinstance(layers[-1], keras.layers.Bidirectional):
            raise ValueError(
                "Stacked(residual=True) with a Bidirectional on top needs return_sequences=True: the last outputs of "
                "its two directions belong to different steps, so there is no one input to add."
            )
        super().__init__(**{"dtype": layers[0].dtype_policy, **kwargs})
        self.layers = layers
        self.residual = residual
        self.return_sequences = return_sequences
        self.return_state = return_state
        self.go_backwards = go_backwards
        self.zero_output_for_mask = zero_output_for_mask
        self.supports_masking = True
        for layer in layers[:-1]:
            _returns(layer, sequences=True)
        _returns(layers[-1], sequences=self.return_sequences or residual)

    def build(self, sequences_shape):
        shape = tuple(sequences_shape)
        for index, layer in enumerate(self.layers):
            if not layer.built:
                layer.build(shape)
            output = tuple(layer.compute_output_shape(shape)[0])
            if self.residual and index > 0 and output[-1] != shape[-1]:
                raise ValueError(
                    f"Stacked(residual=True) adds the input of layer {index} to its output, but the input has "
                    f"{shape[-1]} features and the output of {layer.name!r} has {output[-1]}: make them equal."
                )
            shape = output

    def call(self, sequences, initial_state=None, mask=None, training=False):
        given = [None] * len(self.layers) if initial_state is None else self._split(initial_state)
        mask = None if mask is None else ops.convert_to_tensor(mask, dtype="bool")
        if self.go_backwards:
            sequences, mask = ops.flip(sequences, axis=1), None if mask is None else ops.flip(mask, axis=1)
        last_states = []
        for index, (layer, states) in enumerate(zip(self.layers, given, strict=True)):
            outputs, *states = layer(sequences, initial_state=states, mask=mask, training=training)
            # At a masked step both are what they were at the step before, and so is their sum.
            sequences = outputs + sequences if self.residual and index > 0 else outputs
            last_states += states
        outputs = sequences
        if self.return_sequences and mask is not None and self.zero_output_for_mask:
            outputs = ops.where(mask[..., None], outputs, ops.zeros_like(outputs))
        elif not self.return_sequences and self.residual:
            outputs = outputs[:, -1]
        return (outputs, *last_states) if self.return_state else outputs

    def compute_output_shape(self, sequences_shape, initial_state_shape=None):
        shape, states = tuple(sequences_shape), []
        for layer in self.layers:
            shape, *last = layer.compute_output_shape(shape)
            states += last
        shape = shape if self.return_sequences else (shape[0], shape[-1])
        return (shape, *states) if self.return_state else shape

    def compute_mask(self, sequences, mask=None):
        mask = tree.flatten(mask)[0] if self.return_sequences else None
        return [mask] + [None] * len(tree.flatten(self.state_size)) if self.return_state else mask

    @property
    def state_size(self):
        """Features of each state, lowest layer first, as flat as `initial_state`."""
        return [size for layer in self.layers for size in tree.flatten(state_size_of(layer))]

    @property
    def stateful(self):
        return any(layer.stateful for layer in self.layers)

    def reset_state(self, rows=None):
        """Sets the states of stateful layers to zero: all, or only some rows; see `Recurrent.reset_state`."""
        for layer in self.layers:
            if layer.stateful:
                layer.reset_state() if rows is None else layer.reset_state(rows)

    def get_config(self):
        return {
            **super().get_config(),
            "layers": [keras.saving.serialize_keras_object(layer) for layer in self.layers],
            "residual": self.residual,
            "return_sequences": self.return_sequences,
            "return_state": self.return_state,
            "go_backwards": self.go_backwards,
            "zero_output_for_mask": self.zero_output_for_mask,
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        layers = [
            keras.saving.deserialize_keras_object(layer, custom_objects=custom_objects) for layer in config["layers"]
        ]
        return cls(**{**config, "layers": layers})

    def _split(self, initial_state):
        """The states of each layer."""
        states = tree.flatten(initial_state)
        counts = [len(tree.flatten(state_size_of(layer))) for layer in self.layers]
        if len(states) != sum(counts):
            raise ValueError(
                f"Layer {self.name!r} expected {sum(counts)} initial states of sizes {self.state_size}, lowest layer "
                f"first, received {len(states)}."
            )
        return [[states.pop(0) for _ in range(count)] for count in counts]


def _check_layers(layers):
    if not layers:
        raise ValueError("Stacked expected a list of one or more recurrent layers, received an empty one.")
    for layer in layers:
        state_size_of(layer)  # refuses what has no states
        if getattr(layer, "go_backwards", False):
            raise ValueError(
                f"Layer {layer.name!r} in the stack has go_backwards=True: the layer above would read its outputs in "
                "reverse. Give go_backwards=True to Stacked, or put the layer into a Bidirectional."
            )


def _returns(layer, sequences):
    """Makes a layer return its states, and its outputs of all steps or only of the last."""
    while isinstance(layer, keras.layers.Wrapper) and not isinstance(layer, keras.layers.Bidirectional):
        layer = layer.layer  # LearnedInitialState
    parts = [layer]
    if isinstance(layer, keras.layers.Bidirectional):
        parts += [layer.forward_layer, layer.backward_layer]
        for part in parts[1:]:
            part.zero_output_for_mask = sequences
    for part in parts:
        part.return_sequences, part.return_state = sequences, True

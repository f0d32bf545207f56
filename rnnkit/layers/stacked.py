"""Recurrent layers on top of each other."""

from typing import Any

import keras
from keras import ops, tree

from rnnkit.annotations import Config, Mask, Shape, Tensor, Tensors
from rnnkit.layers.nested_layers import backward_copy, recurrent_layers, reset_state_of, split_states, state_specs_of
from rnnkit.layers.plain_loop import PlainLoopOfAll
from rnnkit.layers.ragged import padded
from rnnkit.layers.state_origin import note_origins
from rnnkit.layers.state_shapes import size_of
from rnnkit.layers.states_in_files import hold_states_of_keras
from rnnkit.ops.masking import without_padding


@keras.saving.register_keras_serializable(package="rnnkit")
class Stacked(PlainLoopOfAll, keras.layers.Layer):
    """Stacks recurrent layers: each one reads the outputs of the layer below, and the states of all are returned.

    The mask reaches every layer, whatever the version of Keras. With rnnkit's layers inside, the result is the same
    whether the sequence is padded on the left, on the right or not at all.

    Args:
        layers: list of recurrent layers from the lowest to the highest: of rnnkit, of Keras, or `Bidirectional`. The
            stack sets their `return_sequences` and `return_state`.
        residual: whether the input of each layer except the lowest is added to its output; both must have the same
            width. Defaults to `False`.
        return_sequences: whether to return the output of every step instead of the last one. Defaults to `False`.
        return_state: whether to return the last states of all layers, too. Defaults to `False`.
        go_backwards: whether to run from the last step to the first; the outputs come in the order of the run.
            Defaults to `False`.
        zero_output_for_mask: whether the output of a masked step is zeros instead of the output before it; with a
            `Bidirectional` in the stack it always is. Defaults to `False`.
        **kwargs: `name`, `dtype` (by default, that of the lowest layer), `trainable`.

    Call arguments:
        sequences: tensor `(batch, time, input_features)`.
        initial_state: list of the states of all layers, lowest first, in the order in which they are returned; zeros if
            left out.
        mask: boolean tensor `(batch, time)`, True at unmasked steps.
        training: whether this is a training run. Defaults to `False`.

    Returns:
        The output of the highest layer: `(batch, time, features)` with `return_sequences`, else `(batch, features)`.
        With `return_state`, followed by the states of all layers, lowest first: h and C of the lowest LSTM, then those
        of the next.

    Raises:
        ValueError: there is no layer, or one that is not recurrent, runs backward or is listed twice; a residual
            connects different widths; sequences, states or mask have the wrong shape.

    Example:

    >>> import numpy as np, rnnkit.layers
    >>> stack = rnnkit.layers.Stacked([rnnkit.layers.LSTM(8), rnnkit.layers.GRU(8)], residual=True, return_state=True)
    >>> outputs, h_1, C_1, h_2 = stack(np.zeros((2, 5, 3), "float32"))
    >>> tuple(outputs.shape), tuple(h_2.shape)
    ((2, 8), (2, 8))

    References:
        Graves, Mohamed and Hinton, "Speech recognition with deep recurrent neural networks", 2013; Khanzhina,
        "Recurrent neural networks", lecture, 2019.
    """

    def __init__(
        self,
        layers: list[keras.layers.Layer],
        residual: bool = False,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        zero_output_for_mask: bool = False,
        **kwargs: Any,
    ):
        layers = list(layers) if isinstance(layers, list | tuple) else [layers]
        _check_layers(layers)
        if kwargs.get("dtype") is None:
            kwargs["dtype"] = layers[0].dtype_policy
        super().__init__(**kwargs)
        self.layers = layers
        self.residual = residual
        self.return_sequences = return_sequences
        self.return_state = return_state
        self.go_backwards = go_backwards
        self.zero_output_for_mask = zero_output_for_mask
        self.supports_masking = True
        _set_returns(self, return_sequences, return_state)

    def build(self, sequences_shape: Shape) -> None:
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
        self.state_variables = hold_states_of_keras(self.layers)

    def call(self, sequences: Tensor, initial_state: Any = None, mask: Mask = None, training: bool = False) -> Tensors:
        given = [None] * len(self.layers) if initial_state is None else split_states(self, initial_state, self.layers)
        sequences, mask = padded(sequences, mask)
        mask = None if mask is None else ops.convert_to_tensor(mask, dtype="bool")
        if self.go_backwards:
            sequences, mask = ops.flip(sequences, axis=1), None if mask is None else ops.flip(mask, axis=1)
        last_states = []
        for index, (layer, states) in enumerate(zip(self.layers, given, strict=True)):
            outputs, *states = layer(sequences, initial_state=states, mask=mask, training=training)
            sequences = ops.add(outputs, sequences) if self.residual and index > 0 else outputs
            last_states += tree.flatten(states)
        outputs = sequences
        if self.return_sequences and mask is not None and self._zeroes_masked_outputs:
            outputs = without_padding(outputs, mask)
        elif not self.return_sequences and self.residual:
            outputs = _last_unmasked(outputs, mask)
        if not self.return_state:
            return outputs
        note_origins(last_states, self)
        return (outputs, *last_states)

    def compute_output_shape(self, sequences_shape: Shape, initial_state_shape: Any = None) -> Any:
        shape, states = tuple(sequences_shape), []
        for layer in self.layers:
            shape, *_ = layer.compute_output_shape(shape)
            states += [(shape[0], *spec.shape[1:]) for spec in tree.flatten(state_specs_of(layer))]
        if self.layers[-1].return_sequences and not self.return_sequences:
            shape = (shape[0], *shape[2:])
        return (shape, *states) if self.return_state else shape

    def compute_mask(self, sequences: Tensor, mask: Mask = None) -> Mask:
        mask = padded(sequences, tree.flatten(mask)[0])[1] if self.return_sequences else None
        if mask is not None and self.go_backwards:
            mask = ops.flip(mask, axis=1)  # in the order of the outputs
        return [mask] + [None] * len(self.state_specs) if self.return_state else mask

    @property
    def state_specs(self) -> list[keras.InputSpec]:
        """The shape of each state, lowest layer first, as a flat list."""
        return [spec for layer in self.layers for spec in tree.flatten(state_specs_of(layer))]

    @property
    def state_size(self) -> list[Any]:
        """The size of each state, a number of features or a shape, lowest layer first, as a flat list."""
        return [size_of(spec.shape) for spec in self.state_specs]

    @property
    def stateful(self) -> bool:
        """Whether any layer in the stack is stateful."""
        return any(layer.stateful for layer in self.layers)

    def switched(self) -> list:
        return self.layers

    def reset_state(self, rows: Any = None) -> None:
        """Sets the states of stateful layers to zero: all of them, or only some rows.

        Args:
            rows: indices of rows, or a boolean array `(batch,)`. Defaults to `None`, all rows.
        """
        for layer in self.layers:
            if layer.stateful or not self.stateful:  # if none is stateful, the first one raises the error
                reset_state_of(layer, rows)

    def get_config(self) -> Config:
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
    def from_config(cls, config: Config, custom_objects: dict[str, Any] | None = None) -> "Stacked":
        layers = config["layers"]
        if config["go_backwards"] and config["name"].startswith("backward_"):  # the copy in a Bidirectional
            layers = [backward_copy(layer) for layer in layers]
        layers = [keras.saving.deserialize_keras_object(layer, custom_objects=custom_objects) for layer in layers]
        return cls(**{**config, "layers": layers})

    @property
    def _zeroes_masked_outputs(self) -> bool:
        return self.zero_output_for_mask or any(map(_is_bidirectional, recurrent_layers(self.layers)))


def _check_layers(layers):
    if not layers:
        raise ValueError("Stacked expected a list of one or more recurrent layers, received an empty one.")
    if len(set(map(id, layers))) < len(layers):
        raise ValueError(
            f"Stacked expected different layers, received one of them twice: {[layer.name for layer in layers]}. "
            "Make a new layer for each place: [LSTM(8) for _ in range(3)], not [LSTM(8)] * 3."
        )
    for layer in layers:
        state_specs_of(layer)  # refuses what has no states
        if getattr(layer, "merge_mode", "concat") is None:
            raise ValueError(
                f"Layer {layer.name!r} in the stack has merge_mode=None, which leaves two outputs: choose how to "
                "combine them (concat, sum, mul, ave)."
            )
        if getattr(layer, "go_backwards", False):
            raise ValueError(
                f"Layer {layer.name!r} in the stack has go_backwards=True: the layer above would read its outputs in "
                "reverse. Give go_backwards=True to Stacked, or put the layer into a Bidirectional."
            )


def _is_bidirectional(layer):
    return isinstance(layer, keras.layers.Bidirectional)


def _set_returns(layer, sequences, state=True):
    """Makes a layer return its outputs of all steps or only of the last, and its states, whatever is inside it."""
    if isinstance(layer, Stacked):
        if layer.residual and not sequences and _is_bidirectional(list(recurrent_layers(layer.layers))[-1]):
            raise ValueError(
                "Stacked(residual=True) with a Bidirectional on top needs return_sequences=True: the last outputs of "
                "its two directions belong to different steps, so there is no one input to add."
            )
        for inner in layer.layers[:-1]:
            _set_returns(inner, sequences=True)
        _set_returns(layer.layers[-1], sequences=sequences or layer.residual)
    elif _is_bidirectional(layer):
        for inner in (layer.forward_layer, layer.backward_layer):
            _set_returns(inner, sequences, state)
            inner.zero_output_for_mask = sequences
    elif isinstance(layer, keras.layers.Wrapper):  # LearnedInitialState, which returns what its layer returns
        return _set_returns(layer.layer, sequences, state)
    layer.return_sequences, layer.return_state = sequences, state


def _last_unmasked(outputs, mask):
    """The last unmasked output of each row; zeros for an empty row."""
    if mask is None:
        return outputs[:, -1]
    steps_left = ops.flip(ops.cumsum(ops.cast(ops.flip(mask, axis=1), "int32"), axis=1), axis=1)
    is_last = ops.logical_and(mask, steps_left == 1)
    return ops.sum(without_padding(outputs, is_last), axis=1)

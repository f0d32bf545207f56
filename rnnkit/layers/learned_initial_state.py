"""Initial states that are learned instead of zero."""

from typing import Any

import keras
from keras import initializers, ops, tree

from rnnkit.annotations import Config, Initializer, Mask, Shape, Tensor, Tensors
from rnnkit.layers.nested_layers import backward_copy, state_specs_of
from rnnkit.layers.state_shapes import size_of


@keras.saving.register_keras_serializable(package="rnnkit")
class LearnedInitialState(keras.layers.Wrapper):
    """Gives any Keras recurrent layer initial states that are trained and saved with the model.

    "Initial hidden state: either set to all 0, or learn it" (Huang). One vector per state is a weight, and each row of
    a batch starts from it.

    Args:
        layer: `keras.layers.RNN` or a subclass (`LSTM`, `GRU`, `SimpleRNN`, `rnnkit.layers.Recurrent`, ...), or
            `keras.layers.Bidirectional` around one. It must not be stateful, as it would never use its own states.
        initializer: initializer of the states. Defaults to `"zeros"`.
        **kwargs: `name`, `dtype` (by default, that of the layer), `trainable`.

    Call arguments:
        sequences: tensor `(batch, time, input_features)`.
        initial_state: list of states for this call, each of the shape of a learned one but for the batch.
        mask: boolean tensor `(batch, time)`, True at unmasked steps.
        training: whether this is a training run. Defaults to `False`.

    Returns:
        What the layer returns.

    Raises:
        ValueError: `layer` has no states to learn, or is stateful.

    Example:

    >>> import keras, numpy as np, rnnkit.layers
    >>> layer = rnnkit.layers.LearnedInitialState(keras.layers.LSTM(4))
    >>> tuple(layer(np.zeros((2, 5, 3), "float32")).shape)
    (2, 4)
    >>> [tuple(state.shape) for state in layer.initial_states]
    [(1, 4), (1, 4)]

    References:
        Huang, "Recurrent Neural Networks", lecture.
    """

    def __init__(self, layer: keras.layers.Layer, initializer: Initializer = "zeros", **kwargs: Any):
        state_specs_of(layer)  # refuses what has no states
        if layer.stateful:
            raise ValueError(
                f"LearnedInitialState starts every batch from the learned states, but layer {layer.name!r} is "
                "stateful: it starts where the last batch ended. Use stateful=False."
            )
        if kwargs.get("dtype") is None:
            kwargs["dtype"] = layer.dtype_policy
        super().__init__(layer, **kwargs)
        self.initializer = initializers.get(initializer)
        self.supports_masking = True

    def build(self, sequences_shape: Shape) -> None:
        if not self.layer.built:
            self.layer.build(sequences_shape)
        self.initial_states = [
            self.add_weight((1, *spec.shape[1:]), self.initializer, name=f"initial_state_{index}")
            for index, spec in enumerate(tree.flatten(self.state_specs))
        ]
        self.built = True

    def call(
        self, sequences: Tensor, initial_state: Any = None, mask: Mask = None, training: bool | None = None
    ) -> Tensors:
        if initial_state is None:
            batch = ops.shape(sequences)[0]
            states = [ops.repeat(ops.convert_to_tensor(state), batch, axis=0) for state in self.initial_states]
            initial_state = tree.pack_sequence_as(self.state_specs, states)
        return self.layer(sequences, initial_state=initial_state, mask=mask, training=training)

    def compute_output_shape(self, sequences_shape: Shape, initial_state_shape: Any = None) -> Any:
        return self.layer.compute_output_shape(sequences_shape)

    def compute_mask(self, sequences: Tensor, mask: Mask = None) -> Mask:
        return self.layer.compute_mask(sequences, mask)

    def get_config(self) -> Config:
        return {**super().get_config(), "initializer": initializers.serialize(self.initializer)}

    @classmethod
    def from_config(cls, config: Config, custom_objects: dict[str, Any] | None = None) -> "LearnedInitialState":
        config = dict(config)
        if "go_backwards" in config:  # keras.layers.Bidirectional reverses a layer through its config
            inner = dict(config["layer"])
            inner["config"] = {**inner["config"], "go_backwards": config.pop("go_backwards")}
            config["layer"] = backward_copy(inner)
        return super().from_config(config, custom_objects=custom_objects)

    # What keras.layers.Bidirectional reads from the layer inside.
    state_specs = property(lambda self: state_specs_of(self.layer))
    state_size = property(lambda self: tree.map_structure(lambda spec: size_of(spec.shape), self.state_specs))
    stateful = property(lambda self: self.layer.stateful)
    return_sequences = property(lambda self: self.layer.return_sequences)
    return_state = property(lambda self: self.layer.return_state)
    go_backwards = property(lambda self: self.layer.go_backwards)

    @property
    def zero_output_for_mask(self):
        return getattr(self.layer, "zero_output_for_mask", None)

    @zero_output_for_mask.setter
    def zero_output_for_mask(self, value):
        self.layer.zero_output_for_mask = value

"""Initial states that are learned instead of zero."""

import keras
from keras import initializers, ops, tree

from rnnkit.layers.nested_layers import backward_copy, state_size_of


@keras.saving.register_keras_serializable(package="rnnkit")
class LearnedInitialState(keras.layers.Wrapper):
    """Gives any Keras recurrent layer initial states that are trained and saved with the model.

    "Initial hidden state: either set to all 0, or learn it" (Huang). One vector per state is a weight; each row of a
    batch starts there.

    Args:
        layer: `keras.layers.RNN` or a subclass (`LSTM`, `GRU`, `SimpleRNN`, `rnnkit.layers.Recurrent`, ...), or
            `keras.layers.Bidirectional` around one. Not stateful: its states would never be used.
        initializer: how the states start.
        **kwargs: `name`, `dtype` (default: the layer's), `trainable`.

    Call arguments:
        sequences: tensor `(batch, time, features)`.
        initial_state: states for this call, in the place of the learned ones.
        mask: boolean tensor `(batch, time)`.
        training: whether this is a training run.

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
        Huang, "Recurrent Neural Networks" (deck).
    """

    def __init__(self, layer, initializer="zeros", **kwargs):
        state_size_of(layer)  # refuses what has no states
        if layer.stateful:
            raise ValueError(
                f"LearnedInitialState starts every batch at the learned states, but layer {layer.name!r} is stateful: "
                "it expects to start where the last batch ended. Use stateful=False."
            )
        if kwargs.get("dtype") is None:
            kwargs["dtype"] = layer.dtype_policy
        super().__init__(layer, **kwargs)
        self.initializer = initializers.get(initializer)
        self.supports_masking = True

    def build(self, sequences_shape):
        if not self.layer.built:
            self.layer.build(sequences_shape)
        self.initial_states = [
            self.add_weight((1, size), self.initializer, name=f"initial_state_{index}")
            for index, size in enumerate(tree.flatten(self.state_size))
        ]
        self.built = True

    def call(self, sequences, initial_state=None, mask=None, training=None):
        if initial_state is None:
            batch = ops.shape(sequences)[0]
            states = [ops.repeat(ops.convert_to_tensor(state), batch, axis=0) for state in self.initial_states]
            initial_state = tree.pack_sequence_as(self.state_size, states)
        return self.layer(sequences, initial_state=initial_state, mask=mask, training=training)

    def compute_output_shape(self, sequences_shape, initial_state_shape=None):
        return self.layer.compute_output_shape(sequences_shape)

    def compute_mask(self, sequences, mask=None):
        return self.layer.compute_mask(sequences, mask)

    def get_config(self):
        return {**super().get_config(), "initializer": initializers.serialize(self.initializer)}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        config = dict(config)
        if "go_backwards" in config:  # keras.layers.Bidirectional turns a layer around through its config
            inner = dict(config["layer"])
            inner["config"] = {**inner["config"], "go_backwards": config.pop("go_backwards")}
            config["layer"] = backward_copy(inner)
        return super().from_config(config, custom_objects=custom_objects)

    # What keras.layers.Bidirectional reads from the layer inside.
    state_size = property(lambda self: state_size_of(self.layer))
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

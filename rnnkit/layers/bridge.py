"""From an encoder's last states to a decoder's first ones."""

from typing import Any

import keras
from keras import ops, tree

from rnnkit.annotations import Activation, Config, Tensor
from rnnkit.arguments import check_positive_integer


@keras.saving.register_keras_serializable(package="rnnkit")
class Bridge(keras.layers.Layer):
    """Makes the first states of a decoder from the last states of a bidirectional encoder.

    State k of the decoder is f(W_k [forward_k; backward_k] + b_k), with separate weights for each k: h from the two h,
    C from the two C. The decoder may therefore have another width than the encoder.

    Args:
        units: size of each of the decoder's states.
        activation: f; tanh keeps h in the range that it has in an LSTM or GRU. Defaults to `"tanh"`.
        **kwargs: `name`, `dtype`, `trainable`.

    Call arguments:
        states: list of the encoder's last states, as a `Bidirectional` returns them: those of the forward layer, then
            as many of the backward layer, each `(batch, features)`.

    Returns:
        List of half as many tensors `(batch, units)`.

    Raises:
        ValueError: units is not a positive integer; the number of states is odd.

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

    def __init__(self, units: int, activation: Activation = "tanh", **kwargs: Any):
        super().__init__(**kwargs)
        self.units = check_positive_integer("Bridge", "units", units)
        self.activation = keras.activations.get(activation)

    def build(self, states_shape: Any) -> None:
        shapes = states_shape if tree.is_nested(states_shape[0]) else [states_shape]  # one tensor is one state
        pairs = self._pairs([tuple(shape) for shape in shapes])
        self.kernels, self.biases = [], []
        for index, (forward, backward) in enumerate(pairs):
            shape = (forward[-1] + backward[-1], self.units)
            self.kernels.append(self.add_weight(shape, name=f"kernel_{index}"))
            self.biases.append(self.add_weight((self.units,), initializer="zeros", name=f"bias_{index}"))

    def call(self, states: list[Tensor]) -> list[Tensor]:
        pairs = [ops.concatenate(pair, axis=-1) for pair in self._pairs(tree.flatten(states))]
        sums = [ops.matmul(pair, W) + b for pair, W, b in zip(pairs, self.kernels, self.biases, strict=True)]
        return [self.activation(total) for total in sums]

    def get_config(self) -> Config:
        activation = keras.activations.serialize(self.activation)
        return {**super().get_config(), "units": self.units, "activation": activation}

    def _pairs(self, states):
        half = len(states) // 2
        if not states or len(states) % 2:
            raise ValueError(
                f"Bridge expected the states of a forward and of a backward layer, as many of each, received "
                f"{len(states)}: take those of encoder = Bidirectional(LSTM(units, return_state=True))."
            )
        return list(zip(states[:half], states[half:], strict=True))

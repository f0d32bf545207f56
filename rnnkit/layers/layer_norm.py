"""LSTM and GRU with layer normalization."""

import keras
from keras import ops

from rnnkit.layers.gru import GRU, GRUCell
from rnnkit.layers.lstm import LSTM, LSTMCell
from rnnkit.ops.recurrent_product import recurrent_product


@keras.saving.register_keras_serializable(package="rnnkit")
class LayerNormLSTMCell(LSTMCell):
    """One step of the LSTM with layer normalization.

    With LN(a; g) = g * (a - mean(a)) / sqrt(variance(a) + epsilon) over the features of each row:

        (i_t, f_t, C~_t, o_t) before their sigmoid or tanh  =  LN(W_h h_{t-1}; g_1) + LN(W_x x_t; g_2) + b
        C_t = f_t * C_{t-1} + i_t * C~_t
        h_t = o_t * tanh(LN(C_t; g_3) + b_3)

    Each LN takes all four gates together, as in the paper, where LN(W_h h) and LN(W_x x) have a shift each: their sum
    is b here.

    Weights: those of `LSTMCell`, then the scales g_2 of the input, g_1 of the recurrence, g_3 and b_3 of the state.

    Args:
        units, *args, **kwargs: see `LSTMCell`.
        epsilon: what keeps the division from zero.

    Call arguments:
        inputs, states, training: see `LSTMCell`.

    Returns:
        h_t `(batch, units)` and the list of the new states `[h_t, C_t]`.

    Raises:
        ValueError: `units` is not a positive integer, or a rate of dropout not in [0, 1).

    Example:

    >>> import rnnkit.layers
    >>> cell = rnnkit.layers.LayerNormLSTMCell(4)
    >>> cell.build((None, 3))
    >>> [tuple(weight.shape) for weight in cell.weights]
    [(3, 16), (4, 16), (16,), (16,), (16,), (4,), (4,)]

    References:
        Ba, Kiros and Hinton, "Layer normalization", 2016, supplement.
    """

    extra_arguments = ("dropout_each_step", "epsilon")
    cudnn_compatible = False

    def __init__(self, units, *args, epsilon=1e-5, **kwargs):
        super().__init__(units, *args, **kwargs)
        self.epsilon = epsilon

    def build(self, input_shape):
        super().build(input_shape)
        self.input_norm = _norm(self, 4 * self.units, center=False)
        self.recurrent_norm = _norm(self, 4 * self.units, center=False)
        self.state_norm = _norm(self, self.units, center=True)

    def input_sums(self, inputs):
        # The step normalizes it: within the compiled loop, that is faster on TensorFlow and JAX.
        return ops.matmul(inputs, self.kernel)

    def sums(self, projected, h, C):
        sums = self.input_norm(projected) + self.recurrent_norm(recurrent_product(h, self.recurrent_kernel))
        return sums + self.bias if self.use_bias else sums

    def output_activation(self, C):
        return self.activation(self.state_norm(C))


@keras.saving.register_keras_serializable(package="rnnkit")
class LayerNormGRUCell(GRUCell):
    """One step of the GRU with layer normalization.

    With LN(a; g) = g * (a - mean(a)) / sqrt(variance(a) + epsilon) over the features of each row:

        (z_t, r_t) before their sigmoid  =  LN(W_h h_{t-1}; g_1) + LN(W_x x_t; g_2) + b
        h~_t = tanh(LN(W x_t; g_3) + b_3 + r_t * (LN(U h_{t-1}; g_4) + b_4))
        h_t  = (1 - z_t) * h_{t-1} + z_t * h~_t

    LN takes z and r together and h~ alone, as in the paper. The reset comes after the product, and z is the decks'.

    Weights: `kernel`, `recurrent_kernel` and `bias` `(3 * units,)` (b and b_3) in the order z, r, h~; then g_2, g_3,
    g_1, g_4 and b_4.

    Args:
        units, *args, **kwargs: see `GRUCell`, without `reset_after` and `convention`.
        epsilon: what keeps the division from zero.

    Call arguments:
        inputs, states, training: see `GRUCell`.

    Returns:
        h_t `(batch, units)` and the list of the new state `[h_t]`.

    Raises:
        ValueError: `units` is not a positive integer, or a rate of dropout not in [0, 1).

    Example:

    >>> import rnnkit.layers
    >>> cell = rnnkit.layers.LayerNormGRUCell(4)
    >>> cell.build((None, 3))
    >>> [tuple(weight.shape) for weight in cell.weights]
    [(3, 12), (4, 12), (12,), (8,), (4,), (8,), (4,), (4,)]

    References:
        Ba, Kiros and Hinton, "Layer normalization", 2016, supplement.
    """

    extra_arguments = ("dropout_each_step", "epsilon")
    cudnn_compatible = False

    def __init__(self, units, *args, epsilon=1e-5, **kwargs):
        super().__init__(units, *args, convention="chung", **kwargs)
        self.epsilon = epsilon

    def build(self, input_shape):
        super().build(input_shape)
        units = self.units
        self.input_norm, self.candidate_norm = _norm(self, 2 * units, center=False), _norm(self, units, center=False)
        self.recurrent_norm = _norm(self, 2 * units, center=False)
        self.recurrent_candidate_norm = _norm(self, units, center=True)

    def input_sums(self, inputs):
        return ops.matmul(inputs, self.kernel)

    def gates(self, projected, states):
        projected, h = self.apply_recurrent_dropout(projected, states[0])
        product = recurrent_product(h, self.recurrent_kernel)
        (x_zr, x_h), (h_zr, h_h) = self._parts(projected), self._parts(product)
        zr, x_h = self.input_norm(x_zr) + self.recurrent_norm(h_zr), self.candidate_norm(x_h)
        if self.use_bias:
            bias_zr, bias_h = self._parts(self.bias)
            zr, x_h = zr + bias_zr, x_h + bias_h
        z, r = self.gate_activations(zr, [self.recurrent_activation] * 2)
        candidate = self.activation(x_h + r * self.recurrent_candidate_norm(h_h))
        return self.mixed(z, r, candidate, states[0])


def _norm(cell, size, center):
    norm = keras.layers.LayerNormalization(epsilon=cell.epsilon, center=center, dtype=cell.dtype_policy)
    norm.build((None, size))
    return norm


@keras.saving.register_keras_serializable(package="rnnkit")
class LayerNormLSTM(LSTM):
    """The LSTM with layer normalization over a sequence.

    Args:
        units: size of h_t and of C_t.
        *args, **kwargs: as in `LSTM`, and `epsilon`: see `LayerNormLSTMCell`. `Recurrent` tells the call arguments,
            what comes back and what is raised.

    Example:

    >>> import numpy as np, rnnkit.layers
    >>> layer = rnnkit.layers.LayerNormLSTM(8, return_sequences=True)
    >>> tuple(layer(np.zeros((2, 5, 3), "float32")).shape)
    (2, 5, 8)

    References:
        Ba, Kiros and Hinton, "Layer normalization", 2016.
    """

    cell_class = LayerNormLSTMCell


@keras.saving.register_keras_serializable(package="rnnkit")
class LayerNormGRU(GRU):
    """The GRU with layer normalization over a sequence.

    Args:
        units: size of h_t.
        *args, **kwargs: as in `GRU`, without `reset_after` and `convention`, and `epsilon`: see `LayerNormGRUCell`.
            `Recurrent` tells the call arguments, what comes back and what is raised.

    Example:

    >>> import numpy as np, rnnkit.layers
    >>> layer = rnnkit.layers.LayerNormGRU(8, return_sequences=True)
    >>> tuple(layer(np.zeros((2, 5, 3), "float32")).shape)
    (2, 5, 8)

    References:
        Ba, Kiros and Hinton, "Layer normalization", 2016.
    """

    cell_class = LayerNormGRUCell

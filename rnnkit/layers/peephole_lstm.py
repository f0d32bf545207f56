"""The LSTM whose gates see the cell state."""

import keras
from keras import initializers, ops

from rnnkit.layers.lstm import LSTM, LSTMCell
from rnnkit.ops.recurrent_product import recurrent_product

PEEPHOLES = ("full", "diagonal")


@keras.saving.register_keras_serializable(package="rnnkit")
class PeepholeLSTMCell(LSTMCell):
    """One step of the LSTM with peepholes: the gates see the cell state, too.

        f_t = sigmoid(W_f [C_{t-1}, h_{t-1}, x_t] + b_f)
        i_t = sigmoid(W_i [C_{t-1}, h_{t-1}, x_t] + b_i)
        o_t = sigmoid(W_o [C_t, h_{t-1}, x_t] + b_o)          o_t sees the new C_t

    and everything else as in `LSTMCell`. With `peephole="full"`, as the decks write it, whole matrices look at C; with
    `peephole="diagonal"`, as Gers and Schmidhuber did, each unit's gates see its own C only.

    One weight more than `LSTMCell`: `peephole_kernel`, for i, f and o, side by side: `(units, 3 * units)` if full,
    `(3 * units,)` if diagonal.

    Args:
        units, *args, **kwargs: see `LSTMCell`.
        peephole: `"full"` or `"diagonal"`.
        peephole_initializer: how `peephole_kernel` starts; zeros make it an LSTM at first. Left out: "orthogonal" if
            full, "zeros" if diagonal.

    Call arguments:
        inputs, states, training: see `LSTMCell`.

    Returns:
        h_t `(batch, units)` and the list of the new states `[h_t, C_t]`.

    Raises:
        ValueError: `units` is not a positive integer, a rate of dropout is not in [0, 1), or there is no such peephole.

    Example:

    >>> import rnnkit.layers
    >>> cell = rnnkit.layers.PeepholeLSTMCell(4, peephole="diagonal")
    >>> cell.build((None, 3))
    >>> {weight.name: tuple(weight.shape) for weight in cell.weights}["peephole_kernel"]
    (12,)

    References:
        Gers and Schmidhuber, "Recurrent nets that time and count", 2000; Khanzhina, "Recurrent neural networks" (deck).
    """

    extra_arguments = ("dropout_each_step", "peephole", "peephole_initializer")
    cudnn_compatible = False

    def __init__(self, units, *args, peephole="full", peephole_initializer=None, **kwargs):
        if peephole not in PEEPHOLES:
            raise ValueError(f"{type(self).__name__} expected peephole to be in {PEEPHOLES}, received {peephole!r}.")
        super().__init__(units, *args, **kwargs)
        self.peephole = peephole
        default = "orthogonal" if peephole == "full" else "zeros"
        self.peephole_initializer = initializers.get(peephole_initializer or default)

    def build(self, input_shape):
        super().build(input_shape)
        shape = (self.units, 3 * self.units) if self.peephole == "full" else (3 * self.units,)
        self.peephole_kernel = self.add_weight(shape, self.peephole_initializer, name="peephole_kernel")

    def sums(self, projected, h, C):
        units = self.units
        seen = self._seen(C, self.peephole_kernel[..., : 2 * units])
        sums = super().sums(projected, h, C)
        return ops.concatenate([sums[:, : 2 * units] + seen, sums[:, 2 * units :]], axis=-1)

    def first_gates(self, sums):
        known, o = sums[:, : 3 * self.units], sums[:, 3 * self.units :]
        sigmoid, tanh = self.recurrent_activation, self.activation
        return [*self.gate_activations(known, [sigmoid, sigmoid, tanh]), o]

    def output_gate(self, o, C):
        return self.recurrent_activation(o + self._seen(C, self.peephole_kernel[..., 2 * self.units :]))

    def _seen(self, C, kernel):
        if self.peephole == "full":
            return recurrent_product(C, kernel)
        return ops.tile(C, (1, kernel.shape[0] // self.units)) * kernel

    def get_config(self):
        return {**super().get_config(), "peephole_initializer": initializers.serialize(self.peephole_initializer)}


@keras.saving.register_keras_serializable(package="rnnkit")
class PeepholeLSTM(LSTM):
    """The LSTM with peepholes over a sequence.

    Args:
        units: size of h_t and of C_t.
        *args, **kwargs: as in `LSTM`, and `peephole` and `peephole_initializer`: see `PeepholeLSTMCell`. `Recurrent`
            tells the call arguments, what comes back and what is raised.

    Example:

    >>> import numpy as np, rnnkit.layers
    >>> layer = rnnkit.layers.PeepholeLSTM(8, peephole="diagonal", return_sequences=True)
    >>> tuple(layer(np.zeros((2, 5, 3), "float32")).shape)
    (2, 5, 8)

    References:
        Gers and Schmidhuber, "Recurrent nets that time and count", 2000; Khanzhina, "Recurrent neural networks" (deck).
    """

    cell_class = PeepholeLSTMCell

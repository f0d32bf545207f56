"""The long short-term memory."""

import keras

from rnnkit.layers.extended import CellLayer, ExtendedCell, ExtendedLayer
from rnnkit.ops.recurrent_product import recurrent_product


@keras.saving.register_keras_serializable(package="rnnkit")
class LSTMCell(ExtendedCell, keras.layers.LSTMCell):
    """One step of the long short-term memory.

        f_t  = sigmoid(W_f [h_{t-1}, x_t] + b_f)      forget gate
        i_t  = sigmoid(W_i [h_{t-1}, x_t] + b_i)      input gate
        C~_t = tanh(W_C [h_{t-1}, x_t] + b_C)         candidate
        C_t  = f_t * C_{t-1} + i_t * C~_t             cell state, the conveyor belt
        o_t  = sigmoid(W_o [h_{t-1}, x_t] + b_o)      output gate
        h_t  = o_t * tanh(C_t)                        y_t = h_t

    In the code, the matrices stand side by side in the order i, f, C, o: `kernel` `(input_features, 4 * units)` holds
    their columns for x_t, `recurrent_kernel` `(units, 4 * units)` those for h_{t-1}, `bias` `(4 * units,)` the b.
    Vectors are rows here, so each is the transpose of the one in the equation.

    Constructor, weights and configuration are those of `keras.layers.LSTMCell`.

    Args:
        units: size of h_t and of C_t.
        *args: as in `keras.layers.LSTMCell`: activation (tanh), recurrent_activation (sigmoid), use_bias,
            initializers, unit_forget_bias, regularizers, constraints, dropout, recurrent_dropout, seed.
        dropout_each_step: whether dropout draws a fresh mask for every time step instead of one for the sequence.
        **kwargs: the same by name, and `name`, `dtype`, `trainable`.

    Call arguments:
        inputs: tensor `(batch, input_features)`, x_t.
        states: list of two tensors `(batch, units)`, h_{t-1} and C_{t-1}.
        training: whether this is a training run.

    Returns:
        h_t `(batch, units)` and the list of the new states `[h_t, C_t]`.

    Raises:
        ValueError: `units` is not a positive integer, or a rate of dropout not in [0, 1).

    Example:

    >>> import numpy as np, rnnkit.layers
    >>> cell = rnnkit.layers.LSTMCell(4)
    >>> y, [h, C] = cell(np.ones((1, 3), "float32"), [np.zeros((1, 4), "float32"), np.zeros((1, 4), "float32")])
    >>> tuple(y.shape), tuple(C.shape)
    ((1, 4), (1, 4))

    References:
        Hochreiter and Schmidhuber, "Long short-term memory", 1997; Gers, Schmidhuber and Cummins, "Learning to forget",
        2000; Khanzhina, "Recurrent neural networks" (deck); Huang, "Recurrent Neural Networks" (deck).
    """

    def step(self, projected, states, training=False):
        gates = self.gates(projected, states)
        return gates["h"], [gates["h"], gates["C"]]

    def gates(self, projected, states):
        """All that one step computes, each `(batch, units)`: i, f, candidate, o, C and h."""
        projected, h = self.apply_recurrent_dropout(projected, states[0])
        i, f, candidate, o = self.first_gates(self.sums(projected, h, states[1]))
        C = f * states[1] + i * candidate
        o = self.output_gate(o, C)
        return {"i": i, "f": f, "candidate": candidate, "o": o, "C": C, "h": o * self.output_activation(C)}

    def sums(self, projected, h, C):
        """What stands inside the sigmoid or tanh of i, f, C~ and o, side by side `(batch, 4 * units)`."""
        return recurrent_product(h, self.recurrent_kernel, base=projected, bias=self.bias)

    def first_gates(self, sums):
        """i, f, C~ and o, as far as they are known before C_t."""
        sigmoid, tanh = self.recurrent_activation, self.activation
        return self.gate_activations(sums, [sigmoid, sigmoid, tanh, sigmoid])

    def output_gate(self, o, C):
        """o once C_t is known."""
        return o

    def output_activation(self, C):
        """tanh(C_t)"""
        return self.activation(C)

    def kept(self, gates):
        """The part of C_{t-1} that is carried over to C_t."""
        return gates["f"]


@keras.saving.register_keras_serializable(package="rnnkit")
class LSTM(ExtendedLayer, keras.layers.LSTM, CellLayer):
    """The long short-term memory over a sequence.

    A drop-in for `keras.layers.LSTM`: same constructor, call and weights in the same order, so
    `layer.set_weights(keras_layer.get_weights())` works both ways. Where the backend has a kernel for its equation
    (PyTorch; any GPU, without a mask), that runs; `explain()` says so. It adds what `Recurrent` adds (masks of any
    shape, clear errors), and its gates can be seen with `rnnkit.diagnostics.record_gates`.

    Args:
        units: size of h_t and of C_t.
        *args: as in `keras.layers.LSTM`.
        dropout_each_step: whether dropout draws a fresh mask for every time step instead of one for the sequence.
        **kwargs: the same by name; see `LSTMCell` for the cell's and `Recurrent` for the layer's, the call arguments,
            what comes back and what is raised.

    Example:

    >>> import numpy as np, rnnkit.layers
    >>> layer = rnnkit.layers.LSTM(8, return_sequences=True, return_state=True)
    >>> outputs, h, C = layer(np.zeros((2, 5, 3), "float32"))
    >>> tuple(outputs.shape), tuple(C.shape)
    ((2, 5, 8), (2, 8))

    References:
        Hochreiter and Schmidhuber, "Long short-term memory", 1997; Khanzhina, "Recurrent neural networks" (deck).
    """

    cell_class = LSTMCell

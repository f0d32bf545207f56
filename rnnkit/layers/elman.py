"""The vanilla (Elman) recurrent network."""

import keras
from keras import activations, initializers, ops

from rnnkit.layers.arguments import check_positive_integer
from rnnkit.layers.cell import RecurrentCell
from rnnkit.layers.recurrent import CellLayer


@keras.saving.register_keras_serializable(package="rnnkit")
class ElmanCell(RecurrentCell):
    """One step of the vanilla recurrent network.

        h_t = tanh(W_xh x_t + W_hh h_{t-1} + b)
        y_t = W_hy h_t                              where `output_units` is given, else y_t = h_t

    In the code, W_xh is `kernel`, W_hh `recurrent_kernel`, b `bias` and W_hy `output_kernel`. Vectors are rows here, so
    each matrix is the transpose of the one in the equation: `kernel` is `(input_features, units)`.

    Args:
        units: size of the state h_t.
        output_units: size of y_t; None to put out h_t itself.
        activation: the function around the sum.
        use_bias: whether b is there.
        kernel_initializer, recurrent_initializer, bias_initializer, output_initializer: how the weights start.
        **kwargs: `name`, `dtype`, `trainable`.

    Call arguments:
        inputs: tensor `(batch, input_features)`, x_t.
        states: list of one tensor `(batch, units)`, h_{t-1}.

    Returns:
        y_t `(batch, output_units or units)` and the list of the new state `[h_t]`.

    Raises:
        ValueError: `units` or `output_units` is not a positive integer.

    Example:

    >>> import numpy as np, rnnkit.layers
    >>> cell = rnnkit.layers.ElmanCell(4, output_units=2)
    >>> y, [h] = cell(np.ones((1, 3), "float32"), [np.zeros((1, 4), "float32")])
    >>> tuple(y.shape), tuple(h.shape)
    ((1, 2), (1, 4))

    References:
        Elman, "Finding structure in time", 1990; Huang, "Recurrent Neural Networks" (deck).
    """

    def __init__(
        self,
        units,
        output_units=None,
        activation="tanh",
        use_bias=True,
        kernel_initializer="glorot_uniform",
        recurrent_initializer="orthogonal",
        bias_initializer="zeros",
        output_initializer="glorot_uniform",
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_positive_integer(self, "units", units)
        if output_units is not None:
            check_positive_integer(self, "output_units", output_units)
        self.units = units
        self.output_units = output_units
        self.activation = activations.get(activation)
        self.use_bias = use_bias
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.recurrent_initializer = initializers.get(recurrent_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.output_initializer = initializers.get(output_initializer)
        self.state_size = [units]
        self.output_size = output_units or units

    def build(self, input_shape):
        units = self.units
        self.kernel = self.add_weight((input_shape[-1], units), self.kernel_initializer, name="kernel")
        self.recurrent_kernel = self.add_weight((units, units), self.recurrent_initializer, name="recurrent_kernel")
        if self.use_bias:
            self.bias = self.add_weight((units,), self.bias_initializer, name="bias")
        if self.output_units is not None:
            self.output_kernel = self.add_weight(
                (units, self.output_units), self.output_initializer, name="output_kernel"
            )

    def project(self, inputs):
        projected = ops.matmul(inputs, self.kernel)
        return projected + self.bias if self.use_bias else projected

    def step(self, projected, states, training=False):
        h = self.activation(projected + ops.matmul(states[0], self.recurrent_kernel))
        return self.readout([h]), [h]

    def readout(self, states):
        return states[0] if self.output_units is None else ops.matmul(states[0], self.output_kernel)

    def get_config(self):
        return {
            **super().get_config(),
            "units": self.units,
            "output_units": self.output_units,
            "activation": activations.serialize(self.activation),
            "use_bias": self.use_bias,
            "kernel_initializer": initializers.serialize(self.kernel_initializer),
            "recurrent_initializer": initializers.serialize(self.recurrent_initializer),
            "bias_initializer": initializers.serialize(self.bias_initializer),
            "output_initializer": initializers.serialize(self.output_initializer),
        }


@keras.saving.register_keras_serializable(package="rnnkit")
class Elman(CellLayer):
    """The vanilla recurrent network over a sequence: `Recurrent(ElmanCell(units, ...))` in one line.

    With `output_units=None` it computes what `keras.layers.SimpleRNN` does, from the same weights in the same order.

    Args:
        units, output_units, activation, use_bias, kernel_initializer, recurrent_initializer, bias_initializer,
        output_initializer: see `ElmanCell`.
        **kwargs: `return_sequences`, `return_state`, `go_backwards`, `stateful`, `unroll`, `zero_output_for_mask`,
            `name`, `dtype`, `trainable`: see `Recurrent`, which also tells the call arguments, what comes back and
            what is raised.

    Example:

    >>> import numpy as np, rnnkit.layers
    >>> layer = rnnkit.layers.Elman(8, output_units=4, return_sequences=True)
    >>> tuple(layer(np.zeros((2, 5, 3), "float32")).shape)
    (2, 5, 4)

    References:
        Elman, "Finding structure in time", 1990; Huang, "Recurrent Neural Networks" (deck).
    """

    cell_class = ElmanCell

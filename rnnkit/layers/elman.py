"""The vanilla (Elman) recurrent network."""

import keras
from keras import initializers, ops

from rnnkit.arguments import check_positive_integer
from rnnkit.layers.extended import CellLayer, ExtendedCell, ExtendedLayer
from rnnkit.ops.recurrent_product import recurrent_product


@keras.saving.register_keras_serializable(package="rnnkit")
class ElmanCell(ExtendedCell, keras.layers.SimpleRNNCell):
    """One step of the vanilla recurrent network.

        h_t = tanh(W_xh x_t + W_hh h_{t-1} + b)
        y_t = W_hy h_t                              where `output_units` is given, else y_t = h_t

    In the code, W_xh is `kernel`, W_hh `recurrent_kernel`, b `bias` and W_hy `output_kernel`. Vectors are rows here, so
    each matrix is the transpose of the one in the equation: `kernel` is `(input_features, units)`.

    Constructor and configuration are those of `keras.layers.SimpleRNNCell`, and so are the weights but the last.

    Args:
        units: size of the state h_t.
        *args: as in `keras.layers.SimpleRNNCell`: activation (tanh), use_bias, initializers, regularizers, constraints,
            dropout, recurrent_dropout, seed.
        output_units: size of y_t; None to put out h_t itself.
        output_initializer: how W_hy starts.
        dropout_each_step: whether dropout draws a fresh mask for every time step instead of one for the sequence.
        **kwargs: the same by name, and `name`, `dtype`, `trainable`.

    Call arguments:
        inputs: tensor `(batch, input_features)`, x_t.
        states: list of one tensor `(batch, units)`, h_{t-1}.
        training: whether this is a training run.

    Returns:
        y_t `(batch, output_units or units)` and the list of the new state `[h_t]`.

    Raises:
        ValueError: `units` or `output_units` is not a positive integer, or a rate of dropout not in [0, 1).

    Example:

    >>> import numpy as np, rnnkit.layers
    >>> cell = rnnkit.layers.ElmanCell(4, output_units=2)
    >>> y, [h] = cell(np.ones((1, 3), "float32"), [np.zeros((1, 4), "float32")])
    >>> tuple(y.shape), tuple(h.shape)
    ((1, 2), (1, 4))

    References:
        Elman, "Finding structure in time", 1990; Huang, "Recurrent Neural Networks" (deck).
    """

    extra_arguments = ("dropout_each_step", "output_units", "output_initializer")

    def __init__(self, units, *args, output_units=None, output_initializer="glorot_uniform", **kwargs):
        super().__init__(units, *args, **kwargs)
        if output_units is not None:
            output_units = check_positive_integer(type(self).__name__, "output_units", output_units)
        self.output_units = output_units
        self.output_initializer = initializers.get(output_initializer)
        self.state_size = [self.units]
        self.output_size = output_units or self.units

    def build(self, input_shape):
        super().build(input_shape)
        if self.output_units is not None:
            shape = (self.units, self.output_units)
            self.output_kernel = self.add_weight(shape, self.output_initializer, name="output_kernel")

    def step(self, projected, states, training=False):
        projected, h = self.apply_recurrent_dropout(projected, states[0])
        h = self.activation(recurrent_product(h, self.recurrent_kernel, base=projected, bias=self.bias))
        return self.readout([h]), [h]

    def readout(self, states):
        return states[0] if self.output_units is None else ops.matmul(states[0], self.output_kernel)

    def get_config(self):
        return {**super().get_config(), "output_initializer": initializers.serialize(self.output_initializer)}


@keras.saving.register_keras_serializable(package="rnnkit")
class Elman(ExtendedLayer, keras.layers.SimpleRNN, CellLayer):
    """The vanilla recurrent network over a sequence.

    With `output_units=None` a drop-in for `keras.layers.SimpleRNN`: same constructor, call and order of weights.

    Args:
        units: size of the state h_t.
        *args: as in `keras.layers.SimpleRNN`.
        output_units, output_initializer, dropout_each_step: see `ElmanCell`.
        **kwargs: the same by name; see `ElmanCell` for the cell's and `Recurrent` for the layer's, the call arguments,
            what comes back and what is raised.

    Example:

    >>> import numpy as np, rnnkit.layers
    >>> layer = rnnkit.layers.Elman(8, output_units=4, return_sequences=True)
    >>> tuple(layer(np.zeros((2, 5, 3), "float32")).shape)
    (2, 5, 4)

    References:
        Elman, "Finding structure in time", 1990; Huang, "Recurrent Neural Networks" (deck).
    """

    cell_class = ElmanCell

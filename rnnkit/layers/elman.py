"""The vanilla (Elman) recurrent network."""

from collections.abc import Hashable
from typing import Any

import keras
from keras import activations, initializers, ops

from rnnkit.annotations import Activation, Config, Constraint, Initializer, Regularizer, Shape, Tensor, Tensors
from rnnkit.arguments import check_positive_integer
from rnnkit.backend.loop import Equation
from rnnkit.layers.drop_in import DropInCell, DropInLayer, check_arguments
from rnnkit.layers.quantization import Kernel
from rnnkit.layers.recurrent_cell import key_of
from rnnkit.ops.recurrent_product import recurrent_product


@keras.saving.register_keras_serializable(package="rnnkit")
class ElmanCell(DropInCell, keras.layers.SimpleRNNCell):
    """One step of the vanilla recurrent network.

        h_t = tanh(W_xh x_t + W_hh h_{t-1} + b)
        y_t = W_hy h_t                              where `output_units` is given, else y_t = h_t

    In the code, W_xh is `kernel`, W_hh `recurrent_kernel`, b `bias` and W_hy `output_kernel`. Vectors are rows here:
    each matrix is the transpose of the one in the equation, and `kernel` is `(input_features, units)`.

    Configuration and weights are those of `keras.layers.SimpleRNNCell`, but for `output_kernel`.

    Args:
        units: size of the state h_t.
        activation: activation of the state. Defaults to `"tanh"`.
        use_bias: whether there is a bias. Defaults to `True`.
        kernel_initializer: how the weights of x_t start. Defaults to `"glorot_uniform"`.
        recurrent_initializer: how the weights of h_{t-1} start. Defaults to `"orthogonal"`.
        bias_initializer: how the bias starts. Defaults to `"zeros"`.
        kernel_regularizer: regularizer of the kernel. Defaults to `None`.
        recurrent_regularizer: regularizer of the recurrent kernel. Defaults to `None`.
        bias_regularizer: regularizer of the bias. Defaults to `None`.
        kernel_constraint: constraint of the kernel. Defaults to `None`.
        recurrent_constraint: constraint of the recurrent kernel. Defaults to `None`.
        bias_constraint: constraint of the bias. Defaults to `None`.
        dropout: fraction of the inputs to drop, in [0, 1). Defaults to `0.0`.
        recurrent_dropout: fraction of h_{t-1} to drop, in [0, 1). Defaults to `0.0`.
        seed: seed of the dropout. Defaults to `None`.
        output_units: size of y_t; None to return h_t itself. Defaults to `None`.
        output_initializer: how W_hy starts. Defaults to `"glorot_uniform"`.
        dropout_each_step: whether dropout draws a fresh mask for every time step instead of one for the sequence.
            Defaults to `False`.
        **kwargs: `name`, `dtype`, `trainable`.

    Call arguments:
        inputs: tensor `(batch, input_features)`, x_t.
        states: list of one tensor `(batch, units)`, h_{t-1}.
        training: whether this is a training run. Defaults to `False`.

    Returns:
        y_t `(batch, output_units or units)` and the list of the new state `[h_t]`.

    Raises:
        ValueError: `units` or `output_units` is not a positive integer, or a rate of dropout is not in [0, 1).

    Example:

    >>> import numpy as np, rnnkit.layers
    >>> cell = rnnkit.layers.ElmanCell(4, output_units=2)
    >>> y, [h] = cell(np.ones((1, 3), "float32"), [np.zeros((1, 4), "float32")])
    >>> tuple(y.shape), tuple(h.shape)
    ((1, 2), (1, 4))

    References:
        Elman, "Finding structure in time", 1990.
    """

    extra_arguments = ("dropout_each_step", "output_units", "output_initializer")
    kernels = (*DropInCell.kernels, "output_kernel")
    output_kernel = Kernel()

    def __init__(
        self,
        units: int,
        activation: Activation = "tanh",
        use_bias: bool = True,
        kernel_initializer: Initializer = "glorot_uniform",
        recurrent_initializer: Initializer = "orthogonal",
        bias_initializer: Initializer = "zeros",
        kernel_regularizer: Regularizer = None,
        recurrent_regularizer: Regularizer = None,
        bias_regularizer: Regularizer = None,
        kernel_constraint: Constraint = None,
        recurrent_constraint: Constraint = None,
        bias_constraint: Constraint = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        *,
        output_units: int | None = None,
        output_initializer: Initializer = "glorot_uniform",
        dropout_each_step: bool = False,
        **kwargs: Any,
    ):
        super().__init__(
            units,
            activation=activation,
            use_bias=use_bias,
            kernel_initializer=kernel_initializer,
            recurrent_initializer=recurrent_initializer,
            bias_initializer=bias_initializer,
            kernel_regularizer=kernel_regularizer,
            recurrent_regularizer=recurrent_regularizer,
            bias_regularizer=bias_regularizer,
            kernel_constraint=kernel_constraint,
            recurrent_constraint=recurrent_constraint,
            bias_constraint=bias_constraint,
            dropout=dropout,
            recurrent_dropout=recurrent_dropout,
            seed=seed,
            dropout_each_step=dropout_each_step,
            **kwargs,
        )
        if output_units is not None:
            output_units = check_positive_integer(type(self).__name__, "output_units", output_units)
        self.output_units = output_units
        self.output_initializer = initializers.get(output_initializer)
        self.state_size = [self.units]
        self.output_size = output_units or self.units

    def build(self, input_shape: Shape) -> None:
        super().build(input_shape)
        if self.output_units is not None:
            shape = (self.units, self.output_units)
            self.output_kernel = self.add_weight(shape, self.output_initializer, name="output_kernel")
            self.build_as_loaded()

    def step(self, projected: Tensors, states: list[Tensor], training: bool = False) -> tuple[Tensor, list[Tensor]]:
        projected, h = self.apply_recurrent_dropout(projected, states[0])
        h = self.activation(recurrent_product(h, self.recurrent_kernel, base=projected, bias=self.bias))
        return self.readout([h]), [h]

    def readout(self, states: list[Tensor]) -> Tensor:
        return states[0] if self.output_units is None else ops.matmul(states[0], self.output_kernel)

    def program_key(self) -> Hashable | None:
        return key_of(self, ElmanCell, self.activation, self.use_bias, self.output_units is None)

    def equation(self, training: bool) -> Equation | None:
        name = {activations.tanh: "rnn_tanh", activations.relu: "rnn_relu"}.get(self.activation)
        return self.equation_of_kernel(name, "h", training) if name and type(self) is ElmanCell else None

    def get_config(self) -> Config:
        return {**super().get_config(), "output_initializer": initializers.serialize(self.output_initializer)}


@keras.saving.register_keras_serializable(package="rnnkit")
class Elman(keras.layers.SimpleRNN, DropInLayer):
    """Vanilla recurrent network over a sequence.

    With `output_units=None` a drop-in for `keras.layers.SimpleRNN`: same constructor, call and order of weights. The
    equations are in `ElmanCell`.

    Args:
        units: size of the state h_t.
        activation: activation of the state. Defaults to `"tanh"`.
        use_bias: whether there is a bias. Defaults to `True`.
        kernel_initializer: how the weights of x_t start. Defaults to `"glorot_uniform"`.
        recurrent_initializer: how the weights of h_{t-1} start. Defaults to `"orthogonal"`.
        bias_initializer: how the bias starts. Defaults to `"zeros"`.
        kernel_regularizer: regularizer of the kernel. Defaults to `None`.
        recurrent_regularizer: regularizer of the recurrent kernel. Defaults to `None`.
        bias_regularizer: regularizer of the bias. Defaults to `None`.
        activity_regularizer: regularizer of the layer's output. Defaults to `None`.
        kernel_constraint: constraint of the kernel. Defaults to `None`.
        recurrent_constraint: constraint of the recurrent kernel. Defaults to `None`.
        bias_constraint: constraint of the bias. Defaults to `None`.
        dropout: fraction of the inputs to drop, in [0, 1). Defaults to `0.0`.
        recurrent_dropout: fraction of h_{t-1} to drop, in [0, 1). Defaults to `0.0`.
        return_sequences: whether to return the output of every step instead of the last one. Defaults to `False`.
        return_state: whether to return the last states, too. Defaults to `False`.
        go_backwards: whether to run from the last step to the first; the outputs come in the order of the run. Defaults
            to `False`.
        stateful: whether each batch starts from the last states of the batch before. Defaults to `False`.
        unroll: whether to build one copy of the step per time step instead of a loop (short sequences only). Defaults
            to `False`.
        seed: seed of the dropout. Defaults to `None`.
        output_units: size of y_t; None to return h_t itself. Defaults to `None`.
        output_initializer: how W_hy starts. Defaults to `"glorot_uniform"`.
        dropout_each_step: whether dropout draws a fresh mask for every time step instead of one for the sequence.
            Defaults to `False`.
        zero_output_for_mask: whether the output of a masked step is zeros instead of the output before it. Defaults to
            `False`.
        **kwargs: `name`, `dtype`, `trainable`.

    Call arguments:
        sequences: tensor `(batch, time, input_features)`, at least one time step.
        initial_state: list of one tensor `(batch, units)`, h; zeros if left out.
        mask: boolean tensor `(batch, time)` of any shape, True at unmasked steps.
        training: whether this is a training run. Defaults to `False`.

    Returns:
        `(batch, time, output_units or units)` with `return_sequences`, else `(batch, output_units or units)`. With
        `return_state` followed by h `(batch, units)`.

    Raises:
        ValueError: an argument is out of range, or sequences, states or mask have the wrong shape: see `Recurrent`.

    Example:

    >>> import numpy as np, rnnkit.layers
    >>> layer = rnnkit.layers.Elman(8, output_units=4, return_sequences=True)
    >>> tuple(layer(np.zeros((2, 5, 3), "float32")).shape)
    (2, 5, 4)

    References:
        Elman, "Finding structure in time", 1990.
    """

    def __init__(
        self,
        units: int,
        activation: Activation = "tanh",
        use_bias: bool = True,
        kernel_initializer: Initializer = "glorot_uniform",
        recurrent_initializer: Initializer = "orthogonal",
        bias_initializer: Initializer = "zeros",
        kernel_regularizer: Regularizer = None,
        recurrent_regularizer: Regularizer = None,
        bias_regularizer: Regularizer = None,
        activity_regularizer: Regularizer = None,
        kernel_constraint: Constraint = None,
        recurrent_constraint: Constraint = None,
        bias_constraint: Constraint = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        seed: int | None = None,
        *,
        output_units: int | None = None,
        output_initializer: Initializer = "glorot_uniform",
        dropout_each_step: bool = False,
        zero_output_for_mask: bool = False,
        **kwargs: Any,
    ):
        check_arguments(self, units, dropout, recurrent_dropout)
        cell = ElmanCell(
            units,
            activation=activation,
            use_bias=use_bias,
            kernel_initializer=kernel_initializer,
            recurrent_initializer=recurrent_initializer,
            bias_initializer=bias_initializer,
            kernel_regularizer=kernel_regularizer,
            recurrent_regularizer=recurrent_regularizer,
            bias_regularizer=bias_regularizer,
            kernel_constraint=kernel_constraint,
            recurrent_constraint=recurrent_constraint,
            bias_constraint=bias_constraint,
            dropout=dropout,
            recurrent_dropout=recurrent_dropout,
            seed=seed,
            output_units=output_units,
            output_initializer=output_initializer,
            dropout_each_step=dropout_each_step,
            name="simple_rnn_cell",
            dtype=kwargs.get("dtype"),
            trainable=kwargs.get("trainable", True),
        )
        DropInLayer.__init__(
            self,
            cell,
            activity_regularizer=activity_regularizer,
            return_sequences=return_sequences,
            return_state=return_state,
            go_backwards=go_backwards,
            stateful=stateful,
            unroll=unroll,
            zero_output_for_mask=zero_output_for_mask,
            **kwargs,
        )

    def get_config(self) -> Config:
        return {**super().get_config(), "seed": self.cell.seed}  # SimpleRNN leaves it out

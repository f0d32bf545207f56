"""LSTM and GRU with layer normalization."""

from collections.abc import Hashable
from typing import Any

import keras
from keras import ops

from rnnkit.annotations import Activation, Config, Constraint, Initializer, Regularizer, Shape, Tensor, Tensors
from rnnkit.layers.drop_in import DropInLayer, check_arguments
from rnnkit.layers.gru import GRU, GRUCell
from rnnkit.layers.lstm import LSTM, LSTMCell
from rnnkit.layers.quantization import Normalization, without_quantization
from rnnkit.layers.recurrent_cell import key_of
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
        units: size of h_t and of C_t.
        activation: activation of the candidate and of C_t. Defaults to `"tanh"`.
        recurrent_activation: activation of the gates. Defaults to `"sigmoid"`.
        use_bias: whether there is a bias. Defaults to `True`.
        kernel_initializer: how the weights of x_t start. Defaults to `"glorot_uniform"`.
        recurrent_initializer: how the weights of h_{t-1} start. Defaults to `"orthogonal"`.
        bias_initializer: how the bias starts. Defaults to `"zeros"`.
        unit_forget_bias: whether 1 is added to the bias of the forget gate at the start. Defaults to `True`.
        kernel_regularizer: regularizer of the kernel. Defaults to `None`.
        recurrent_regularizer: regularizer of the recurrent kernel. Defaults to `None`.
        bias_regularizer: regularizer of the bias. Defaults to `None`.
        kernel_constraint: constraint of the kernel. Defaults to `None`.
        recurrent_constraint: constraint of the recurrent kernel. Defaults to `None`.
        bias_constraint: constraint of the bias. Defaults to `None`.
        dropout: fraction of the inputs to drop, in [0, 1). Defaults to `0.0`.
        recurrent_dropout: fraction of h_{t-1} to drop, in [0, 1). Defaults to `0.0`.
        seed: seed of the dropout. Defaults to `None`.
        epsilon: what keeps the division from zero. Defaults to `1e-5`.
        dropout_each_step: whether dropout draws a fresh mask for every time step instead of one for the sequence.
            Defaults to `False`.
        **kwargs: `name`, `dtype`, `trainable`, and `implementation`, which Keras takes and which changes nothing.

    Call arguments:
        inputs: tensor `(batch, input_features)`, x_t.
        states: list of two tensors `(batch, units)`, h_{t-1} and C_{t-1}.
        training: whether this is a training run. Defaults to `False`.

    Returns:
        h_t `(batch, units)` and the list of the new states `[h_t, C_t]`.

    Raises:
        ValueError: `units` is not a positive integer, or a rate of dropout is not in [0, 1).

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

    def __init__(
        self,
        units: int,
        activation: Activation = "tanh",
        recurrent_activation: Activation = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Initializer = "glorot_uniform",
        recurrent_initializer: Initializer = "orthogonal",
        bias_initializer: Initializer = "zeros",
        unit_forget_bias: bool = True,
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
        epsilon: float = 1e-5,
        dropout_each_step: bool = False,
        **kwargs: Any,
    ):
        super().__init__(
            units,
            activation=activation,
            recurrent_activation=recurrent_activation,
            use_bias=use_bias,
            kernel_initializer=kernel_initializer,
            recurrent_initializer=recurrent_initializer,
            bias_initializer=bias_initializer,
            unit_forget_bias=unit_forget_bias,
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
        self.epsilon = epsilon

    def build(self, input_shape: Shape) -> None:
        super().build(input_shape)
        self.input_norm = _norm(self, 4 * self.units, center=False, quantize_cell=self.quantize)
        self.recurrent_norm = _norm(self, 4 * self.units, center=False)
        self.state_norm = _norm(self, self.units, center=True)

    def preactivations(self, projected: Tensor, h: Tensor, C: Tensor) -> Tensor:
        # The step normalizes the projected input, too: within the compiled loop, that is faster.
        gates = self.input_norm(projected) + self.recurrent_norm(recurrent_product(h, self.recurrent_kernel))
        return gates + self.bias if self.use_bias else gates

    def output_activation(self, C: Tensor) -> Tensor:
        return self.activation(self.state_norm(C))

    def program_key(self) -> Hashable | None:
        parts = (self.activation, self.recurrent_activation, self.use_bias, self.epsilon)
        return key_of(self, LayerNormLSTMCell, *parts)


@keras.saving.register_keras_serializable(package="rnnkit")
class LayerNormGRUCell(GRUCell):
    """One step of the GRU with layer normalization.

    With LN(a; g) = g * (a - mean(a)) / sqrt(variance(a) + epsilon) over the features of each row:

        (z_t, r_t) before their sigmoid  =  LN(W_h h_{t-1}; g_1) + LN(W_x x_t; g_2) + b
        h~_t = tanh(LN(W x_t; g_3) + b_3 + r_t * (LN(U h_{t-1}; g_4) + b_4))
        h_t  = (1 - z_t) * h_{t-1} + z_t * h~_t

    LN takes z and r together and h~ alone, as in the paper. The reset comes after the product, and z means what it
    means in Chung et al. (2014).

    Weights: `kernel`, `recurrent_kernel` and `bias` `(3 * units,)` (b and b_3) in the order z, r, h~; then g_2, g_3,
    g_1, g_4 and b_4.

    Args:
        units: size of h_t.
        activation: activation of the candidate. Defaults to `"tanh"`.
        recurrent_activation: activation of the gates. Defaults to `"sigmoid"`.
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
        epsilon: what keeps the division from zero. Defaults to `1e-5`.
        dropout_each_step: whether dropout draws a fresh mask for every time step instead of one for the sequence.
            Defaults to `False`.
        **kwargs: `name`, `dtype`, `trainable`, and `implementation`, which Keras takes and which changes nothing.

    Call arguments:
        inputs: tensor `(batch, input_features)`, x_t.
        states: list of one tensor `(batch, units)`, h_{t-1}.
        training: whether this is a training run. Defaults to `False`.

    Returns:
        h_t `(batch, units)` and the list of the new state `[h_t]`.

    Raises:
        ValueError: `units` is not a positive integer, or a rate of dropout is not in [0, 1).

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

    def __init__(
        self,
        units: int,
        activation: Activation = "tanh",
        recurrent_activation: Activation = "sigmoid",
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
        epsilon: float = 1e-5,
        dropout_each_step: bool = False,
        **kwargs: Any,
    ):
        super().__init__(
            units,
            activation=activation,
            recurrent_activation=recurrent_activation,
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
            convention="chung",
            dropout_each_step=dropout_each_step,
            **kwargs,
        )
        self.epsilon = epsilon

    def build(self, input_shape: Shape) -> None:
        super().build(input_shape)
        units = self.units
        self.input_norm = _norm(self, 2 * units, center=False, quantize_cell=self.quantize)
        self.candidate_norm = _norm(self, units, center=False)
        self.recurrent_norm = _norm(self, 2 * units, center=False)
        self.recurrent_candidate_norm = _norm(self, units, center=True)

    def project_gates(self, inputs: Tensor) -> Tensor:
        return ops.matmul(inputs, self.kernel)

    def gates(self, projected: Tensors, states: list[Tensor]) -> dict[str, Tensor]:
        projected, h = self.apply_recurrent_dropout(projected, states[0])
        product = recurrent_product(h, self.recurrent_kernel)
        (x_zr, x_h), (h_zr, h_h) = self.split_gates(projected), self.split_gates(product)
        zr, x_h = self.input_norm(x_zr) + self.recurrent_norm(h_zr), self.candidate_norm(x_h)
        if self.use_bias:
            bias_zr, bias_h = self.split_gates(self.bias)
            zr, x_h = zr + bias_zr, x_h + bias_h
        z, r = self.gate_activations(zr, [self.recurrent_activation] * 2)
        candidate = self.activation(x_h + r * self.recurrent_candidate_norm(h_h))
        return self.interpolate(z, r, candidate, states[0])

    def program_key(self) -> Hashable | None:
        parts = (self.activation, self.recurrent_activation, self.use_bias, self.epsilon)
        return key_of(self, LayerNormGRUCell, *parts)

    def get_config(self) -> Config:
        config = super().get_config()
        del config["reset_after"]
        return config


def _norm(cell, size, center, quantize_cell=None):
    policy = without_quantization(cell.dtype_policy)
    norm = Normalization(quantize_cell, epsilon=cell.epsilon, center=center, dtype=policy)
    norm.build((None, size))
    return norm


@keras.saving.register_keras_serializable(package="rnnkit")
class LayerNormLSTM(LSTM):
    """LSTM with layer normalization over a sequence.

    The equations are in `LayerNormLSTMCell`.

    Args:
        units: size of h_t and of C_t.
        activation: activation of the candidate and of C_t. Defaults to `"tanh"`.
        recurrent_activation: activation of the gates. Defaults to `"sigmoid"`.
        use_bias: whether there is a bias. Defaults to `True`.
        kernel_initializer: how the weights of x_t start. Defaults to `"glorot_uniform"`.
        recurrent_initializer: how the weights of h_{t-1} start. Defaults to `"orthogonal"`.
        bias_initializer: how the bias starts. Defaults to `"zeros"`.
        unit_forget_bias: whether 1 is added to the bias of the forget gate at the start. Defaults to `True`.
        kernel_regularizer: regularizer of the kernel. Defaults to `None`.
        recurrent_regularizer: regularizer of the recurrent kernel. Defaults to `None`.
        bias_regularizer: regularizer of the bias. Defaults to `None`.
        activity_regularizer: regularizer of the layer's output. Defaults to `None`.
        kernel_constraint: constraint of the kernel. Defaults to `None`.
        recurrent_constraint: constraint of the recurrent kernel. Defaults to `None`.
        bias_constraint: constraint of the bias. Defaults to `None`.
        dropout: fraction of the inputs to drop, in [0, 1). Defaults to `0.0`.
        recurrent_dropout: fraction of h_{t-1} to drop, in [0, 1). Defaults to `0.0`.
        seed: seed of the dropout. Defaults to `None`.
        return_sequences: whether to return the output of every step instead of the last one. Defaults to `False`.
        return_state: whether to return the last states, too. Defaults to `False`.
        go_backwards: whether to run from the last step to the first; the outputs come in the order of the run. Defaults
            to `False`.
        stateful: whether each batch starts from the last states of the batch before. Defaults to `False`.
        unroll: whether to build one copy of the step per time step instead of a loop (short sequences only). Defaults
            to `False`.
        use_cudnn: `"auto"` or False: cuDNN does not know this equation. Defaults to `"auto"`.
        epsilon: what keeps the division from zero. Defaults to `1e-5`.
        dropout_each_step: whether dropout draws a fresh mask for every time step instead of one for the sequence.
            Defaults to `False`.
        zero_output_for_mask: whether the output of a masked step is zeros instead of the output before it. Defaults to
            `False`.
        **kwargs: `name`, `dtype`, `trainable`, and `implementation`, which Keras takes and which changes nothing.

    Call arguments:
        sequences: tensor `(batch, time, input_features)`, at least one time step.
        initial_state: list of two tensors `(batch, units)`, h and C; zeros if left out.
        mask: boolean tensor `(batch, time)` of any shape, True at unmasked steps.
        training: whether this is a training run. Defaults to `False`.

    Returns:
        `(batch, time, units)` with `return_sequences`, else `(batch, units)`. With `return_state`
        followed by h and C, each `(batch, units)`.

    Raises:
        ValueError: an argument is out of range, or sequences, states or mask have the wrong shape: see `Recurrent`.

    Example:

    >>> import numpy as np, rnnkit.layers
    >>> layer = rnnkit.layers.LayerNormLSTM(8, return_sequences=True)
    >>> tuple(layer(np.zeros((2, 5, 3), "float32")).shape)
    (2, 5, 8)

    References:
        Ba, Kiros and Hinton, "Layer normalization", 2016.
    """

    def __init__(
        self,
        units: int,
        activation: Activation = "tanh",
        recurrent_activation: Activation = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Initializer = "glorot_uniform",
        recurrent_initializer: Initializer = "orthogonal",
        bias_initializer: Initializer = "zeros",
        unit_forget_bias: bool = True,
        kernel_regularizer: Regularizer = None,
        recurrent_regularizer: Regularizer = None,
        bias_regularizer: Regularizer = None,
        activity_regularizer: Regularizer = None,
        kernel_constraint: Constraint = None,
        recurrent_constraint: Constraint = None,
        bias_constraint: Constraint = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        use_cudnn: bool | str = "auto",
        *,
        epsilon: float = 1e-5,
        dropout_each_step: bool = False,
        zero_output_for_mask: bool = False,
        **kwargs: Any,
    ):
        check_arguments(self, units, dropout, recurrent_dropout)
        cell = LayerNormLSTMCell(
            units,
            activation=activation,
            recurrent_activation=recurrent_activation,
            use_bias=use_bias,
            kernel_initializer=kernel_initializer,
            recurrent_initializer=recurrent_initializer,
            bias_initializer=bias_initializer,
            unit_forget_bias=unit_forget_bias,
            kernel_regularizer=kernel_regularizer,
            recurrent_regularizer=recurrent_regularizer,
            bias_regularizer=bias_regularizer,
            kernel_constraint=kernel_constraint,
            recurrent_constraint=recurrent_constraint,
            bias_constraint=bias_constraint,
            dropout=dropout,
            recurrent_dropout=recurrent_dropout,
            seed=seed,
            epsilon=epsilon,
            dropout_each_step=dropout_each_step,
            name="lstm_cell",
            dtype=kwargs.get("dtype"),
            trainable=kwargs.get("trainable", True),
            implementation=kwargs.pop("implementation", 2),
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
        self.set_use_cudnn(use_cudnn)


@keras.saving.register_keras_serializable(package="rnnkit")
class LayerNormGRU(GRU):
    """GRU with layer normalization over a sequence.

    The equations are in `LayerNormGRUCell`.

    Args:
        units: size of h_t.
        activation: activation of the candidate. Defaults to `"tanh"`.
        recurrent_activation: activation of the gates. Defaults to `"sigmoid"`.
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
        seed: seed of the dropout. Defaults to `None`.
        return_sequences: whether to return the output of every step instead of the last one. Defaults to `False`.
        return_state: whether to return the last states, too. Defaults to `False`.
        go_backwards: whether to run from the last step to the first; the outputs come in the order of the run. Defaults
            to `False`.
        stateful: whether each batch starts from the last states of the batch before. Defaults to `False`.
        unroll: whether to build one copy of the step per time step instead of a loop (short sequences only). Defaults
            to `False`.
        use_cudnn: `"auto"` or False: cuDNN does not know this equation. Defaults to `"auto"`.
        epsilon: what keeps the division from zero. Defaults to `1e-5`.
        dropout_each_step: whether dropout draws a fresh mask for every time step instead of one for the sequence.
            Defaults to `False`.
        zero_output_for_mask: whether the output of a masked step is zeros instead of the output before it. Defaults to
            `False`.
        **kwargs: `name`, `dtype`, `trainable`, and `implementation`, which Keras takes and which changes nothing.

    Call arguments:
        sequences: tensor `(batch, time, input_features)`, at least one time step.
        initial_state: list of one tensor `(batch, units)`, h; zeros if left out.
        mask: boolean tensor `(batch, time)` of any shape, True at unmasked steps.
        training: whether this is a training run. Defaults to `False`.

    Returns:
        `(batch, time, units)` with `return_sequences`, else `(batch, units)`. With `return_state`
        followed by h `(batch, units)`.

    Raises:
        ValueError: an argument is out of range, or sequences, states or mask have the wrong shape: see `Recurrent`.

    Example:

    >>> import numpy as np, rnnkit.layers
    >>> layer = rnnkit.layers.LayerNormGRU(8, return_sequences=True)
    >>> tuple(layer(np.zeros((2, 5, 3), "float32")).shape)
    (2, 5, 8)

    References:
        Ba, Kiros and Hinton, "Layer normalization", 2016.
    """

    def __init__(
        self,
        units: int,
        activation: Activation = "tanh",
        recurrent_activation: Activation = "sigmoid",
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
        seed: int | None = None,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        use_cudnn: bool | str = "auto",
        *,
        epsilon: float = 1e-5,
        dropout_each_step: bool = False,
        zero_output_for_mask: bool = False,
        **kwargs: Any,
    ):
        check_arguments(self, units, dropout, recurrent_dropout)
        cell = LayerNormGRUCell(
            units,
            activation=activation,
            recurrent_activation=recurrent_activation,
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
            epsilon=epsilon,
            dropout_each_step=dropout_each_step,
            name="gru_cell",
            dtype=kwargs.get("dtype"),
            trainable=kwargs.get("trainable", True),
            implementation=kwargs.pop("implementation", 2),
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
        self.set_use_cudnn(use_cudnn)

    def get_config(self) -> Config:
        config = super().get_config()
        del config["reset_after"]
        return config

"""The LSTM whose gates see the cell state."""

from collections.abc import Hashable
from typing import Any

import keras
from keras import initializers, ops

from rnnkit.annotations import Activation, Config, Constraint, Initializer, Regularizer, Shape, Tensor
from rnnkit.layers.drop_in import DropInLayer, check_arguments
from rnnkit.layers.lstm import LSTM, LSTMCell
from rnnkit.layers.quantization import Kernel
from rnnkit.layers.recurrent_cell import key_of
from rnnkit.ops.recurrent_product import recurrent_product

PEEPHOLES = ("full", "diagonal")


@keras.saving.register_keras_serializable(package="rnnkit")
class PeepholeLSTMCell(LSTMCell):
    """One step of the LSTM with peepholes: the gates see the cell state, too.

        f_t = sigmoid(W_f [C_{t-1}, h_{t-1}, x_t] + b_f)
        i_t = sigmoid(W_i [C_{t-1}, h_{t-1}, x_t] + b_i)
        o_t = sigmoid(W_o [C_t, h_{t-1}, x_t] + b_o)          o_t sees the new C_t

    and everything else as in `LSTMCell`. With `peephole="full"` whole matrices look at C, as the equations say; with
    `peephole="diagonal"`, as Gers and Schmidhuber did, each unit's gates see its own C only.

    There is one more weight than in `LSTMCell`: `peephole_kernel`, for i, f and o, side by side: `(units, 3 * units)`
    if full, `(3 * units,)` if diagonal.

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
        peephole: `"full"` or `"diagonal"`. Defaults to `"full"`.
        peephole_initializer: how `peephole_kernel` starts; zeros make it an LSTM at first. None means `"orthogonal"` if
            full, `"zeros"` if diagonal. Defaults to `None`.
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
        ValueError: `units` is not a positive integer, a rate of dropout is not in [0, 1), or there is no such peephole.

    Example:

    >>> import rnnkit.layers
    >>> cell = rnnkit.layers.PeepholeLSTMCell(4, peephole="diagonal")
    >>> cell.build((None, 3))
    >>> {weight.name: tuple(weight.shape) for weight in cell.weights}["peephole_kernel"]
    (12,)

    References:
        Gers and Schmidhuber, "Recurrent nets that time and count", 2000.
    """

    extra_arguments = ("dropout_each_step", "peephole", "peephole_initializer")
    cudnn_compatible = False

    kernels = (*LSTMCell.kernels, "peephole_kernel")
    peephole_kernel = Kernel()

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
        peephole: str = "full",
        peephole_initializer: Initializer = None,
        dropout_each_step: bool = False,
        **kwargs: Any,
    ):
        check_peephole(self, peephole)
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
        self.peephole = peephole
        default = "orthogonal" if peephole == "full" else "zeros"
        self.peephole_initializer = initializers.get(peephole_initializer or default)

    def build(self, input_shape: Shape) -> None:
        super().build(input_shape)
        shape = (self.units, 3 * self.units) if self.peephole == "full" else (3 * self.units,)
        self.peephole_kernel = self.add_weight(shape, self.peephole_initializer, name="peephole_kernel")
        self.build_as_loaded()

    def preactivations(self, projected: Tensor, h: Tensor, C: Tensor) -> Tensor:
        units = self.units
        seen = self._seen(C, self.peephole_kernel[..., : 2 * units])
        gates = super().preactivations(projected, h, C)
        return ops.concatenate([gates[:, : 2 * units] + seen, gates[:, 2 * units :]], axis=-1)

    def first_gates(self, preactivations: Tensor) -> list[Tensor]:
        known, o = preactivations[:, : 3 * self.units], preactivations[:, 3 * self.units :]
        sigmoid, tanh = self.recurrent_activation, self.activation
        return [*self.gate_activations(known, [sigmoid, sigmoid, tanh]), o]

    def output_gate(self, o: Tensor, C: Tensor) -> Tensor:
        return self.recurrent_activation(o + self._seen(C, self.peephole_kernel[..., 2 * self.units :]))

    def _seen(self, C, kernel):
        if self.peephole == "full":
            return recurrent_product(C, kernel)
        return ops.tile(C, (1, kernel.shape[0] // self.units)) * kernel

    def program_key(self) -> Hashable | None:
        parts = (self.activation, self.recurrent_activation, self.use_bias, self.peephole)
        return key_of(self, PeepholeLSTMCell, *parts)

    def get_config(self) -> Config:
        return {**super().get_config(), "peephole_initializer": initializers.serialize(self.peephole_initializer)}


def check_peephole(layer: keras.layers.Layer, peephole: str) -> None:
    """Refuses, with a `ValueError`, a peephole that is none."""
    if peephole not in PEEPHOLES:
        raise ValueError(f"{type(layer).__name__} expected peephole to be in {PEEPHOLES}, received {peephole!r}.")


@keras.saving.register_keras_serializable(package="rnnkit")
class PeepholeLSTM(LSTM):
    """LSTM with peepholes over a sequence.

    The gates see the cell state, too: the equations are in `PeepholeLSTMCell`.

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
        peephole: `"full"` or `"diagonal"`. Defaults to `"full"`.
        peephole_initializer: how `peephole_kernel` starts; zeros make it an LSTM at first. None means `"orthogonal"` if
            full, `"zeros"` if diagonal. Defaults to `None`.
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
    >>> layer = rnnkit.layers.PeepholeLSTM(8, peephole="diagonal", return_sequences=True)
    >>> tuple(layer(np.zeros((2, 5, 3), "float32")).shape)
    (2, 5, 8)

    References:
        Gers and Schmidhuber, "Recurrent nets that time and count", 2000.
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
        peephole: str = "full",
        peephole_initializer: Initializer = None,
        dropout_each_step: bool = False,
        zero_output_for_mask: bool = False,
        **kwargs: Any,
    ):
        check_peephole(self, peephole)
        check_arguments(self, units, dropout, recurrent_dropout)
        cell = PeepholeLSTMCell(
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
            peephole=peephole,
            peephole_initializer=peephole_initializer,
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

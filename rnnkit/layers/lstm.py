"""The long short-term memory."""

from collections.abc import Hashable
from typing import Any

import keras
from keras import activations

from rnnkit.annotations import Activation, Constraint, Initializer, Regularizer, Tensor, Tensors
from rnnkit.backend.loop import Equation
from rnnkit.layers.drop_in import DropInCell, DropInLayer, OnCudnn, check_arguments
from rnnkit.layers.recurrent_cell import key_of
from rnnkit.ops.recurrent_product import recurrent_product


@keras.saving.register_keras_serializable(package="rnnkit")
class LSTMCell(DropInCell, keras.layers.LSTMCell):
    """One step of the long short-term memory.

        f_t  = sigmoid(W_f [h_{t-1}, x_t] + b_f)      forget gate
        i_t  = sigmoid(W_i [h_{t-1}, x_t] + b_i)      input gate
        C~_t = tanh(W_C [h_{t-1}, x_t] + b_C)         candidate
        C_t  = f_t * C_{t-1} + i_t * C~_t             cell state, the conveyor belt
        o_t  = sigmoid(W_o [h_{t-1}, x_t] + b_o)      output gate
        h_t  = o_t * tanh(C_t)                        y_t = h_t

    In the code, the matrices are side by side in the order i, f, C, o: `kernel` `(input_features, 4 * units)` holds
    their columns for x_t, `recurrent_kernel` `(units, 4 * units)` those for h_{t-1}, `bias` `(4 * units,)` the b.
    Vectors are rows here: each matrix is the transpose of the one in the equation.

    Weights and configuration are those of `keras.layers.LSTMCell`.

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

    >>> import numpy as np, rnnkit.layers
    >>> cell = rnnkit.layers.LSTMCell(4)
    >>> y, [h, C] = cell(np.ones((1, 3), "float32"), [np.zeros((1, 4), "float32"), np.zeros((1, 4), "float32")])
    >>> tuple(y.shape), tuple(C.shape)
    ((1, 4), (1, 4))

    References:
        Hochreiter and Schmidhuber, "Long short-term memory", 1997; Gers, Schmidhuber and Cummins, "Learning to forget:
        continual prediction with LSTM", 2000.
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
        kernel_constraint: Constraint = None,
        recurrent_constraint: Constraint = None,
        bias_constraint: Constraint = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        *,
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

    @classmethod
    def from_keras_cell(cls, cell: keras.layers.LSTMCell) -> "LSTMCell":
        """Makes the cell that computes what one of Keras's computes, with the same weights."""
        ours = cls(
            cell.units,
            activation=cell.activation,
            recurrent_activation=cell.recurrent_activation,
            use_bias=cell.use_bias,
            name=cell.name,
            dtype=cell.dtype_policy,
        )
        ours.build((None, cell.kernel.shape[0]))
        ours.set_weights(cell.get_weights())
        return ours

    def step(self, projected: Tensors, states: list[Tensor], training: bool = False) -> tuple[Tensor, list[Tensor]]:
        gates = self.gates(projected, states)
        return gates["h"], [gates["h"], gates["C"]]

    def gates(self, projected: Tensors, states: list[Tensor]) -> dict[str, Tensor]:
        """Returns everything that one step computes, each `(batch, units)`: i, f, candidate, o, C and h."""
        projected, h = self.apply_recurrent_dropout(projected, states[0])
        i, f, candidate, o = self.first_gates(self.preactivations(projected, h, states[1]))
        C = f * states[1] + i * candidate
        o = self.output_gate(o, C)
        return {"i": i, "f": f, "candidate": candidate, "o": o, "C": C, "h": o * self.output_activation(C)}

    def preactivations(self, projected: Tensor, h: Tensor, C: Tensor) -> Tensor:
        """Returns what is inside the sigmoid or tanh of i, f, C~ and o, side by side `(batch, 4 * units)`."""
        return recurrent_product(h, self.recurrent_kernel, base=projected, bias=self.bias)

    def first_gates(self, preactivations: Tensor) -> list[Tensor]:
        """Returns i, f, C~ and o, as far as they are known before C_t."""
        sigmoid, tanh = self.recurrent_activation, self.activation
        return self.gate_activations(preactivations, [sigmoid, sigmoid, tanh, sigmoid])

    def output_gate(self, o: Tensor, C: Tensor) -> Tensor:
        """Returns o once C_t is known."""
        return o

    def output_activation(self, C: Tensor) -> Tensor:
        """Returns tanh(C_t)."""
        return self.activation(C)

    def carry_gate(self, gates: dict[str, Tensor]) -> Tensor:
        """Returns the part of C_{t-1} that is carried over to C_t."""
        return gates["f"]

    def program_key(self) -> Hashable | None:
        return key_of(self, LSTMCell, self.activation, self.recurrent_activation, self.use_bias)

    def equation(self, training: bool) -> Equation | None:
        if (self.activation, self.recurrent_activation) != (activations.tanh, activations.sigmoid):
            return None
        return self.equation_of_kernel("lstm", "ifco", training) if type(self) is LSTMCell else None


@keras.saving.register_keras_serializable(package="rnnkit")
class LSTM(OnCudnn, keras.layers.LSTM, DropInLayer):
    """Long short-term memory over a sequence.

    A drop-in for `keras.layers.LSTM`: same constructor, call and weights in the same order, so that
    `layer.set_weights(keras_layer.get_weights())` works both ways. Where the backend has a kernel for its equation
    (PyTorch; any GPU, without a mask), that kernel runs; `explain()` says so. It adds what `Recurrent` adds: masks of
    any shape, and clear errors. `rnnkit.diagnostics.record_gates` shows its gates. The equations are in `LSTMCell`.

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
        use_cudnn: whether to run on cuDNN: `"auto"` where it fits, True or an error, False never. Defaults to `"auto"`.
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
    >>> layer = rnnkit.layers.LSTM(8, return_sequences=True, return_state=True)
    >>> outputs, h, C = layer(np.zeros((2, 5, 3), "float32"))
    >>> tuple(outputs.shape), tuple(C.shape)
    ((2, 5, 8), (2, 8))

    References:
        Hochreiter and Schmidhuber, "Long short-term memory", 1997; Gers, Schmidhuber and Cummins, "Learning to forget:
        continual prediction with LSTM", 2000.
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
        dropout_each_step: bool = False,
        zero_output_for_mask: bool = False,
        **kwargs: Any,
    ):
        check_arguments(self, units, dropout, recurrent_dropout)
        cell = LSTMCell(
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

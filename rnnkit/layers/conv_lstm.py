"""The convolutional long short-term memory."""

from collections.abc import Hashable
from typing import Any

import keras
from keras import ops

from rnnkit.annotations import Activation, Config, Constraint, Initializer, Regularizer, Shape, Tensor, Tensors
from rnnkit.layers.conv_cell import ConvCell, ConvLayer
from rnnkit.layers.recurrent_cell import key_of


@keras.saving.register_keras_serializable(package="rnnkit")
class ConvLSTMCell(ConvCell):
    """One step of the long short-term memory whose products are convolutions.

        i_t = sigmoid(W_xi * x_t + W_hi * h_{t-1} + b_i)
        f_t = sigmoid(W_xf * x_t + W_hf * h_{t-1} + b_f)
        C_t = f_t C_{t-1} + i_t tanh(W_xc * x_t + W_hc * h_{t-1} + b_c)
        o_t = sigmoid(W_xo * x_t + W_ho * h_{t-1} + b_o)
        h_t = o_t tanh(C_t)

    Here * is a convolution, and what stands side by side is multiplied element by element. As in Keras's layers, the
    gates do not see C. In the code, all W_x are `kernel` and all W_h `recurrent_kernel`, in the order i, f, C~, o.

    To train a cell that has dropout, use `Recurrent` around it: `keras.layers.RNN` would draw inside of its loop.

    Args:
        rank: number of axes that are convolved: 1 for `(length, channels)`, 2 for `(height, width, channels)`.
        filters: number of channels of the states and of the output.
        kernel_size: size of the kernels, an integer or one for each axis.
        strides: strides of the convolution of the input, an integer or one for each axis. Defaults to `1`.
        padding: `"valid"` or `"same"`, of the convolution of the input. Defaults to `"valid"`.
        data_format: `"channels_last"` or `"channels_first"`. Defaults to `None`, what
            `keras.config.image_data_format()` says.
        dilation_rate: dilation of the convolution of the input, an integer or one for each axis. Where it is not 1, the
            strides are. Defaults to `1`.
        activation: activation of the candidate and of the new C. Defaults to `"tanh"`.
        recurrent_activation: activation of the gates. Defaults to `"sigmoid"`.
        use_bias: whether there is a bias. Defaults to `True`.
        kernel_initializer: how the weights of x_t start. Defaults to `"glorot_uniform"`.
        recurrent_initializer: how the weights of h_{t-1} start. Defaults to `"orthogonal"`.
        bias_initializer: how the bias starts. Defaults to `"zeros"`.
        unit_forget_bias: whether the bias of the forget gate starts at 1. Defaults to `True`.
        kernel_regularizer: regularizer of the kernel. Defaults to `None`.
        recurrent_regularizer: regularizer of the recurrent kernel. Defaults to `None`.
        bias_regularizer: regularizer of the bias. Defaults to `None`.
        kernel_constraint: constraint of the kernel. Defaults to `None`.
        recurrent_constraint: constraint of the recurrent kernel. Defaults to `None`.
        bias_constraint: constraint of the bias. Defaults to `None`.
        dropout: fraction of the inputs to drop, in [0, 1), by a mask for each gate. Defaults to `0.0`.
        recurrent_dropout: fraction of h_{t-1} to drop, in [0, 1), by a mask for each gate. Defaults to `0.0`.
        seed: seed of the dropout. Defaults to `None`.
        **kwargs: `name`, `dtype`, `trainable`.

    Call arguments:
        inputs: tensor `(batch, *axes, channels)`, or `(batch, channels, *axes)`: x_t.
        states: list of h_{t-1} and C_{t-1}, `(batch, *output_axes, filters)` or `(batch, filters, *output_axes)`.
        training: whether this is a training run. Defaults to `False`.

    Returns:
        h_t and the list of the new states.

    Raises:
        ValueError: an argument is out of range, or an axis of the input but the batch is unknown.

    Example:

    >>> import numpy as np, rnnkit.layers
    >>> layer = rnnkit.layers.Recurrent(rnnkit.layers.ConvLSTMCell(2, filters=4, kernel_size=3))
    >>> tuple(layer(np.zeros((2, 5, 8, 6, 3), "float32")).shape)
    (2, 6, 4, 4)

    References:
        Shi, Chen, Wang, Yeung, Wong and Woo, "Convolutional LSTM network: a machine learning approach for precipitation
        nowcasting", 2015.
    """

    gates_count, states_count = 4, 2

    def __init__(
        self,
        rank: int,
        filters: int,
        kernel_size: int | tuple[int, ...],
        strides: int | tuple[int, ...] = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: int | tuple[int, ...] = 1,
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
        **kwargs: Any,
    ):
        super().__init__(
            rank,
            filters,
            kernel_size,
            strides=strides,
            padding=padding,
            data_format=data_format,
            dilation_rate=dilation_rate,
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
            **kwargs,
        )
        self.unit_forget_bias = bool(unit_forget_bias)

    def program_key(self) -> Hashable | None:
        how = self.rank, self.filters, self.strides, self.padding, self.data_format, self.dilation_rate, self.use_bias
        return key_of(self, ConvLSTMCell, *how, self.output_size, self.activation, self.recurrent_activation)

    def initial_bias(self, shape: Shape, dtype: Any = None) -> Tensor:
        if not self.unit_forget_bias:
            return super().initial_bias(shape, dtype)
        of_i, of_rest = (self.bias_initializer((n * self.filters,), dtype=dtype) for n in (1, 2))
        return ops.concatenate([of_i, ops.ones((self.filters,), dtype=dtype), of_rest])

    def step(self, projected: Tensors, states: list[Tensor], training: bool = False) -> tuple[Tensor, list[Tensor]]:
        gates = self.gates(projected, states)
        return gates["h"], [gates["h"], gates["C"]]

    def gates(self, projected: Tensors, states: list[Tensor]) -> dict[str, Tensor]:
        """Returns everything that one step computes: i, f, candidate, o, C and h, each of the shape of a state."""
        projected, masks = projected if isinstance(projected, tuple) else (projected, None)
        sums = projected + self.convolve(states[0], self.recurrent_kernel, masks)
        i, f, candidate, o = ops.split(sums, 4, axis=self.channel_axis)
        i, f, o = self.recurrent_activation(i), self.recurrent_activation(f), self.recurrent_activation(o)
        candidate = self.activation(candidate)
        C = f * states[1] + i * candidate
        return {"i": i, "f": f, "candidate": candidate, "o": o, "C": C, "h": o * self.activation(C)}

    def get_config(self) -> Config:
        return {**super().get_config(), "unit_forget_bias": self.unit_forget_bias}


class _ConvLSTM(ConvLayer):
    """The layers of all ranks: each names its own, and all share the arguments."""

    rank: int

    def __init__(
        self,
        filters: int,
        kernel_size: int | tuple[int, ...],
        strides: int | tuple[int, ...] = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: int | tuple[int, ...] = 1,
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
        *,
        zero_output_for_mask: bool = False,
        **kwargs: Any,
    ):
        cell = ConvLSTMCell(
            self.rank,
            filters,
            kernel_size,
            strides=strides,
            padding=padding,
            data_format=data_format,
            dilation_rate=dilation_rate,
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
            name="conv_lstm_cell",
            dtype=kwargs.get("dtype"),
            trainable=kwargs.get("trainable", True),
        )
        ConvLayer.__init__(
            self,
            cell,
            activity_regularizer=activity_regularizer,
            return_sequences=return_sequences,
            return_state=return_state,
            go_backwards=go_backwards,
            stateful=stateful,
            zero_output_for_mask=zero_output_for_mask,
            **kwargs,
        )


@keras.saving.register_keras_serializable(package="rnnkit")
class ConvLSTM1D(keras.layers.ConvLSTM1D, _ConvLSTM):
    """Convolutional LSTM over sequences of rows, such as spectra or several sensors.

    A drop-in for `keras.layers.ConvLSTM1D`: same constructor, call and order of weights. It adds what `Recurrent` adds:
    masks of any shape, under which masked steps change nothing. The equations are in `ConvLSTMCell`.

    Args:
        filters: number of channels of the states and of the output.
        kernel_size: size of the kernels, an integer.
        strides: strides of the convolution of the input, an integer. Defaults to `1`.
        padding: `"valid"` or `"same"`, of the convolution of the input. Defaults to `"valid"`.
        data_format: `"channels_last"` or `"channels_first"`. Defaults to `None`, what
            `keras.config.image_data_format()` says.
        dilation_rate: dilation of the convolution of the input, an integer. Where it is not 1, the
            strides are. Defaults to `1`.
        activation: activation of the candidate and of the new C. Defaults to `"tanh"`.
        recurrent_activation: activation of the gates. Defaults to `"sigmoid"`.
        use_bias: whether there is a bias. Defaults to `True`.
        kernel_initializer: how the weights of x_t start. Defaults to `"glorot_uniform"`.
        recurrent_initializer: how the weights of h_{t-1} start. Defaults to `"orthogonal"`.
        bias_initializer: how the bias starts. Defaults to `"zeros"`.
        unit_forget_bias: whether the bias of the forget gate starts at 1. Defaults to `True`.
        kernel_regularizer: regularizer of the kernel. Defaults to `None`.
        recurrent_regularizer: regularizer of the recurrent kernel. Defaults to `None`.
        bias_regularizer: regularizer of the bias. Defaults to `None`.
        activity_regularizer: regularizer of the layer's output. Defaults to `None`.
        kernel_constraint: constraint of the kernel. Defaults to `None`.
        recurrent_constraint: constraint of the recurrent kernel. Defaults to `None`.
        bias_constraint: constraint of the bias. Defaults to `None`.
        dropout: fraction of the inputs to drop, in [0, 1), by a mask for each gate. Defaults to `0.0`.
        recurrent_dropout: fraction of h_{t-1} to drop, in [0, 1), by a mask for each gate. Defaults to `0.0`.
        seed: seed of the dropout. Defaults to `None`.
        return_sequences: whether to return the output of every step instead of the last one. Defaults to `False`.
        return_state: whether to return the last states, too. Defaults to `False`.
        go_backwards: whether to run from the last step to the first; the outputs come in the order of the run. Defaults
            to `False`.
        stateful: whether each batch starts from the last states of the batch before. Defaults to `False`.
        zero_output_for_mask: whether the output of a masked step is zeros instead of the output before it. Defaults to
            `False`.
        **kwargs: `name`, `dtype`, `trainable`, `unroll`.

    Call arguments:
        sequences: tensor `(batch, time, length, channels)`, or with the channels after the time. At least one
            time step; all axes are known but batch and time.
        initial_state: list of h and C, each of the shape of an output at one step; zeros if left out.
        mask: boolean tensor `(batch, time)` of any shape, True at unmasked steps.
        training: whether this is a training run. Defaults to `False`.

    Returns:
        The outputs of all steps with `return_sequences`, `(batch, time, *output_axes, filters)`, else that of the last
        step. With `return_state` followed by h and C, `(batch, *output_axes, filters)`.

    Raises:
        ValueError: an argument is out of range, or sequences, states or mask have the wrong shape: see `Recurrent`.

    Example:

    >>> import numpy as np, rnnkit.layers
    >>> layer = rnnkit.layers.ConvLSTM1D(4, 3, padding="same", return_sequences=True)
    >>> tuple(layer(np.zeros((2, 5, 8, 3), "float32")).shape)
    (2, 5, 8, 4)

    References:
        Shi, Chen, Wang, Yeung, Wong and Woo, "Convolutional LSTM network: a machine learning approach for precipitation
        nowcasting", 2015.
    """

    rank = 1
    __init__ = _ConvLSTM.__init__
    compute_output_shape = ConvLayer.compute_output_shape
    compute_mask = ConvLayer.compute_mask


@keras.saving.register_keras_serializable(package="rnnkit")
class ConvLSTM2D(keras.layers.ConvLSTM2D, _ConvLSTM):
    """Convolutional LSTM over sequences of pictures.

    A drop-in for `keras.layers.ConvLSTM2D`: same constructor, call and order of weights. It adds what `Recurrent` adds:
    masks of any shape, under which masked steps change nothing. The equations are in `ConvLSTMCell`.

    Args:
        filters: number of channels of the states and of the output.
        kernel_size: size of the kernels, an integer or a pair.
        strides: strides of the convolution of the input, an integer or a pair. Defaults to `1`.
        padding: `"valid"` or `"same"`, of the convolution of the input. Defaults to `"valid"`.
        data_format: `"channels_last"` or `"channels_first"`. Defaults to `None`, what
            `keras.config.image_data_format()` says.
        dilation_rate: dilation of the convolution of the input, an integer or a pair. Where it is not 1, the
            strides are. Defaults to `1`.
        activation: activation of the candidate and of the new C. Defaults to `"tanh"`.
        recurrent_activation: activation of the gates. Defaults to `"sigmoid"`.
        use_bias: whether there is a bias. Defaults to `True`.
        kernel_initializer: how the weights of x_t start. Defaults to `"glorot_uniform"`.
        recurrent_initializer: how the weights of h_{t-1} start. Defaults to `"orthogonal"`.
        bias_initializer: how the bias starts. Defaults to `"zeros"`.
        unit_forget_bias: whether the bias of the forget gate starts at 1. Defaults to `True`.
        kernel_regularizer: regularizer of the kernel. Defaults to `None`.
        recurrent_regularizer: regularizer of the recurrent kernel. Defaults to `None`.
        bias_regularizer: regularizer of the bias. Defaults to `None`.
        activity_regularizer: regularizer of the layer's output. Defaults to `None`.
        kernel_constraint: constraint of the kernel. Defaults to `None`.
        recurrent_constraint: constraint of the recurrent kernel. Defaults to `None`.
        bias_constraint: constraint of the bias. Defaults to `None`.
        dropout: fraction of the inputs to drop, in [0, 1), by a mask for each gate. Defaults to `0.0`.
        recurrent_dropout: fraction of h_{t-1} to drop, in [0, 1), by a mask for each gate. Defaults to `0.0`.
        seed: seed of the dropout. Defaults to `None`.
        return_sequences: whether to return the output of every step instead of the last one. Defaults to `False`.
        return_state: whether to return the last states, too. Defaults to `False`.
        go_backwards: whether to run from the last step to the first; the outputs come in the order of the run. Defaults
            to `False`.
        stateful: whether each batch starts from the last states of the batch before. Defaults to `False`.
        zero_output_for_mask: whether the output of a masked step is zeros instead of the output before it. Defaults to
            `False`.
        **kwargs: `name`, `dtype`, `trainable`, `unroll`.

    Call arguments:
        sequences: tensor `(batch, time, height, width, channels)`, or with the channels after the time. At least one
            time step; all axes are known but batch and time.
        initial_state: list of h and C, each of the shape of an output at one step; zeros if left out.
        mask: boolean tensor `(batch, time)` of any shape, True at unmasked steps.
        training: whether this is a training run. Defaults to `False`.

    Returns:
        The outputs of all steps with `return_sequences`, `(batch, time, *output_axes, filters)`, else that of the last
        step. With `return_state` followed by h and C, `(batch, *output_axes, filters)`.

    Raises:
        ValueError: an argument is out of range, or sequences, states or mask have the wrong shape: see `Recurrent`.

    Example:

    >>> import numpy as np, rnnkit.layers
    >>> layer = rnnkit.layers.ConvLSTM2D(4, 3, padding="same", return_sequences=True)
    >>> tuple(layer(np.zeros((2, 5, 8, 6, 3), "float32")).shape)
    (2, 5, 8, 6, 4)

    References:
        Shi, Chen, Wang, Yeung, Wong and Woo, "Convolutional LSTM network: a machine learning approach for precipitation
        nowcasting", 2015.
    """

    rank = 2
    __init__ = _ConvLSTM.__init__
    compute_output_shape = ConvLayer.compute_output_shape
    compute_mask = ConvLayer.compute_mask

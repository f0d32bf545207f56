"""The gated recurrent unit, in the three conventions that are in use."""

from collections.abc import Hashable
from typing import Any

import keras
from keras import activations

from rnnkit.annotations import Activation, Constraint, Initializer, Regularizer, Tensor, Tensors
from rnnkit.backend.loop import Equation
from rnnkit.layers.drop_in import DropInCell, DropInLayer, OnCudnn, check_arguments
from rnnkit.layers.recurrent_cell import key_of
from rnnkit.ops.recurrent_product import recurrent_product

CONVENTIONS = ("chung", "keras", "torch")


@keras.saving.register_keras_serializable(package="rnnkit")
class GRUCell(DropInCell, keras.layers.GRUCell):
    """One step of the gated recurrent unit.

    As Chung et al. (2014) write it (`convention="chung"`), here with a bias, which they leave out (`use_bias=False`):

        z_t  = sigmoid(W_z [h_{t-1}, x_t] + b_z)          update gate
        r_t  = sigmoid(W_r [h_{t-1}, x_t] + b_r)          reset gate
        h~_t = tanh(W [r_t * h_{t-1}, x_t] + b)           candidate
        h_t  = (1 - z_t) * h_{t-1} + z_t * h~_t

    Cho et al. (2014), who introduced the unit, have z the other way round in the last line, as Keras does.

    Keras's (`convention="keras"`) also resets after the product, with a second bias c:

        h~_t = tanh(W_x x_t + b + r_t * (W_h h_{t-1} + c))     or as above, with reset_after=False
        h_t  = z_t * h_{t-1} + (1 - z_t) * h~_t

    PyTorch's (`convention="torch"`) is this same equation with the gates in another order.

    In the code, the matrices are side by side, in the order z, r, h~, or r, z, h~ for "torch": `kernel`
    `(input_features, 3 * units)` holds their columns for x_t and `recurrent_kernel` `(units, 3 * units)` those for
    h_{t-1}. `bias` is `(2, 3 * units)`, b and c, where the reset comes after the product, else `(3 * units,)`.

    Weights and configuration are those of `keras.layers.GRUCell`.

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
        reset_after: whether the reset comes after the product; for `convention="keras"` only. Defaults to `True`.
        seed: seed of the dropout. Defaults to `None`.
        convention: `"keras"`, `"chung"` or `"torch"`. `"chung"` always resets before the product, `"torch"` always
            after. Defaults to `"keras"`.
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
        ValueError: `units` is not a positive integer, a rate of dropout is not in [0, 1), there is no such convention,
            or `reset_after=False` with `"torch"`.

    Example:

    >>> import numpy as np, rnnkit.layers
    >>> cell = rnnkit.layers.GRUCell(4, convention="chung")
    >>> y, [h] = cell(np.ones((1, 3), "float32"), [np.zeros((1, 4), "float32")])
    >>> tuple(y.shape), tuple(h.shape)
    ((1, 4), (1, 4))

    References:
        Cho et al., "Learning phrase representations using RNN encoder-decoder for statistical machine translation",
        2014; Chung et al., "Empirical evaluation of gated recurrent neural networks on sequence modeling", 2014.
    """

    extra_arguments = ("dropout_each_step", "convention")

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
        reset_after: bool = True,
        seed: int | None = None,
        *,
        convention: str = "keras",
        dropout_each_step: bool = False,
        **kwargs: Any,
    ):
        check_convention(self, convention, reset_after)
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
            reset_after=reset_after,
            seed=seed,
            dropout_each_step=dropout_each_step,
            **kwargs,
        )
        self.convention = convention
        if convention != "keras":
            self.reset_after = convention == "torch"
            self.cudnn_compatible = False

    @classmethod
    def from_keras_cell(cls, cell: keras.layers.GRUCell) -> "GRUCell":
        """Makes the cell that computes what one of Keras's computes, with the same weights."""
        ours = cls(
            cell.units,
            activation=cell.activation,
            recurrent_activation=cell.recurrent_activation,
            use_bias=cell.use_bias,
            reset_after=cell.reset_after,
            name=cell.name,
            dtype=cell.dtype_policy,
        )
        ours.build((None, cell.kernel.shape[0]))
        ours.set_weights(cell.get_weights())
        return ours

    def project_gates(self, inputs: Tensor) -> Tensor:
        gates = super().project_gates(inputs)
        if not self.use_bias:
            return gates
        return gates + (self.bias[0] if self.reset_after else self.bias)

    def step(self, projected: Tensors, states: list[Tensor], training: bool = False) -> tuple[Tensor, list[Tensor]]:
        h = self.gates(projected, states)["h"]
        return h, [h]

    def gates(self, projected: Tensors, states: list[Tensor]) -> dict[str, Tensor]:
        """Returns everything that one step computes, each `(batch, units)`: z, r, candidate and h."""
        projected, h = self.apply_recurrent_dropout(projected, states[0])
        (x_zr, x_h), (kernel_zr, kernel_h) = self.split_gates(projected), self.split_gates(self.recurrent_kernel)
        if self.reset_after:
            bias = self.bias[1] if self.use_bias else None
            h_zr, h_h = self.split_gates(recurrent_product(h, self.recurrent_kernel, bias=bias))
            zr = x_zr + h_zr
        else:
            zr = recurrent_product(h, kernel_zr, base=x_zr)
        z, r = self.gate_activations(zr, [self.recurrent_activation] * 2)
        if self.convention == "torch":
            z, r = r, z
        candidate = self.activation(x_h + r * h_h if self.reset_after else recurrent_product(r * h, kernel_h, base=x_h))
        return self.interpolate(z, r, candidate, states[0])

    def interpolate(self, z: Tensor, r: Tensor, candidate: Tensor, h: Tensor) -> dict[str, Tensor]:
        """Returns the values of a step, with the new state between h_{t-1} and the candidate."""
        carried = self.carry_gate({"z": z})
        return {"z": z, "r": r, "candidate": candidate, "h": carried * h + (1 - carried) * candidate}

    def carry_gate(self, gates: dict[str, Tensor]) -> Tensor:
        """Returns the part of h_{t-1} that is carried over to h_t."""
        return 1 - gates["z"] if self.convention == "chung" else gates["z"]

    def split_gates(self, gates: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the columns of both gates, and those of the candidate."""
        return gates[..., : 2 * self.units], gates[..., 2 * self.units :]

    def program_key(self) -> Hashable | None:
        parts = (self.activation, self.recurrent_activation, self.use_bias, self.convention, self.reset_after)
        return key_of(self, GRUCell, *parts)

    def equation(self, training: bool) -> Equation | None:
        if (self.activation, self.recurrent_activation) != (activations.tanh, activations.sigmoid):
            return None
        if type(self) is not GRUCell or not self.reset_after:
            return None
        return self.equation_of_kernel("gru", "rzh" if self.convention == "torch" else "zrh", training)


def check_convention(layer: keras.layers.Layer, convention: str, reset_after: bool) -> None:
    """Refuses, with a `ValueError`, a convention that is none, and a reset that is not that of the convention."""
    owner = type(layer).__name__
    if convention not in CONVENTIONS:
        raise ValueError(f"{owner} expected convention to be in {CONVENTIONS}, received {convention!r}.")
    if convention == "torch" and not reset_after:
        raise ValueError(
            f"{owner}(convention='torch') resets after the product: reset_after=False is for convention='keras'."
        )


@keras.saving.register_keras_serializable(package="rnnkit")
class GRU(OnCudnn, keras.layers.GRU, DropInLayer):
    """Gated recurrent unit over a sequence.

    By default a drop-in for `keras.layers.GRU`: same constructor, call and weights in the same order, so that
    `layer.set_weights(keras_layer.get_weights())` works both ways. Where the backend has a kernel for its equation
    (PyTorch; TensorFlow on a GPU, without a mask), that kernel runs; `explain()` says so. With `convention="chung"` it
    is the GRU of Chung et al. (2014), with `convention="torch"` that of PyTorch. `rnnkit.convert` moves weights between
    them where that is possible. The equations are in `GRUCell`.

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
        reset_after: whether the reset comes after the product; for `convention="keras"` only. Defaults to `True`.
        use_cudnn: whether to run on cuDNN: `"auto"` where it fits, True or an error, False never. Defaults to `"auto"`.
        convention: `"keras"`, `"chung"` or `"torch"`. `"chung"` always resets before the product, `"torch"` always
            after. Defaults to `"keras"`.
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
    >>> layer = rnnkit.layers.GRU(8, convention="chung", return_sequences=True)
    >>> tuple(layer(np.zeros((2, 5, 3), "float32")).shape)
    (2, 5, 8)

    References:
        Cho et al., "Learning phrase representations using RNN encoder-decoder for statistical machine translation",
        2014; Chung et al., "Empirical evaluation of gated recurrent neural networks on sequence modeling", 2014.
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
        reset_after: bool = True,
        use_cudnn: bool | str = "auto",
        *,
        convention: str = "keras",
        dropout_each_step: bool = False,
        zero_output_for_mask: bool = False,
        **kwargs: Any,
    ):
        check_convention(self, convention, reset_after)
        check_arguments(self, units, dropout, recurrent_dropout)
        cell = GRUCell(
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
            reset_after=reset_after,
            seed=seed,
            convention=convention,
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

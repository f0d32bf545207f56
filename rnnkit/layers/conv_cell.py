"""What cells have in common whose products are convolutions."""

from typing import Any

import keras
from keras import activations, constraints, initializers, ops, random, regularizers, tree

from rnnkit.annotations import Activation, Config, Constraint, Initializer, Regularizer, Shape, Tensor, Tensors
from rnnkit.arguments import check_positive_integer, check_rate
from rnnkit.layers.recurrent import Recurrent
from rnnkit.layers.recurrent_cell import RecurrentCell


class ConvCell(RecurrentCell):
    """Base of cells that convolve their input and their state.

    The input is convolved for all time steps at once, in `project`. The convolution of the state has stride 1 and
    padding `"same"`: it keeps the shape.

    A subclass says how many `gates` it has, whose kernels are side by side, and how many states.
    """

    not_for_xla = "XLA is slow with convolutions on a processor"
    gates_count: int
    states_count: int

    def __init__(
        self,
        rank: int,
        filters: int,
        kernel_size: int | tuple[int, ...],
        strides: int | tuple[int, ...],
        padding: str,
        data_format: str | None,
        dilation_rate: int | tuple[int, ...],
        activation: Activation,
        recurrent_activation: Activation,
        use_bias: bool,
        kernel_initializer: Initializer,
        recurrent_initializer: Initializer,
        bias_initializer: Initializer,
        kernel_regularizer: Regularizer,
        recurrent_regularizer: Regularizer,
        bias_regularizer: Regularizer,
        kernel_constraint: Constraint,
        recurrent_constraint: Constraint,
        bias_constraint: Constraint,
        dropout: float,
        recurrent_dropout: float,
        seed: int | None,
        **kwargs: Any,
    ):
        owner = type(self).__name__
        super().__init__(**kwargs)
        self.rank = check_positive_integer(owner, "rank", rank)
        self.filters = check_positive_integer(owner, "filters", filters)
        self.kernel_size = _sizes_of_axes(owner, "kernel_size", kernel_size, rank)
        self.strides = _sizes_of_axes(owner, "strides", strides, rank)
        self.dilation_rate = _sizes_of_axes(owner, "dilation_rate", dilation_rate, rank)
        if max(self.strides) > 1 and max(self.dilation_rate) > 1:
            raise ValueError(
                f"{owner} expected strides or dilation_rate to be 1, received strides={self.strides} and "
                f"dilation_rate={self.dilation_rate}: use one of them."
            )
        self.padding = _one_of(owner, "padding", str(padding).lower(), ("valid", "same"))
        data_format = keras.config.image_data_format() if data_format is None else data_format
        self.data_format = _one_of(owner, "data_format", data_format, ("channels_last", "channels_first"))
        self.activation = activations.get(activation)
        self.recurrent_activation = activations.get(recurrent_activation)
        self.use_bias = bool(use_bias)
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.recurrent_initializer = initializers.get(recurrent_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.recurrent_regularizer = regularizers.get(recurrent_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)
        self.recurrent_constraint = constraints.get(recurrent_constraint)
        self.bias_constraint = constraints.get(bias_constraint)
        self.dropout = check_rate(owner, "dropout", dropout)
        self.recurrent_dropout = check_rate(owner, "recurrent_dropout", recurrent_dropout)
        self.seed = seed
        self.seed_generator = random.SeedGenerator(seed)
        self.input_spec = keras.InputSpec(ndim=self.rank + 2)
        self.state_size, self.output_size = self.sizes((None,) * (self.rank + 2))

    @property
    def channel_axis(self) -> int:
        """The axis of the channels, or filters, counted from the last."""
        return -1 if self.data_format == "channels_last" else -1 - self.rank

    def sizes(self, input_shape: Shape) -> tuple[Any, Any]:
        axes = list(tree.flatten(input_shape))[1:]  # in a stack, Keras nests them
        axes.pop(self.channel_axis)
        reach = [(kernel - 1) * rate for kernel, rate in zip(self.kernel_size, self.dilation_rate, strict=True)]
        lost = reach if self.padding == "valid" else [0] * self.rank
        size = [
            None if n is None else (n - lost + stride - 1) // stride
            for n, lost, stride in zip(axes, lost, self.strides, strict=True)
        ]
        if any(n is not None and n < 1 for n in size):
            raise ValueError(
                f"{type(self).__name__} expected inputs that its kernel of size {self.kernel_size} fits into, received "
                f"{tuple(input_shape)}: use padding='same', or a smaller kernel."
            )
        size.insert(len(size) if self.channel_axis == -1 else 0, self.filters)
        return [tuple(size)] * self.states_count, tuple(size)

    def build(self, input_shape: Shape) -> None:
        input_shape = tuple(tree.flatten(input_shape))
        if len(input_shape) != self.rank + 2 or None in input_shape[1:]:
            raise ValueError(
                f"{type(self).__name__} expected inputs of {self.rank + 2} axes at one step, all known but the batch, "
                f"received shape {input_shape}: give keras.Input their sizes."
            )
        channels, units = input_shape[self.channel_axis], self.gates_count * self.filters
        self.state_size, self.output_size = self.sizes(input_shape)
        self.kernel = self.add_weight(
            (*self.kernel_size, channels, units),
            initializer=self.kernel_initializer,
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
            name="kernel",
        )
        self.recurrent_kernel = self.add_weight(
            (*self.kernel_size, self.filters, units),
            initializer=self.recurrent_initializer,
            regularizer=self.recurrent_regularizer,
            constraint=self.recurrent_constraint,
            name="recurrent_kernel",
        )
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(
                (units,),
                initializer=self.initial_bias,
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
                name="bias",
            )
        self.input_spec = keras.InputSpec(shape=(None, *input_shape[1:]))

    def initial_bias(self, shape: Shape, dtype: Any = None) -> Tensor:
        """Returns the bias before training."""
        return self.bias_initializer(shape, dtype=dtype)

    def project(self, inputs: Tensor, training: bool = False) -> Tensors:
        batch = ops.shape(inputs)[-2 - self.rank]
        draws = training and self.dropout
        masks = self._masks((batch, *self.input_spec.shape[1:]), self.dropout) if draws else None
        projected = self.convolve(inputs, self.kernel, masks, self.strides, self.padding, self.dilation_rate)
        if self.bias is not None:
            projected = projected + ops.reshape(self.bias, (-1, *[1] * (-1 - self.channel_axis)))
        if not (training and self.recurrent_dropout):
            return projected
        masks = self._masks((batch, *self.output_size), self.recurrent_dropout)
        leading = ops.shape(inputs)[: -1 - self.rank]
        return projected, [ops.broadcast_to(mask, (*leading, *self.output_size)) for mask in masks]

    def convolve(
        self,
        x: Tensor,
        kernel: Tensor,
        masks: list[Tensor] | None = None,
        strides: Any = 1,
        padding: str = "same",
        dilation_rate: Any = 1,
    ) -> Tensor:
        """Convolves `(..., batch, *axes)`, of any number of steps.

        Args:
            x: what to convolve.
            kernel: the kernels of some gates, side by side.
            masks: for each of these gates, what `x` is multiplied with first. Defaults to `None`: with nothing.
            strides: strides. Defaults to `1`.
            padding: `"valid"` or `"same"`. Defaults to `"same"`.
            dilation_rate: dilation. Defaults to `1`.
        """
        if masks is not None:
            kernels = ops.split(kernel, len(masks), axis=-1)
            parts = [
                self.convolve(x * mask, kernel, None, strides, padding, dilation_rate)
                for mask, kernel in zip(masks, kernels, strict=True)
            ]
            return ops.concatenate(parts, axis=self.channel_axis)
        leading = ops.shape(x)[: -1 - self.rank]
        flat = ops.reshape(x, (-1, *x.shape[-1 - self.rank :]))
        outputs = ops.conv(flat, kernel, strides, padding, self.data_format, dilation_rate)
        return outputs if len(leading) == 1 else ops.reshape(outputs, (*leading, *outputs.shape[1:]))

    def _masks(self, shape, rate):
        return [
            random.dropout(ops.ones(shape, dtype=self.compute_dtype), rate, seed=self.seed_generator)
            for _ in range(self.gates_count)
        ]

    def get_config(self) -> Config:
        plain = (
            "rank filters kernel_size strides padding data_format dilation_rate use_bias dropout recurrent_dropout seed"
        )
        config = {name: getattr(self, name) for name in plain.split()}
        for module, kinds in (
            (activations, ["activation", "recurrent_activation"]),
            (initializers, ["kernel_initializer", "recurrent_initializer", "bias_initializer"]),
            (regularizers, ["kernel_regularizer", "recurrent_regularizer", "bias_regularizer"]),
            (constraints, ["kernel_constraint", "recurrent_constraint", "bias_constraint"]),
        ):
            config |= {name: module.serialize(getattr(self, name)) for name in kinds}
        return {**super().get_config(), **config}


class ConvLayer(Recurrent):
    """Base of layers around such a cell: their arguments are those of the cell, except for its rank."""

    def __init__(self, cell: ConvCell, activity_regularizer: Regularizer, **kwargs: Any):
        Recurrent.__init__(self, cell, **kwargs)
        self.activity_regularizer = regularizers.get(activity_regularizer)

    def get_config(self) -> Config:
        config, own = self.cell.get_config(), keras.layers.Layer.get_config(self.cell)
        config = {name: value for name, value in config.items() if name not in own and name != "rank"}
        config["activity_regularizer"] = regularizers.serialize(self.activity_regularizer)
        return {**super().get_config(), **config}


def _sizes_of_axes(owner, name, value, rank):
    values = (value,) * rank if isinstance(value, int) else tuple(value)
    if len(values) != rank:
        raise ValueError(f"{owner} expected {name} to be an integer or {rank} of them, received {value!r}.")
    return tuple(check_positive_integer(owner, name, one) for one in values)


def _one_of(owner, name, value, values):
    if value not in values:
        raise ValueError(f"{owner} expected {name} to be one of {values}, received {value!r}.")
    return value

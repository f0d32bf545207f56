"""Kernels in eight bits: what `keras.Model.quantize("int8")` makes of a cell."""

from typing import Any

import keras
from keras import ops

from rnnkit.annotations import Shape, Tensor
from rnnkit.layers.recurrent_cell import RecurrentCell


class Kernel:
    """A kernel of a cell: while it is a variable, that variable; in eight bits, the tensor that the step computes with.

    Keras's cells set the attribute in their `build`, which hides this one until the cell deletes its variable.
    """

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, cell: Any, owner: type | None = None) -> Any:
        if cell is None:
            return self
        if f"quantized_{self.name}" not in vars(cell):
            raise AttributeError(f"{type(cell).__name__} {cell.name!r} has no {self.name!r} before it is built.")
        integers, scale = getattr(cell, f"quantized_{self.name}"), getattr(cell, f"{self.name}_scale")
        return ops.divide(ops.cast(integers, scale.dtype), scale)


class KernelsInInt8(RecurrentCell):
    """Base of cells whose kernels `quantize` stores as integers of eight bits, with a scale for each output channel.

    A step computes in floating point, with `integers / scale`. What is not a matrix, such as a bias, stays as it is.
    As in `keras.layers.Dense`, integers and scales are not trained, and what stays as it is goes on being trained.
    """

    kernels: tuple[str, ...] = ("kernel", "recurrent_kernel")  # names of attributes, each with a `Kernel`
    kernel, recurrent_kernel = Kernel(), Kernel()
    dtype_policy: Any

    def quantize(self, mode: str | None = None, type_check: bool = True, config: Any = None) -> None:
        """Stores the kernels in eight bits; `keras.Model.quantize` calls this.

        Args:
            mode: `"int8"`. Defaults to `None`, the mode of `config`.
            type_check: what Keras passes; subclasses are quantized in any case. Defaults to `True`.
            config: a `keras.quantizers.Int8QuantizationConfig` with a `weight_quantizer` for each output channel.
                Its `activation_quantizer` is not used. Defaults to `None`, the quantizer
                `keras.quantizers.AbsMaxQuantizer(axis=0)`.

        Raises:
            NotImplementedError: the mode is another one; `keras.Model.quantize` then warns and leaves the cell alone.
            ValueError: the quantizer has scales for something else than each output channel.
        """
        check_mode(self, mode)
        quantizer = getattr(config, "weight_quantizer", None) or _one_scale_for_each_channel
        found = {name: quantizer(getattr(self, name)) for name in self._kernels_in_float()}
        for name, (integers, scale) in found.items():
            if tuple(scale.shape) != (1, integers.shape[-1]):
                raise ValueError(
                    f"Layer {self.name!r} expected one scale for each of the {integers.shape[-1]} output channels of "
                    f"its {name}, received scales of shape {tuple(scale.shape)}: use AbsMaxQuantizer(axis=0)."
                )
        self.keep_kernels_in_int8()
        for name, (integers, scale) in found.items():
            getattr(self, f"quantized_{name}").assign(integers)
            getattr(self, f"{name}_scale").assign(ops.squeeze(scale, axis=0))
        self.dtype_policy = keras.dtype_policies.get(f"{mode}_from_{self.dtype_policy.name}")

    def keep_kernels_in_int8(self) -> None:
        """Replaces the variables of kernels by variables for their integers and scales."""
        for name in self._kernels_in_float():
            shape = getattr(self, name).shape
            delattr(self, name)
            integers = self.add_weight(shape, "zeros", dtype="int8", trainable=False, name=name)
            setattr(self, f"quantized_{name}", integers)
            setattr(self, f"{name}_scale", self.add_weight(shape[-1:], "ones", trainable=False, name=f"{name}_scale"))
        self._is_quantized = True  # what Keras asks before it quantizes a layer

    def build(self, input_shape: Shape) -> None:
        super().build(input_shape)
        self.build_as_loaded()

    def build_as_loaded(self) -> None:
        """Ends a `build` that made kernels: a cell that was saved after `quantize` has them in eight bits."""
        if self.quantization_mode is not None:
            check_mode(self, self.quantization_mode)
            self.keep_kernels_in_int8()

    def quantized_call(
        self, inputs: Tensor, states: list[Tensor], training: bool = False
    ) -> tuple[Tensor, list[Tensor]]:
        """Runs a step: what Keras calls instead of `call` when the weights are quantized."""
        return self.call(inputs, states, training=training)

    def _kernels_in_float(self):
        return [name for name in self.kernels if name in vars(self) and len(getattr(self, name).shape) == 2]


class Normalization(keras.layers.LayerNormalization):
    """A normalization over the last axis inside a cell, which hands the request to quantize on to it.

    `keras.Model.quantize` asks only layers that have no layers inside. It would never ask the cell.
    """

    def __init__(self, quantize_cell: Any = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.quantize_cell = quantize_cell

    def call(self, inputs: Tensor) -> Tensor:
        if keras.backend.backend() != "tensorflow":
            return super().call(inputs)
        # Keras asks tf.nn.moments, which stops a gradient: right in the first derivative, wrong in the second.
        x = ops.cast(inputs, keras.backend.result_type(inputs.dtype, "float32"))
        centered = x - ops.mean(x, axis=-1, keepdims=True)
        outputs = centered * ops.rsqrt(ops.mean(ops.square(centered), axis=-1, keepdims=True) + self.epsilon)
        outputs = outputs * ops.cast(self.gamma, outputs.dtype)
        if self.center:
            outputs = outputs + ops.cast(self.beta, outputs.dtype)
        return ops.cast(outputs, self.compute_dtype)

    def quantize(self, mode: str | None = None, type_check: bool = True, config: Any = None) -> None:
        if self.quantize_cell is None:
            return super().quantize(mode, type_check=type_check, config=config)
        self.quantize_cell(mode, type_check=type_check, config=config)


def _one_scale_for_each_channel(kernel):
    return keras.quantizers.abs_max_quantize(kernel, axis=0, to_numpy=True)


def check_mode(cell: Any, mode: str | None) -> None:
    """Refuses, with a `NotImplementedError`, which Keras makes a warning, what is not int8."""
    if mode != "int8":
        raise NotImplementedError(
            f"Layer {cell.name!r} ({type(cell).__name__}) expected the quantization mode 'int8', received {mode!r}: "
            "its kernels stay as they are."
        )


def without_quantization(policy: Any) -> Any:
    """Returns the dtype policy of a layer around a cell: that of the cell, or what it was before it was quantized."""
    policy = keras.dtype_policies.get(policy)
    if isinstance(policy, keras.dtype_policies.QuantizedDTypePolicy):
        return keras.dtype_policies.get(policy.get_config()["source_name"])
    return policy

"""What the layers share that extend one of Keras's: same constructor, same weights in the same order, and more.

A cell, `class LSTMCell(DropInCell, keras.layers.LSTMCell)`, takes its weights from Keras, and adds `project`, `step`
and dropout outside the loop. A layer, `class LSTM(OnCudnn, keras.layers.LSTM, DropInLayer)`, takes its properties
and its kernel for GPUs from Keras, and runs rnnkit's cell in rnnkit's loop.
"""

from typing import Any

import keras
import numpy as np
from keras import ops, random, regularizers

from rnnkit import backend
from rnnkit.annotations import Config, Mask, Regularizer, Shape, Tensor, Tensors
from rnnkit.arguments import check_positive_integer, check_rate
from rnnkit.backend.loop import Equation
from rnnkit.layers.plain_loop import reason_of_the_switch
from rnnkit.layers.quantization import KernelsInInt8
from rnnkit.layers.recurrent import Recurrent
from rnnkit.layers.state_shapes import check_features


class DropInCell(KernelsInInt8):
    """Base of cells that extend one of Keras's, which follows it among the bases.

    Arguments that Keras's cell does not have are named in `extra_arguments`, and are in the configuration.
    """

    extra_arguments: tuple[str, ...] = ("dropout_each_step",)
    cudnn_compatible = True  # whether Keras's kernels for GPUs compute the same

    def __init__(self, units: int, *, dropout_each_step: bool, **kwargs: Any):
        check_arguments(self, units, kwargs["dropout"], kwargs["recurrent_dropout"])
        super().__init__(int(units), **kwargs)
        self.dropout_each_step = dropout_each_step
        self.dropout_mask_count = None  # one mask for all gates
        if dropout_each_step and (self.dropout or self.recurrent_dropout):
            self.cudnn_compatible = False

    def build(self, input_shape: Shape) -> None:
        features = check_features(type(self).__name__, input_shape)
        super().build(input_shape)
        self.input_spec = keras.InputSpec(ndim=2, axes={-1: features})

    def project(self, inputs: Tensor, training: bool = False) -> Tensors:
        inputs, mask = self.drop(inputs, training)
        projected = self.project_gates(inputs)
        return projected if mask is None else (projected, mask)

    def project_gates(self, inputs: Tensor) -> Tensor:
        """Computes W_x x_t of all gates, side by side."""
        return ops.matmul(inputs, self.kernel)

    def drop(self, inputs: Tensor, training: bool) -> tuple[Tensor, Tensor | None]:
        """Applies dropout to the inputs and draws the mask of the recurrent dropout.

        Args:
            inputs: tensor `(time, batch, features)`, or `(batch, features)` of one step.
            training: whether this is a training run; nothing is dropped otherwise.

        Returns:
            The inputs, and a tensor `(time, batch, units)` or `(batch, units)`; None without recurrent dropout.
        """
        if not training:
            return inputs, None
        if len(inputs.shape) == 2 and not self.dropout_each_step:
            # One step of Keras's loop, which draws the masks before it begins and clears them when it has ended.
            mask, recurrent_mask = self.get_dropout_mask(inputs), self.get_recurrent_dropout_mask(self._ones(inputs))
            return inputs if mask is None else inputs * mask, recurrent_mask
        steps = inputs if self.dropout_each_step or len(inputs.shape) == 2 else inputs[:1]
        if self.dropout:
            inputs = inputs * self._mask(ops.ones_like(steps), self.dropout)
        if not self.recurrent_dropout:
            return inputs, None
        mask = self._mask(self._ones(steps), self.recurrent_dropout)
        return inputs, ops.broadcast_to(mask, (*ops.shape(inputs)[:-1], self.units))

    def apply_recurrent_dropout(self, projected: Tensors, h: Tensor) -> tuple[Tensor, Tensor]:
        """Returns what a step starts from: its projection, and h_{t-1} after the recurrent dropout."""
        if isinstance(projected, tuple):
            projected, mask = projected
            h = h * mask
        return projected, h

    def gate_activations(self, preactivations: Tensor, activations: list) -> list[Tensor]:
        """Applies an activation to each of the equally wide parts of `preactivations`, `(batch, parts * units)`.

        In a compiled function, sigmoids and tanhs together are one tanh, as sigmoid(x) = tanh(x / 2) / 2 + 1 / 2: XLA,
        left to itself, computes a sigmoid again wherever it is read.
        """
        fusible = {*activations} <= {keras.activations.sigmoid, keras.activations.tanh}
        if backend.is_concrete(preactivations) or not fusible:
            parts = ops.split(preactivations, len(activations), axis=-1)
            return [activation(part) for activation, part in zip(activations, parts, strict=True)]
        halves = [0.5 if activation is keras.activations.sigmoid else 1.0 for activation in activations]
        scale = ops.cast(np.repeat(halves, self.units), preactivations.dtype)
        return ops.split(ops.tanh(preactivations * scale) * scale + (1 - scale), len(activations), axis=-1)

    def equation_of_kernel(self, name: str, gates: str, training: bool) -> Equation:
        """Returns the `Equation` of this name, with the weights of the cell."""
        return Equation(
            name=name,
            weights=lambda: [self.kernel, self.recurrent_kernel, self.bias if self.use_bias else None],
            gates=gates,
            drop=lambda inputs: self.drop(inputs, training)[0],
            drops_states=bool(training and self.recurrent_dropout),
            readout=lambda states: self.readout([states]),
        )

    def load_own_variables(self, store: Any) -> None:
        if self.built and not store.keys():
            raise ValueError(
                f"Cell {self.name!r} has no weights in this file. If a model with keras.layers.SimpleRNN or RNN wrote "
                "it, load it by rnnkit.convert.load_weights(model, filepath): Keras calls layers there by their class."
            )
        super().load_own_variables(store)

    def _ones(self, inputs):
        return ops.ones((*ops.shape(inputs)[:-1], self.units), dtype=inputs.dtype)

    def _mask(self, ones, rate):
        return random.dropout(ones, rate, seed=self.seed_generator)

    def get_config(self) -> Config:
        return {**super().get_config(), **{name: getattr(self, name) for name in self.extra_arguments}}


class DropInLayer(Recurrent):
    """Base of layers that extend one of Keras's, which comes before it among the bases.

    Their constructors do not call that of Keras's layer, which would make a cell of Keras's.
    """

    def __init__(self, cell: DropInCell, activity_regularizer: Regularizer, **kwargs: Any):
        Recurrent.__init__(self, cell, **kwargs)
        # A second seed is drawn where the user gives none, as if Keras's layer had made its cell, too: the numbers of a
        # seeded model, and of the lessons, then stay what they are.
        keras.random.SeedGenerator(cell.seed)
        self.activity_regularizer = regularizers.get(activity_regularizer)  # SimpleRNN drops it

    def get_config(self) -> Config:
        cell = self.cell.get_config()
        return {**super().get_config(), **{name: cell[name] for name in ("dtype", *self.cell.extra_arguments)}}


class OnCudnn(DropInLayer):
    """Base of layers for which Keras has a kernel for GPUs.

    Among the bases, Keras's layer comes between this class and `DropInLayer`: its `inner_loop` tries cuDNN, and goes on
    to that of `Recurrent` where it cannot run.
    """

    def set_use_cudnn(self, use_cudnn: bool | str) -> None:
        """Keeps what the user says of cuDNN: "auto", True or False."""
        cell = self.cell
        if use_cudnn not in ("auto", True, False):
            raise ValueError(
                f"{type(self).__name__} expected use_cudnn to be 'auto', True or False, received {use_cudnn!r}."
            )
        if use_cudnn is True and not cell.cudnn_compatible:
            raise ValueError(f"Layer {self.name!r} cannot run on cuDNN, which does not know its cell's equation.")
        self.use_cudnn = use_cudnn if cell.cudnn_compatible else False
        on_gpu = self.use_cudnn and cell.use_bias and not self.unroll and cell.equation(training=False) is not None
        self.supports_jit = not (keras.backend.backend() == "tensorflow" and on_gpu)  # cuDNN is nothing for XLA

    def inner_loop(self, sequences: Tensor, initial_state: Any, mask: Mask, training: bool = False) -> Any:
        if reason_of_the_switch(self) is None and self.may_run_on_cudnn(mask, training):
            self._how = "Keras's own kernel for GPUs"  # unless Keras has none here, and goes on to Recurrent's loop
            return super().inner_loop(sequences, initial_state, mask, training=training)
        return Recurrent.inner_loop(self, sequences, initial_state, mask, training=training)

    def may_run_on_cudnn(self, mask: Mask, training: bool) -> bool:
        """Whether Keras may try cuDNN, which takes no mask but padding on the right.

        Keras on JAX has it for the LSTM alone, where its GRU is a plain loop, and returns backward sequences in another
        order. On PyTorch, rnnkit takes the same kernels, with any mask.
        """
        if self.use_cudnn != "auto":
            equation = self.cell.equation(training)
            ours = keras.backend.backend() == "torch" and equation is not None and not equation.drops_states
            return bool(self.use_cudnn) and not ours
        if keras.backend.backend() == "jax" and (self.go_backwards or not isinstance(self, keras.layers.LSTM)):
            return False
        return keras.backend.backend() != "torch" and mask is None

    def _no_kernel(self):
        if self.use_cudnn is False and self.cell.cudnn_compatible:
            return "use_cudnn=False asks for a loop"
        return None

    def get_config(self) -> Config:
        return {**super().get_config(), "use_cudnn": self.use_cudnn}


def check_arguments(layer: keras.layers.Layer, units: Any, dropout: Any, recurrent_dropout: Any) -> None:
    """Refuses, with a `ValueError`, a number of units or a rate of dropout that is none."""
    owner = type(layer).__name__
    check_positive_integer(owner, "units", units)
    check_rate(owner, "dropout", dropout)
    check_rate(owner, "recurrent_dropout", recurrent_dropout)

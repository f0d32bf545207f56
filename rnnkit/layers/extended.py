"""How rnnkit's cells and layers extend Keras's own: same constructor, same weights in the same order, and more.

A cell, `class LSTMCell(ExtendedCell, keras.layers.LSTMCell)`, takes constructor, weights and configuration from Keras
and adds `project`, `step` and dropout outside of the loop. A layer, `class LSTM(ExtendedLayer, keras.layers.LSTM,
CellLayer)`, takes constructor and kernels for GPUs from Keras, and runs rnnkit's cell in rnnkit's loop.
"""

import inspect

import keras
import numpy as np
from keras import ops, random, regularizers, tree

from rnnkit import backend
from rnnkit.arguments import check_positive_integer, check_rate
from rnnkit.layers.recurrent import Recurrent
from rnnkit.layers.recurrent_cell import RecurrentCell, program_key_of
from rnnkit.ops.masking import without_padding


class ExtendedCell(RecurrentCell):
    """What cells share that extend one of Keras's. Stands before Keras's cell among the bases.

    Arguments that Keras's cell does not have are named in `extra_arguments`.
    """

    extra_arguments = ("dropout_each_step",)
    cudnn_compatible = True  # whether Keras's kernels for GPUs compute the same

    def __init__(self, units, *args, dropout_each_step=False, **kwargs):
        units = check_positive_integer(type(self).__name__, "units", units)
        _check_rates(self, _bound(super().__init__, units, *args, **kwargs))
        super().__init__(units, *args, **kwargs)
        self.dropout_each_step = dropout_each_step
        self.dropout_mask_count = None  # one mask for all gates
        if dropout_each_step and (self.dropout or self.recurrent_dropout):
            self.cudnn_compatible = False

    @classmethod
    def like(cls, cell, **extra_arguments):
        """The cell of this class with the arguments of one of Keras's, not yet built."""
        names = [name for name in inspect.signature(type(cell)).parameters if hasattr(cell, name)]
        arguments = {name: getattr(cell, name) for name in names}
        return cls(**arguments, name=cell.name, dtype=cell.dtype_policy, trainable=cell.trainable, **extra_arguments)

    def project(self, inputs, training=False):
        inputs, mask = self.drop(inputs, training)
        projected = self.input_sums(inputs)
        return projected if mask is None else (projected, mask)

    def input_sums(self, inputs):
        """W_x x_t of all gates, side by side."""
        return ops.matmul(inputs, self.kernel)

    def drop(self, inputs, training):
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

    def gate_activations(self, sums, activations):
        """Applies an activation to each of the equally wide parts of `sums`, `(batch, parts * units)`.

        In a compiled function, sigmoids and tanhs together are one tanh, as sigmoid(x) = tanh(x / 2) / 2 + 1 / 2: XLA,
        left to itself, computes a sigmoid again wherever it is read.
        """
        if backend.is_concrete(sums) or not {*activations} <= {keras.activations.sigmoid, keras.activations.tanh}:
            parts = ops.split(sums, len(activations), axis=-1)
            return [activation(part) for activation, part in zip(activations, parts, strict=True)]
        halves = [0.5 if activation is keras.activations.sigmoid else 1.0 for activation in activations]
        scale = ops.cast(np.repeat(halves, self.units), sums.dtype)
        return ops.split(ops.tanh(sums * scale) * scale + (1 - scale), len(activations), axis=-1)

    def program_key(self):
        return program_key_of(self)

    def apply_recurrent_dropout(self, projected, h):
        """What a step starts from: its projection, and h_{t-1} after the recurrent dropout."""
        if isinstance(projected, tuple):
            projected, mask = projected
            h = h * mask
        return projected, h

    def _ones(self, inputs):
        return ops.ones((*ops.shape(inputs)[:-1], self.units), dtype=inputs.dtype)

    def _mask(self, ones, rate):
        return random.dropout(ones, rate, seed=self.seed_generator)

    def get_config(self):
        return {**super().get_config(), **{name: getattr(self, name) for name in self.extra_arguments}}


class CellLayer(Recurrent):
    """Runs rnnkit's cell in the place of Keras's. Stands after Keras's layer, which hands its cell on."""

    cell_class = None

    def __init__(self, cell, **kwargs):
        own = {name: kwargs.pop(name) for name in self.cell_class.extra_arguments if name in kwargs}
        super().__init__(self.cell_class.like(cell, **own), **kwargs)

    def get_config(self):
        cell = self.cell.get_config()
        return {**super().get_config(), **{name: cell[name] for name in self.cell.extra_arguments}}


class ExtendedLayer:
    """What layers share that extend one of Keras's. Stands before Keras's layer among the bases."""

    def __init__(self, units, *args, **kwargs):
        units = check_positive_integer(type(self).__name__, "units", units)
        arguments = _bound(super().__init__, units, *args, **kwargs)
        _check_rates(self, arguments)
        super().__init__(units, *args, **kwargs)
        self.input_spec = None  # Recurrent checks the shapes
        self.activity_regularizer = regularizers.get(arguments.get("activity_regularizer"))  # SimpleRNN drops it
        if not self.cell.cudnn_compatible and hasattr(self, "use_cudnn"):
            if self.use_cudnn is True:
                raise ValueError(f"Layer {self.name!r} cannot run on cuDNN, which does not know its cell's equation.")
            self.use_cudnn = False
            self.supports_jit = True

    def inner_loop(self, sequences, initial_state, mask, training=False):
        kernel, name_or_reason = backend.kernel_for(self, sequences, training)
        if kernel is not None:
            self._way = f"the kernel {name_or_reason}, which computes what its cell does"
            return self._run_kernel(kernel, sequences, tree.flatten(initial_state), mask, training)
        if getattr(self, "use_cudnn", False) == "auto" and not self._suits_cudnn(mask):
            results = Recurrent.inner_loop(self, sequences, initial_state, mask, training=training)
        else:
            self._way = "Keras's own kernel for GPUs"  # unless Keras sends it on to `Recurrent`
            results = super().inner_loop(sequences, initial_state, mask, training=training)
        if name_or_reason:
            self._way += f"; no kernel ran: {name_or_reason}"
        return results

    def _run_kernel(self, kernel, sequences, initial_state, mask, training):
        sequences, _ = self.cell.drop(ops.swapaxes(sequences, 0, 1), training)
        sequences = ops.swapaxes(sequences, 0, 1)
        sequences, mask = self._in_order_of_the_run(sequences, mask)
        outputs, states = kernel(sequences, initial_state, mask)
        outputs = self.cell.readout([outputs])
        if self.zero_output_for_mask:
            outputs = without_padding(outputs, mask)
        return outputs[:, -1], outputs, states

    def _suits_cudnn(self, mask):
        """cuDNN takes padding on the right only.

        Keras on JAX has it for the LSTM alone, where its GRU is a plain loop, and returns backward sequences in another
        order.
        """
        if keras.config.backend() == "jax" and (self.go_backwards or not isinstance(self, keras.layers.LSTM)):
            return False
        return mask is None

    def get_config(self):
        config = {**super().get_config(), "seed": self.cell.seed}  # SimpleRNN leaves it out
        return {**config, "use_cudnn": self.use_cudnn} if "use_cudnn" in vars(self) else config


def _bound(constructor, *args, **kwargs):
    """The arguments of a call by name."""
    return inspect.signature(constructor).bind(*args, **kwargs).arguments


def _check_rates(layer, arguments):
    for name in ("dropout", "recurrent_dropout"):
        check_rate(type(layer).__name__, name, arguments.get(name, 0.0))

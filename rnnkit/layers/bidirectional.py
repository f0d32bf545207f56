"""One layer forward and one backward over the same sequence."""

from typing import Any

import keras
from keras import tree

from rnnkit.annotations import Mask, Shape, Tensor, Tensors
from rnnkit.layers.nested_layers import reset_state_of, split_states, state_specs_of
from rnnkit.layers.plain_loop import PlainLoopOfAll
from rnnkit.layers.ragged import padded
from rnnkit.layers.state_origin import note_origins
from rnnkit.layers.states_in_files import hold_states_of_keras


@keras.saving.register_keras_serializable(package="rnnkit")
class Bidirectional(PlainLoopOfAll, keras.layers.Bidirectional):
    """Reads a sequence forward and backward with two layers: every output sees what comes before and after it.

    This is `keras.layers.Bidirectional` with three differences: the mask reaches the next layer in every version of
    Keras; the two layers may have different sizes; single rows of the states can be reset. With rnnkit's layers inside,
    the result is the same whether the sequence is padded on the left, on the right or not at all.

    Args:
        layer: a recurrent layer of rnnkit (`LSTM`, `GRU`, `Recurrent`, ...) or Keras. One copy of it reads forward, and
            one with `go_backwards` reads backward.
        merge_mode: how the two outputs are combined: `"concat"`, `"sum"`, `"mul"` or `"ave"`; `None` returns both.
            Defaults to `"concat"`.
        weights: list of arrays to start from, first those of the forward layer. Defaults to `None`, random weights.
        backward_layer: the layer that reads backward, with `go_backwards=True`. Defaults to a copy of `layer`.
        **kwargs: `name`, `dtype` (by default, that of `layer`), `trainable`.

    Call arguments:
        sequences: tensor `(batch, time, input_features)`.
        initial_state: list of the states of the forward layer and then of the backward layer, each `(batch, units)`;
            zeros if left out.
        mask: boolean tensor `(batch, time)`, True at unmasked steps. Outputs are zeros at the others.
        training: whether this is a training run. Defaults to `False`.

    Returns:
        With `return_sequences`, `(batch, time, features)` in the order of the input; otherwise `(batch, features)`: the
        output of the forward layer at the last step and that of the backward layer at the first step, combined. With
        `merge_mode=None`, one tensor for each direction. With `return_state`, followed by the states of the forward
        layer and then those of the backward layer.

    Raises:
        ValueError: `layer` is not a recurrent layer, the two layers do not fit together, or the merge mode is unknown;
            sequences, states or mask have the wrong shape.

    Example:

    >>> import numpy as np, rnnkit.layers
    >>> layer = rnnkit.layers.Bidirectional(rnnkit.layers.GRU(8, return_sequences=True))
    >>> tuple(layer(np.zeros((2, 5, 3), "float32")).shape)
    (2, 5, 16)

    References:
        Schuster and Paliwal, "Bidirectional recurrent neural networks", 1997; Khanzhina, "Recurrent neural networks",
        lecture, 2019.
    """

    def __init__(
        self,
        layer: keras.layers.Layer,
        merge_mode: str | None = "concat",
        weights: list[Any] | None = None,
        backward_layer: Any = None,
        **kwargs: Any,
    ):
        for given in [layer] if backward_layer is None else [layer, backward_layer]:
            if not hasattr(given, "go_backwards"):
                raise ValueError(
                    f"Bidirectional expected a recurrent layer (LSTM, GRU, Recurrent, Stacked, ...), "
                    f"received {given!r}."
                )
        if kwargs.get("dtype") is None:
            kwargs["dtype"] = layer.dtype_policy
        use_cudnn = getattr(backward_layer, "use_cudnn", None)
        super().__init__(layer, merge_mode=merge_mode, backward_layer=backward_layer, **kwargs)
        if use_cudnn is not None:
            backward_layer.use_cudnn = use_cudnn  # Keras gives it the forward layer's, even to a peephole LSTM
        elif hasattr(backward_layer, "use_cudnn"):
            del backward_layer.use_cudnn
        self._first_weights = weights
        self.supports_masking = True  # Keras 3.16 sets it to False

    def build(self, sequences_shape: Shape, initial_state_shape: Any = None) -> None:
        widths = [shape[0][-1] for shape in self._shapes(sequences_shape)]
        if self.merge_mode in ("sum", "mul", "ave") and widths[0] != widths[1]:
            raise ValueError(
                f"Bidirectional(merge_mode={self.merge_mode!r}) expected directions of one width, received {widths[0]} "
                f"and {widths[1]} features: make them equal, or use 'concat'."
            )
        super().build(sequences_shape)
        self.state_variables = hold_states_of_keras([self.forward_layer, self.backward_layer])
        if self._first_weights is not None:
            self.set_weights(self._first_weights)

    def call(
        self, sequences: Tensor, initial_state: Any = None, mask: Mask = None, training: bool | None = None
    ) -> Tensors:
        sequences, mask = padded(sequences, mask)
        if initial_state is not None:
            forward, backward = split_states(self, initial_state, [self.forward_layer, self.backward_layer])
            if len(forward) != len(backward):
                raise ValueError(
                    f"Layer {self.name!r} takes no initial_state, because its directions have {len(forward)} and "
                    f"{len(backward)} states: use the same kind of layer for both."
                )
            initial_state = [*forward, *backward]
        result = super().call(sequences, initial_state=initial_state, mask=mask, training=training)
        if self.return_state:
            note_origins(tree.flatten(result)[1 + (self.merge_mode is None) :], self)
        return result

    def compute_mask(self, sequences: Tensor, mask: Mask = None) -> Mask:
        mask = padded(sequences, tree.flatten(mask)[0])[1] if self.return_sequences else None
        masks = [mask, mask] if self.merge_mode is None else [mask]
        if self.return_state:
            masks += [None] * len(tree.flatten(state_specs_of(self)))
        return masks if len(masks) > 1 else mask

    def compute_output_shape(self, sequences_shape: Shape, initial_state_shape: Any = None) -> Any:
        (output, *states), (backward_output, *backward_states) = self._shapes(sequences_shape)
        if self.merge_mode == "concat":
            outputs = [(*output[:-1], output[-1] + backward_output[-1])]
        else:
            outputs = [output, backward_output] if self.merge_mode is None else [output]
        shapes = (*outputs, *states, *backward_states)
        return shapes if len(shapes) > 1 else shapes[0]

    def switched(self) -> list:
        return [self.forward_layer, self.backward_layer]

    def reset_state(self, rows: Any = None) -> None:
        """Sets the states of stateful layers to zero: all of them, or only some rows.

        Args:
            rows: indices of rows, or a boolean array `(batch,)`. Defaults to `None`, all rows.
        """
        for layer in (self.forward_layer, self.backward_layer):
            reset_state_of(layer, rows)

    def _shapes(self, sequences_shape):
        """For each direction, the shapes of its output and of the states that it returns."""
        shapes = [layer.compute_output_shape(sequences_shape) for layer in (self.forward_layer, self.backward_layer)]
        return shapes if self.return_state else [(shape,) for shape in shapes]

"""One layer forwards and one backwards over the same sequence."""

import keras
from keras import tree

from rnnkit.layers.nested_layers import reset_state_of, split_states


@keras.saving.register_keras_serializable(package="rnnkit")
class Bidirectional(keras.layers.Bidirectional):
    """Reads a sequence forwards and backwards with two layers, so that every output sees what comes before and after.

    `keras.layers.Bidirectional`, with three differences: the mask goes on to the next layer in every version of Keras;
    the two layers may have different sizes; single rows of the states can be reset. With rnnkit's layers inside, the
    result is the same whether the sequence is padded left, right or not at all.

    Args:
        layer: a recurrent layer of rnnkit (`LSTM`, `GRU`, `Recurrent`, ...) or Keras. A copy of it reads forwards, one
            with `go_backwards` backwards.
        merge_mode: what becomes of the two outputs: `"concat"`, `"sum"`, `"mul"`, `"ave"`, or None for both.
        weights: list of arrays that the weights start from, first those of the forward layer.
        backward_layer: the layer that reads backwards, with `go_backwards=True`; made from `layer` if left out.
        **kwargs: `name`, `dtype` (default: that of `layer`), `trainable`.

    Call arguments:
        sequences: tensor `(batch, time, features)`.
        initial_state: list of the states of the forward layer, then of the backward layer.
        mask: boolean tensor `(batch, time)`, True where a step counts. Outputs are zeros where it is False.
        training: whether this is a training run.

    Returns:
        `(batch, time, features)` with `return_sequences`, in the order of the input, else `(batch, features)`: the
        forward layer's output at the last step beside the backward layer's at the first. With `merge_mode=None` one
        tensor for each direction. With `return_state` followed by the states of the forward layer, then the backward's.

    Raises:
        ValueError: `layer` is not a recurrent layer, the two do not fit together, or there is no such merge mode;
            sequences, states or mask have the wrong shape.

    Example:

    >>> import numpy as np, rnnkit.layers
    >>> layer = rnnkit.layers.Bidirectional(rnnkit.layers.GRU(8, return_sequences=True))
    >>> tuple(layer(np.zeros((2, 5, 3), "float32")).shape)
    (2, 5, 16)

    References:
        Schuster and Paliwal, "Bidirectional recurrent neural networks", 1997; Khanzhina, "Recurrent neural networks"
        (deck).
    """

    def __init__(self, layer, merge_mode="concat", weights=None, backward_layer=None, **kwargs):
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

    def build(self, sequences_shape, initial_state_shape=None):
        widths = [shape[0][-1] for shape in self._shapes(sequences_shape)]
        if self.merge_mode in ("sum", "mul", "ave") and widths[0] != widths[1]:
            raise ValueError(
                f"Bidirectional(merge_mode={self.merge_mode!r}) needs directions of one width, received {widths[0]} "
                f"and {widths[1]} features: make them equal, or use 'concat'."
            )
        super().build(sequences_shape)
        if self._first_weights is not None:
            self.set_weights(self._first_weights)

    def call(self, sequences, initial_state=None, mask=None, training=None):
        if initial_state is not None:
            forward, backward = split_states(self, initial_state, [self.forward_layer, self.backward_layer])
            if len(forward) != len(backward):
                raise ValueError(
                    f"Layer {self.name!r} takes no initial_state, because its directions have {len(forward)} and "
                    f"{len(backward)} states: use the same kind of layer for both."
                )
            initial_state = [*forward, *backward]
        return super().call(sequences, initial_state=initial_state, mask=mask, training=training)

    def compute_mask(self, sequences, mask=None):
        mask = tree.flatten(mask)[0] if self.return_sequences else None
        masks = [mask, mask] if self.merge_mode is None else [mask]
        if self.return_state:
            masks += [None] * len(tree.flatten([self.forward_layer.state_size, self.backward_layer.state_size]))
        return masks if len(masks) > 1 else mask

    def compute_output_shape(self, sequences_shape, initial_state_shape=None):
        (output, *states), (backward_output, *backward_states) = self._shapes(sequences_shape)
        if self.merge_mode == "concat":
            outputs = [(*output[:-1], output[-1] + backward_output[-1])]
        else:
            outputs = [output, backward_output] if self.merge_mode is None else [output]
        shapes = (*outputs, *states, *backward_states)
        return shapes if len(shapes) > 1 else shapes[0]

    def reset_state(self, rows=None):
        """Sets the states of stateful layers to zero: all, or only some rows; see `Recurrent.reset_state`."""
        for layer in (self.forward_layer, self.backward_layer):
            reset_state_of(layer, rows)

    def _shapes(self, sequences_shape):
        """Of each direction, the shape of the output and of the states that it returns."""
        shapes = [layer.compute_output_shape(sequences_shape) for layer in (self.forward_layer, self.backward_layer)]
        return shapes if self.return_state else [(shape,) for shape in shapes]

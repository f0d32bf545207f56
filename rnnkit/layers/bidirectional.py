"""One layer forwards and one backwards over the same sequence."""

import keras
from keras import tree


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
        weights: initial weights, first those of the forward layer.
        backward_layer: the layer that reads backwards, with `go_backwards=True`; made from `layer` if left out.
        **kwargs: `name`, `dtype`, `trainable`.

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
        super().__init__(layer, merge_mode=merge_mode, weights=weights, backward_layer=backward_layer, **kwargs)
        self.supports_masking = True  # Keras 3.16 sets it to False

    def compute_mask(self, sequences, mask=None):
        mask = tree.flatten(mask)[0] if self.return_sequences else None
        masks = [mask, mask] if self.merge_mode is None else [mask]
        if self.return_state:
            masks += [None] * len(tree.flatten([self.forward_layer.state_size, self.backward_layer.state_size]))
        return masks if len(masks) > 1 else mask

    def compute_output_shape(self, sequences_shape, initial_state_shape=None):
        outputs, states = [], []
        for layer in (self.forward_layer, self.backward_layer):
            shape = layer.compute_output_shape(sequences_shape)
            output, *last = shape if self.return_state else (shape,)
            outputs.append(output)
            states.extend(last)
        if self.merge_mode == "concat":
            outputs = [(*outputs[0][:-1], outputs[0][-1] + outputs[1][-1])]
        elif self.merge_mode is not None:
            outputs = outputs[:1]
        return (*outputs, *states) if len(outputs) + len(states) > 1 else outputs[0]

    def reset_state(self, rows=None):
        """Sets the states of stateful layers to zero: all, or only some rows; see `Recurrent.reset_state`."""
        for layer in (self.forward_layer, self.backward_layer):
            layer.reset_state(rows)

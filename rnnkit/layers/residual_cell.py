"""A residual connection around a cell."""

from collections.abc import Hashable

import keras

from rnnkit.annotations import Shape, Tensor, Tensors
from rnnkit.layers.recurrent_cell import as_recurrent_cell, key_of
from rnnkit.layers.state_shapes import size_of
from rnnkit.layers.wrapper_cell import WrapperCell


@keras.saving.register_keras_serializable(package="rnnkit")
class ResidualCell(WrapperCell):
    """Adds the input to the output of a cell: y_t = O(s_t) + x_t.

    To train a cell that has dropout, use `Recurrent` around it: `keras.layers.RNN` does not look inside wrappers.

    Args:
        cell: any cell whose output has as many features as its input.
        **kwargs: `name`, `dtype` (by default, that of the cell), `trainable`.

    Call arguments:
        inputs: tensor `(batch, input_features)`, x_t.
        states: list of the states of `cell`, each `(batch, state_size[i])`.
        training: whether this is a training run. Defaults to `False`.

    Returns:
        y_t `(batch, input_features)` and the list of new states.

    Raises:
        ValueError: `cell` is not a cell, or its output does not have as many features as its input.

    Example:

    >>> import numpy as np, rnnkit.layers
    >>> layer = rnnkit.layers.Recurrent(rnnkit.layers.ResidualCell(rnnkit.layers.LSTMCell(4)), return_sequences=True)
    >>> tuple(layer(np.zeros((2, 5, 4), "float32")).shape)
    (2, 5, 4)

    References:
        He et al., "Deep residual learning for image recognition", 2015; Wu et al., "Google's neural machine translation
        system", 2016, section 3.1.
    """

    def build(self, input_shape: Shape) -> None:
        input_size, output_size = size_of(tuple(input_shape)), self.sizes(input_shape)[1]
        if input_size != output_size:
            what = "features" if len(input_shape) == 2 else "as its shape"
            raise ValueError(
                f"ResidualCell adds the input to the output, but the input has {input_size} {what} and the "
                f"output of {type(self.cell).__name__} has {output_size}: make them equal."
            )
        super().build(input_shape)

    def project(self, inputs: Tensor, training: bool = False) -> Tensors:
        return {"inputs": inputs, "projected": super().project(inputs, training)}

    def step(self, projected: Tensors, states: list[Tensor], training: bool = False) -> tuple[Tensor, list[Tensor]]:
        output, states = super().step(projected["projected"], states, training)
        return output + projected["inputs"], states

    def gates(self, projected: Tensors, states: list[Tensor]) -> dict[str, Tensor]:
        """Returns everything that one step of the cell inside computes, by name."""
        return super().gates(projected["projected"], states)

    def program_key(self) -> Hashable | None:
        return key_of(self, ResidualCell, as_recurrent_cell(self.cell).program_key())

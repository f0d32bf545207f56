"""The base of cells around other cells: a cell in, a cell out."""

from typing import Any

import keras
from keras import tree

from rnnkit.annotations import Config, Shape, Tensor, Tensors
from rnnkit.layers.quantization import without_quantization
from rnnkit.layers.recurrent_cell import RecurrentCell, as_recurrent_cell
from rnnkit.layers.state_shapes import output_shape, size_of, state_specs


class WrapperCell(RecurrentCell):
    """Base class of cells around another cell: it has the states of that cell, and returns its output.

    Args:
        cell: any cell.
        **kwargs: `name`, `dtype` (by default, that of the cell), `trainable`.

    Raises:
        ValueError: `cell` is not a cell, or is a cell with a memory.
    """

    def __init__(self, cell: Any, **kwargs: Any):
        has_states = isinstance(cell, keras.layers.Layer) and getattr(cell, "state_size", None) is not None
        if not has_states or hasattr(cell, "return_sequences"):
            raise ValueError(
                f"{type(self).__name__} expected a cell (LSTMCell, GRUCell, a RecurrentCell, ...), received {cell!r}. "
                "A layer over a sequence has its cell as layer.cell."
            )
        if any(spec.shape is None for spec in tree.flatten(state_specs(cell))):
            if not isinstance(cell, RecurrentCell):
                raise ValueError(
                    f"{type(self).__name__} expected a cell whose state_size has the size of each state, received "
                    f"{cell!r} with state_size {cell.state_size}."
                )
            raise ValueError(
                f"{type(self).__name__} expected a cell without a memory, received {cell!r}: put it inside, "
                f"AttentionCell({type(self).__name__}(cell, ...), attention)."
            )
        if kwargs.get("dtype") is None:
            kwargs["dtype"] = without_quantization(cell.dtype_policy)
        super().__init__(**kwargs)
        self.cell = cell

    @property
    def state_size(self) -> list:
        return self.sizes(None)[0]

    @property
    def output_size(self) -> Any:
        return self.sizes(None)[1]

    @property
    def not_for_xla(self) -> str | None:
        return as_recurrent_cell(self.cell).not_for_xla

    def sizes(self, input_shape: Shape) -> tuple[Any, Any]:
        specs = tree.flatten(state_specs(self.cell, input_shape))
        return [size_of(spec.shape) for spec in specs], size_of(output_shape(self.cell, input_shape))

    def build(self, input_shape: Shape) -> None:
        self.input_axes = len(input_shape) - 1  # of one step, without the batch
        if not self.cell.built:
            self.cell.build(input_shape)
            self.cell.built = True

    def project(self, inputs: Tensor, training: bool = False) -> Tensors:
        return as_recurrent_cell(self.cell).project(inputs, training)

    def step(self, projected: Tensors, states: list[Tensor], training: bool = False) -> tuple[Tensor, list[Tensor]]:
        return as_recurrent_cell(self.cell).step(projected, list(states), training)

    def gates(self, projected: Tensors, states: list[Tensor]) -> dict[str, Tensor]:
        """Returns everything that one step of the cell inside computes, by name."""
        return self.cell.gates(projected, states)

    def carry_gate(self, gates: dict[str, Tensor]) -> Tensor:
        """Returns the part of the state that is carried over."""
        return self.cell.carry_gate(gates)

    def readout(self, states: list[Tensor]) -> Tensor:
        return as_recurrent_cell(self.cell).readout(states)

    def get_initial_state(self, batch_size: int | None = None) -> list[Tensor]:
        if not hasattr(self.cell, "get_initial_state"):
            return super().get_initial_state(batch_size)
        return tree.flatten(self.cell.get_initial_state(batch_size=batch_size))

    def get_config(self) -> Config:
        return {**super().get_config(), "cell": keras.saving.serialize_keras_object(self.cell)}

    @classmethod
    def from_config(cls, config: Config, custom_objects: dict[str, Any] | None = None) -> "WrapperCell":
        cell = keras.saving.deserialize_keras_object(config["cell"], custom_objects=custom_objects)
        return cls(**{**config, "cell": cell})

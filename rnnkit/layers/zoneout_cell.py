"""Zoneout around a cell."""

from collections.abc import Hashable
from typing import Any

import keras
from keras import ops, random

from rnnkit.annotations import Config, Tensor, Tensors
from rnnkit.arguments import check_rate
from rnnkit.layers.recurrent_cell import as_recurrent_cell, key_of
from rnnkit.layers.residual_cell import ResidualCell
from rnnkit.layers.state_shapes import state_specs
from rnnkit.layers.wrapper_cell import WrapperCell


@keras.saving.register_keras_serializable(package="rnnkit")
class ZoneoutCell(WrapperCell):
    """Keeps some of a cell's states as they were, instead of setting them to zero as dropout does.

        s_t = d_t * s_{t-1} + (1 - d_t) * s~_t

    Here s~_t is what the cell computes, and d_t is drawn for every step, unit and row: 1 with probability `rate`. In
    inference, d_t is its mean, `rate`. The output y_t follows from s_t. To train the cell, use `Recurrent` around it,
    which draws before the loop: on JAX, nothing can be drawn inside the loop of `keras.layers.RNN`.

    Args:
        cell: any cell.
        rate: probability in [0, 1) that a unit keeps its state, or a list with one for each state, such as
            `[0.05, 0.5]` for h and C of an LSTM. Defaults to `0.1`.
        seed: integer; makes the draws equal on repeated runs. Defaults to `None`.
        **kwargs: `name`, `dtype` (by default, that of the cell), `trainable`.

    Call arguments:
        inputs: tensor `(batch, input_features)`, x_t.
        states: list of the states of `cell`, each `(batch, state_size[i])`.
        training: whether this is a training run. Defaults to `False`.

    Returns:
        y_t `(batch, output_size)` and the list of new states, as `cell` returns them.

    Raises:
        ValueError: `cell` is not a cell, or is a `ResidualCell` (put that one around) or a stack (wrap each cell); a
            rate is not in [0, 1), or there is not one rate for each state.

    Example:

    >>> import numpy as np, rnnkit.layers
    >>> cell = rnnkit.layers.ZoneoutCell(rnnkit.layers.LSTMCell(4), rate=[0.05, 0.5], seed=1)
    >>> tuple(rnnkit.layers.Recurrent(cell)(np.zeros((2, 5, 3), "float32")).shape)
    (2, 4)

    References:
        Krueger et al., "Zoneout: regularizing RNNs by randomly preserving hidden activations", 2016.
    """

    def __init__(self, cell: Any, rate: float | list[float] = 0.1, seed: int | None = None, **kwargs: Any):
        super().__init__(cell, **kwargs)
        if isinstance(cell, ResidualCell | keras.layers.StackedRNNCells):
            raise ValueError(
                f"ZoneoutCell expected a cell whose output follows from its states, received {type(cell).__name__}: "
                "put ResidualCell around ZoneoutCell, and ZoneoutCell around each cell of a stack."
            )
        rates = list(rate) if isinstance(rate, list | tuple) else [rate] * len(self.state_size)
        if len(rates) != len(self.state_size):
            raise ValueError(
                f"ZoneoutCell expected a rate for each of {len(self.state_size)} states, received {rate!r}."
            )
        self.rates = [check_rate(type(self).__name__, "rate", value) for value in rates]
        self.rate = rate
        self.seed = seed
        self.seed_generator = random.SeedGenerator(seed)

    def project(self, inputs: Tensor, training: bool = False) -> Tensors:
        projected = {"projected": super().project(inputs, training)}
        if training:
            leading = ops.shape(inputs)[: len(inputs.shape) - self.input_axes]
            shapes = [(*leading, *spec.shape[1:]) for spec in state_specs(self)]
            projected["draws"] = [random.uniform(shape, seed=self.seed_generator) for shape in shapes]
        return projected

    def step(self, projected: Tensors, states: list[Tensor], training: bool = False) -> tuple[Tensor, list[Tensor]]:
        _, new_states = super().step(projected["projected"], states, training)
        if training:
            pairs = zip(projected["draws"], self.rates, new_states, states, strict=True)
            states = [ops.where(draw < rate, old, new) for draw, rate, new, old in pairs]
        else:
            pairs = zip(self.rates, new_states, states, strict=True)
            states = [rate * old + (1 - rate) * new for rate, new, old in pairs]
        return self.readout(states), states

    def gates(self, projected: Tensors, states: list[Tensor]) -> dict[str, Tensor]:
        """Returns everything that one step of the cell inside computes, by name, with the states after zoneout."""
        gates = super().gates(projected["projected"], states)
        _, states = self.step(projected, states)
        return {**gates, **dict(zip(("h", "C"), states, strict=False))}

    def carry_gate(self, gates: dict[str, Tensor]) -> Tensor:
        """Returns the part of the state that is carried over, by zoneout and then by the cell inside."""
        rate = self.rates[-1]  # of C, or of a GRU's h
        return rate + (1 - rate) * super().carry_gate(gates)

    def program_key(self) -> Hashable | None:
        return key_of(self, ZoneoutCell, as_recurrent_cell(self.cell).program_key(), *self.rates)

    def get_config(self) -> Config:
        return {**super().get_config(), "rate": self.rate, "seed": self.seed}

"""A cell that attends to a memory at each step."""

from collections.abc import Callable, Hashable
from typing import Any

import keras
from keras import ops

from rnnkit.annotations import Config, Mask, Shape, Tensor, Tensors
from rnnkit.arguments import agree
from rnnkit.layers.attention import Attention, AttentionOutput
from rnnkit.layers.recurrent_cell import all_cells, as_recurrent_cell, key_of
from rnnkit.layers.wrapper_cell import WrapperCell
from rnnkit.layers.zoneout_cell import ZoneoutCell


@keras.saving.register_keras_serializable(package="rnnkit")
class AttentionCell(WrapperCell):
    """A cell that attends to a memory at each step.

    First the cell inside runs. Its output is the query, and a_t is the output:

        h_t = O(s_t) with s_t = R(s_{t-1}, x_t), or R(s_{t-1}, [x_t; a_{t-1}]) with input feeding
        alpha_ts, c_t, a_t = attention(h_t, memory)

    The memory and its mask are passed as states: `initial_state` makes the whole list, and the layer around the cell
    takes it. They never change. `Recurrent` computes what depends on them alone, the attention's keys, once before the
    loop.

    `gates` has `"alignment"` and `"context"` in addition to the gates of the cell inside. Therefore
    `rnnkit.diagnostics.record_gates(layer, inputs, initial_state=...)` returns the alignments of every step;
    `rnnkit.decoding` returns those of what it decodes.

    Args:
        cell: any cell: `LSTMCell`, `GRUCell`, `keras.layers.StackedRNNCells`, ...
        attention: `LuongAttention` or `BahdanauAttention`.
        input_feeding: whether the cell reads a_{t-1} together with x_t, and so knows what it attended to. Defaults to
            `False`.
        coverage: whether the attention knows how much it has attended to each position so far: (sum of alpha_ts over
            the steps so far) times a learned vector, `coverage_vector`, is added to the keys. Defaults to `False`.
        **kwargs: `name`, `dtype` (default: the cell's), `trainable`.

    Call arguments:
        inputs: x_t, tensor `(batch, input_features)`.
        states: list, as `initial_state` makes it: the states of `cell`; with input feeding a_{t-1} `(batch, units)`;
            with coverage the coverage `(batch, memory_time)`; the memory `(batch, memory_time, memory_features)` and
            its mask `(batch, memory_time)`, one at the positions that can be attended to and zero elsewhere.
        training: whether this is a training run. Defaults to `False`.

    Returns:
        a_t `(batch, attention.units)` and the list of new states.

    Raises:
        ValueError: `cell` is not a cell, `attention` not an attention layer; there is no memory among the states; with
            input feeding, the cell draws for each step (`dropout_each_step`, `ZoneoutCell`).

    Example:

    >>> import numpy as np, rnnkit.layers
    >>> cell = rnnkit.layers.AttentionCell(rnnkit.layers.GRUCell(8), rnnkit.layers.LuongAttention(6))
    >>> decoder = rnnkit.layers.Recurrent(cell, return_sequences=True)
    >>> memory = np.zeros((2, 7, 4), "float32")
    >>> tuple(decoder(np.zeros((2, 5, 3), "float32"), initial_state=cell.initial_state(memory)).shape)
    (2, 5, 6)

    References:
        Luong, Pham and Manning, "Effective approaches to attention-based neural machine translation", 2015 (input
        feeding: section 3.3); See, Liu and Manning, "Get to the point", 2017 (coverage: section 2.3).
    """

    def __init__(
        self, cell: Any, attention: Attention, input_feeding: bool = False, coverage: bool = False, **kwargs: Any
    ):
        super().__init__(cell, **kwargs)
        if not isinstance(attention, Attention):
            raise ValueError(f"AttentionCell expected a LuongAttention or BahdanauAttention, received {attention!r}.")
        if input_feeding:
            refuse_draws_in_steps("AttentionCell(input_feeding=True)", cell)
        self.attention = attention
        self.input_feeding = bool(input_feeding)
        self.coverage = bool(coverage)
        states, self.query_size = super().sizes(None)
        self.inner_states = len(states)

    def sizes(self, input_shape: Shape) -> tuple[Any, Any]:
        states, _ = super().sizes(None)
        own = [self.attention.units] * self.input_feeding + [None] * self.coverage
        return [*states, *own, None, None], self.attention.units

    def build(self, inputs_shape: Shape, states_shape: Any = None) -> None:
        batch, *_, features = tuple(inputs_shape)
        super().build((batch, self.reads(features)))
        if not self.attention.built:
            if states_shape is None:
                raise ValueError(
                    "AttentionCell expected to be built with the shape of its memory, received the shape of its inputs "
                    "alone: use the cell in rnnkit's Recurrent or Decoder with an initial_state, or call "
                    "attention.build(query_shape, value_shape) first."
                )
            self.attention.build((batch, None, self.query_size), tuple(states_shape[-2]))
            self.attention.built = True
        if self.coverage:
            shape = (self.attention.key_features,)
            self.coverage_vector = self.add_weight(shape, name="coverage_vector", initializer="zeros")

    def initial_state(self, memory: Tensor, mask: Mask = None, states: list[Tensor] | None = None) -> list[Tensor]:
        """Makes the states before the first step: those of the cell inside, and a memory not yet attended to.

        Args:
            memory: tensor `(batch, memory_time, memory_features)`.
            mask: boolean tensor `(batch, memory_time)`, True at the positions that can be attended to. Defaults to
                `None`: all positions.
            states: list of the states of the cell inside. Defaults to `None`, which means zeros.

        Returns:
            The list of states that `Recurrent`, `Decoder` and `rnnkit.decoding` take as `initial_state`.

        Raises:
            ValueError: the memory is not `(batch, memory_time, memory_features)` or empty, the mask does not fit it, or
                there is another number of states.
        """
        if len(memory.shape) != 3:
            raise ValueError(
                f"AttentionCell expected a memory (batch, memory_time, memory_features), received shape "
                f"{tuple(memory.shape)}: an encoder needs return_sequences=True."
            )
        if memory.shape[1] == 0:
            raise ValueError("AttentionCell expected one position or more to attend to, received an empty memory.")
        if mask is not None and not agree(mask.shape, memory.shape[:2]):
            raise ValueError(
                f"AttentionCell expected a mask (batch, memory_time) = {tuple(memory.shape[:2])}, received shape "
                f"{tuple(mask.shape)}."
            )

        def zeros(features):
            return ops.repeat(ops.zeros_like(memory[:, 0, :1]), features, axis=-1)

        sizes = self.state_size[: self.inner_states]
        states = [zeros(size) for size in sizes] if states is None else list(states)
        if len(states) != len(sizes):
            raise ValueError(
                f"AttentionCell expected {len(sizes)} states of {type(self.cell).__name__}, of sizes {sizes}, received "
                f"{len(states)}."
            )
        if self.input_feeding:
            states.append(zeros(self.attention.units))
        nothing = ops.zeros_like(memory[:, :, 0])
        mask = ops.ones_like(nothing) if mask is None else ops.cast(mask, nothing.dtype)
        return [*states, *([nothing] * self.coverage), memory, mask]

    def prepare(self, states: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """Returns the states that change, and what does not: the memory, its mask, and its keys."""
        *changing, memory, mask = states
        if len(memory.shape) != 3 or not agree(mask.shape, memory.shape[:2]):
            raise ValueError(
                "AttentionCell expected a memory (batch, memory_time, memory_features) and its mask (batch, "
                f"memory_time) as its last two states, received shapes {tuple(memory.shape)} and {tuple(mask.shape)}: "
                "initial_state makes the list."
            )
        return changing, list(self.attention.memory(memory, mask))

    def project(self, inputs: Tensor, training: bool = False) -> Tensors:
        return inputs if self.input_feeding else super().project(inputs, training)

    def step(self, projected: Tensors, states: list[Tensor], training: bool = False) -> tuple[Tensor, list[Tensor]]:
        attended, states = self.attend(projected, states, training)
        return attended.attention, states

    def attend(
        self, projected: Tensors, states: list[Tensor], training: bool = False
    ) -> tuple[AttentionOutput, list[Tensor]]:
        """Runs a step as `step` does, and returns all three results of the attention.

        Returns:
            An `AttentionOutput` without a time axis, and the list of new states.
        """
        if len(states) == len(self.state_size):
            changing, constants = self.prepare(states)
            attended, new = self.attend(projected, [*changing, *constants], training)
            return attended, [*new[:-3], *states[-2:]]
        inner, changing, (memory, mask, keys) = self._split(states)
        query, inner = super().step(self._inner_projected(projected, changing, training), inner, training)
        if self.coverage:
            coverage = changing[-1]
            keys = keys + coverage[..., None] * self.coverage_vector
        attended = self.attention.attend(query[:, None], memory, mask, keys)
        attended = AttentionOutput(*(ops.squeeze(x, axis=1) for x in attended))
        new = [attended.attention] * self.input_feeding
        if self.coverage:
            new.append(coverage + attended.alignment)
        return attended, [*inner, *new, *states[-3:]]

    def loop(self) -> tuple[Callable[..., Any], int, Callable[..., Tensor] | None]:
        if self.input_feeding or self.coverage:
            return super().loop()
        return self._inner_step, self.query_size, self._attend_at_all_steps  # no step needs another's attention

    def program_key(self) -> Hashable | None:
        inner = as_recurrent_cell(self.cell).program_key()
        return key_of(self, AttentionCell, inner, self.attention.program_key(), self.input_feeding, self.coverage)

    def gates(self, projected: Tensors, states: list[Tensor]) -> dict[str, Tensor]:
        """Returns everything that one step computes: the gates of the cell inside, alignment and context."""
        attended, _ = self.attend(projected, states)
        if len(states) == len(self.state_size):
            states = [*states, None]  # not prepared
        inner, changing, _ = self._split(states)
        gates = super().gates(self._inner_projected(projected, changing, False), inner) if self._has_gates() else {}
        return {**gates, "alignment": attended.alignment, "context": attended.context}

    def reads(self, features: int) -> int:
        """Returns how many features the cell inside reads."""
        return features + self.attention.units if self.input_feeding and features is not None else features

    def get_initial_state(self, batch_size: int | None = None) -> list[Tensor]:
        raise ValueError(
            "AttentionCell expected a memory to attend to, received no initial state: give the layer "
            "initial_state=cell.initial_state(memory, mask)."
        )

    def get_config(self) -> Config:
        own = {"input_feeding": self.input_feeding, "coverage": self.coverage}
        return {**super().get_config(), "attention": keras.saving.serialize_keras_object(self.attention), **own}

    @classmethod
    def from_config(cls, config: Config, custom_objects: Any = None) -> "AttentionCell":
        attention = keras.saving.deserialize_keras_object(config["attention"], custom_objects=custom_objects)
        return super().from_config({**config, "attention": attention}, custom_objects)

    def _inner_step(self, projected, states, training=False):
        return super().step(projected, states[: self.inner_states], training)

    def _attend_at_all_steps(self, queries, constants):
        return self.attention.attend(queries, *constants).attention

    def _split(self, states):
        """The states of the cell inside, what else changes, and what does not."""
        return states[: self.inner_states], states[self.inner_states : -3], states[-3:]

    def _inner_projected(self, projected, changing, training):
        if not self.input_feeding:
            return projected
        return super().project(ops.concatenate([projected, changing[0]], axis=-1), training)

    def _has_gates(self):
        inner = self.cell
        while isinstance(inner, WrapperCell):
            inner = inner.cell
        return hasattr(inner, "gates")


def refuse_draws_in_steps(owner: str, cell: Any) -> None:
    """Raises a `ValueError` if the cell draws for each step: its owner projects inside the loop, too late for that."""
    if any(getattr(inner, "dropout_each_step", False) for inner, _ in all_cells(cell)):
        draws, instead = "dropout_each_step", "dropout with one mask for the sequence (dropout_each_step=False)"
    elif any(isinstance(inner, ZoneoutCell) for inner, _ in all_cells(cell)):
        draws, instead = "ZoneoutCell", "recurrent_dropout of the cell"
    else:
        return
    raise ValueError(
        f"{owner} expected a cell that draws nothing for each step, received one with {draws}: the inputs are known "
        f"only step by step, too late to draw. Use {instead}."
    )

"""Cells around any cell: a cell in, a cell out."""

import keras
from keras import ops, random, tree

from rnnkit.arguments import check_rate
from rnnkit.layers.recurrent_cell import RecurrentCell, as_recurrent_cell, key_of


class WrapperCell(RecurrentCell):
    """Base of cells around another cell: has its states, and puts out what it puts out."""

    def __init__(self, cell, **kwargs):
        has_states = isinstance(cell, keras.layers.Layer) and getattr(cell, "state_size", None) is not None
        if not has_states or hasattr(cell, "return_sequences"):
            raise ValueError(
                f"{type(self).__name__} expected a cell (LSTMCell, GRUCell, a RecurrentCell, ...), received {cell!r}. "
                "A layer over a sequence has its cell as layer.cell."
            )
        if None in tree.flatten(cell.state_size):
            raise ValueError(
                f"{type(self).__name__} cannot stand around a cell with a memory: put it inside, "
                f"AttentionCell({type(self).__name__}(cell, ...), attention)."
            )
        if kwargs.get("dtype") is None:
            kwargs["dtype"] = cell.dtype_policy
        super().__init__(**kwargs)
        self.cell = cell
        self.state_size = list(tree.flatten(cell.state_size))
        self.output_size = as_recurrent_cell(cell).output_size

    def build(self, input_shape):
        if not self.cell.built:
            self.cell.build(input_shape)
            self.cell.built = True

    def project(self, inputs, training=False):
        return as_recurrent_cell(self.cell).project(inputs, training)

    def step(self, projected, states, training=False):
        return as_recurrent_cell(self.cell).step(projected, list(states), training)

    def gates(self, projected, states):
        """All that one step of the cell inside computes."""
        return self.cell.gates(projected, states)

    def kept(self, gates):
        """The part of the state that is carried over."""
        return self.cell.kept(gates)

    def readout(self, states):
        return self.cell.readout(states) if isinstance(self.cell, RecurrentCell) else states[0]

    def get_initial_state(self, batch_size=None):
        if not hasattr(self.cell, "get_initial_state"):
            return super().get_initial_state(batch_size)
        return tree.flatten(self.cell.get_initial_state(batch_size=batch_size))

    def get_config(self):
        return {**super().get_config(), "cell": keras.saving.serialize_keras_object(self.cell)}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        cell = keras.saving.deserialize_keras_object(config["cell"], custom_objects=custom_objects)
        return cls(**{**config, "cell": cell})


@keras.saving.register_keras_serializable(package="rnnkit")
class ResidualCell(WrapperCell):
    """Adds the input to the output of a cell: y_t = O(s_t) + x_t.

    To train a cell with dropout in it, use `Recurrent` around it: `keras.layers.RNN` does not look inside of wrappers.

    Args:
        cell: any cell whose output is as wide as its input.
        **kwargs: `name`, `dtype` (default: the cell's), `trainable`.

    Call arguments:
        inputs: tensor `(batch, input_features)`.
        states: list of the states of `cell`.
        training: whether this is a training run.

    Returns:
        y_t `(batch, input_features)` and the list of new states.

    Raises:
        ValueError: `cell` is not a cell; input and output are not equally wide.

    Example:

    >>> import numpy as np, rnnkit.layers
    >>> layer = rnnkit.layers.Recurrent(rnnkit.layers.ResidualCell(rnnkit.layers.LSTMCell(4)), return_sequences=True)
    >>> tuple(layer(np.zeros((2, 5, 4), "float32")).shape)
    (2, 5, 4)

    References:
        He et al., "Deep residual learning for image recognition", 2015; Wu et al., "Google's neural machine translation
        system", 2016, section 3.1.
    """

    def build(self, input_shape):
        if input_shape[-1] != self.output_size:
            raise ValueError(
                f"ResidualCell adds the input to the output, but the input has {input_shape[-1]} features and the "
                f"output of {type(self.cell).__name__} has {self.output_size}: make them equal."
            )
        super().build(input_shape)

    def project(self, inputs, training=False):
        return {"inputs": inputs, "projected": super().project(inputs, training)}

    def step(self, projected, states, training=False):
        output, states = super().step(projected["projected"], states, training)
        return output + projected["inputs"], states

    def gates(self, projected, states):
        return super().gates(projected["projected"], states)

    def program_key(self):
        return key_of(self, ResidualCell, as_recurrent_cell(self.cell).program_key())


@keras.saving.register_keras_serializable(package="rnnkit")
class ZoneoutCell(WrapperCell):
    """Keeps some of the states of a cell as they were, instead of setting them to zero as dropout does.

        s_t = d_t * s_{t-1} + (1 - d_t) * s~_t

    where s~_t is what the cell computed and d_t is drawn for every step, unit and row: 1 with probability `rate`. In
    inference, d_t is its mean, `rate`. y_t follows from s_t. To train it, use `Recurrent` around it, which draws before
    the loop: on JAX, nothing can be drawn inside the loop of `keras.layers.RNN`.

    Args:
        cell: any cell.
        rate: probability in [0, 1) that a unit keeps its state; or one for each state, such as `[0.05, 0.5]` for h
            and C of an LSTM.
        seed: integer; makes the draws equal on repeated runs.
        **kwargs: `name`, `dtype` (default: the cell's), `trainable`.

    Call arguments:
        inputs: tensor `(batch, input_features)`.
        states: list of the states of `cell`.
        training: whether this is a training run.

    Returns:
        y_t and the list of new states, of the cell's shapes.

    Raises:
        ValueError: `cell` is not a cell, or is a `ResidualCell` (put that one around) or a stack (wrap each cell); a
            rate is not in [0, 1), or there are not as many rates as states.

    Example:

    >>> import numpy as np, rnnkit.layers
    >>> cell = rnnkit.layers.ZoneoutCell(rnnkit.layers.LSTMCell(4), rate=[0.05, 0.5], seed=1)
    >>> tuple(rnnkit.layers.Recurrent(cell)(np.zeros((2, 5, 3), "float32")).shape)
    (2, 4)

    References:
        Krueger et al., "Zoneout: regularizing RNNs by randomly preserving hidden activations", 2016.
    """

    def __init__(self, cell, rate=0.1, seed=None, **kwargs):
        super().__init__(cell, **kwargs)
        if isinstance(cell, ResidualCell | keras.layers.StackedRNNCells):
            raise ValueError(
                f"ZoneoutCell needs a cell whose output follows from its own states, received {type(cell).__name__}: "
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

    def project(self, inputs, training=False):
        projected = {"projected": super().project(inputs, training)}
        if training:
            leading = ops.shape(inputs)[:-1]
            projected["draws"] = [
                random.uniform((*leading, size), seed=self.seed_generator) for size in self.state_size
            ]
        return projected

    def step(self, projected, states, training=False):
        output, new_states = super().step(projected["projected"], states, training)
        if training:
            pairs = zip(projected["draws"], self.rates, new_states, states, strict=True)
            states = [ops.where(draw < rate, old, new) for draw, rate, new, old in pairs]
        else:
            pairs = zip(self.rates, new_states, states, strict=True)
            states = [rate * old + (1 - rate) * new for rate, new, old in pairs]
        return self.readout(states), states

    def gates(self, projected, states):
        """All that one step of the cell inside computes, with the states as they are after zoneout."""
        gates = super().gates(projected["projected"], states)
        _, states = self.step(projected, states)
        return {**gates, **dict(zip(("h", "C"), states, strict=False))}

    def kept(self, gates):
        """The part of the state that is carried over, by zoneout and then by the cell inside."""
        rate = self.rates[-1]  # of C, or of a GRU's h
        return rate + (1 - rate) * super().kept(gates)

    def program_key(self):
        return key_of(self, ZoneoutCell, as_recurrent_cell(self.cell).program_key(), *self.rates)

    def get_config(self):
        return {**super().get_config(), "rate": self.rate, "seed": self.seed}

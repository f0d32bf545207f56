"""A decoder of real values: what was, and what is known ahead, in; the next value, or its distribution, out."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops, random, tree

from rnnkit.annotations import Config, Mask, Shape, Tensor, Tensors
from rnnkit.arguments import agree, check_positive_integer
from rnnkit.layers.attention_cell import refuse_draws_in_steps
from rnnkit.layers.decoder import InPrecision, first_unmasked
from rnnkit.layers.plain_loop import PlainLoopOfAll
from rnnkit.layers.quantization import without_quantization
from rnnkit.layers.recurrent import Recurrent
from rnnkit.layers.recurrent_cell import RecurrentCell, as_recurrent_cell
from rnnkit.layers.state_shapes import size_of, state_specs
from rnnkit.ops.masking import without_padding

SMALLEST_DEVIATION = 1e-4


@keras.saving.register_keras_serializable(package="rnnkit")
class ValueDecoder(PlainLoopOfAll, keras.layers.Layer):
    """Cell and head: reads values, and says for each of them which value comes next.

    Called with the true values, it is teacher forcing: at each step the cell reads the correct previous value, whatever
    it would have said itself. `rnnkit.decoding.forecast` runs the same decoder on its own values. With
    `scheduled_sampling`, the cell sometimes reads its own value in training, too: see `rnnkit.layers.Decoder`.

    What it says of the next value is

        output="value"      the value
        output="normal"     mean and standard deviation of a normal distribution, of each feature by itself
        output="quantiles"  the quantiles, in their order

    and the loss is one of Keras's, `rnnkit.losses.NormalLoss`, or `rnnkit.losses.PinballLoss`. Of its own, it reads the
    value, the mean, or the median.

    Args:
        cell: any cell: `LSTMCell`, `AttentionCell`, `keras.layers.StackedRNNCells`, ...
        features: how many values there are at each step. Defaults to `1`.
        output: `"value"`, `"normal"` or `"quantiles"`. Defaults to `"value"`.
        quantiles: for `output="quantiles"`, rising numbers between 0 and 1, with 0.5 among them. Defaults to `(0.1,
            0.5, 0.9)`.
        scheduled_sampling: whether there is a `sampling_rate`. Defaults to `False`.
        seed: integer, for the random choices of scheduled sampling. Defaults to `None`.
        **kwargs: `name`, `dtype` (by default the cell's), `trainable`.

    Call arguments:
        values: tensor `(batch, time, features)`: the last value of the past, then the target without its last value.
        known: tensor `(batch, time, k)`: what is known ahead of each step that is said, such as the hour, or a price.
            Defaults to `None`.
        initial_state: list of tensors `(batch, cell.state_size[i])`, such as an encoder's last states; for an
            `AttentionCell`, what `cell.initial_state(memory, mask, states)` returns. Defaults to `None`, which means
            zeros.
        mask: boolean tensor `(batch, time)`, True at unmasked steps. Defaults to `None`.
        training: whether this is a training run. Defaults to `False`.

    Returns:
        `(batch, time, features)`; with `"normal"` `(batch, time, features, 2)`, with `"quantiles"` `(batch, time,
        features, quantiles)`. What is at t is for the value at t + 1.

    Raises:
        ValueError: features is no positive integer; the output is none of the three; quantiles do not rise from above 0
            to below 1 with 0.5 among them; values, known or mask have another shape; with scheduled sampling, the cell
            draws for each step.

    Example:

    >>> import keras, numpy as np, rnnkit.layers
    >>> past, values = keras.Input((None, 1)), keras.Input((None, 1))
    >>> _, *states = rnnkit.layers.GRU(16, return_state=True)(past)
    >>> decoder = rnnkit.layers.ValueDecoder(rnnkit.layers.GRUCell(16))
    >>> model = keras.Model([past, values], decoder(values, initial_state=states))
    >>> model.compile("adam", "mse")
    >>> wave = np.sin(np.arange(60.0)).reshape(4, 15, 1)
    >>> _ = model.fit([wave[:, :10], wave[:, 9:-1]], wave[:, 10:], verbose=0)
    >>> states = keras.Model(past, states).predict(wave[:, :10], verbose=0)
    >>> rnnkit.decoding.forecast(decoder, [states], start=wave[:, 9], steps=5).values.shape
    (4, 5, 1)

    References:
        Salinas, Flunkert, Gasthaus and Januschowski, "DeepAR: probabilistic forecasting with autoregressive recurrent
        networks", 2020; Wen et al., "A multi-horizon quantile recurrent forecaster", 2017; Bengio et al., "Scheduled
        sampling for sequence prediction with recurrent neural networks", 2015.
    """

    def __init__(
        self,
        cell: Any,
        features: int = 1,
        output: str = "value",
        quantiles: Sequence[float] = (0.1, 0.5, 0.9),
        scheduled_sampling: bool = False,
        seed: int | None = None,
        **kwargs: Any,
    ):
        if kwargs.get("dtype") is None:
            kwargs["dtype"] = without_quantization(getattr(cell, "dtype_policy", None))
        super().__init__(**kwargs)
        if output not in ("value", "normal", "quantiles"):
            raise ValueError(f"ValueDecoder expected output 'value', 'normal' or 'quantiles', received {output!r}.")
        self.features = features = check_positive_integer("ValueDecoder", "features", features)
        self.output_kind, self.quantiles = output, check_quantiles("ValueDecoder", quantiles)
        self.parameters = {"value": 1, "normal": 2, "quantiles": len(self.quantiles)}[output]
        self.in_precision = InPrecision(dtype=self.dtype_policy)
        self.recurrent = Recurrent(cell, return_sequences=True)
        self.head = keras.layers.Dense(features * self.parameters, dtype=self.dtype_policy, name="head")
        self.scheduled_sampling, self.seed = bool(scheduled_sampling), seed
        self.supports_masking = True
        if self.scheduled_sampling:
            refuse_draws_in_steps("ValueDecoder(scheduled_sampling=True)", self.cell)
        self.own = Recurrent(_OwnValuesCell(self, cell), return_sequences=True, return_state=True)
        self.seed_generator = random.SeedGenerator(seed)

    @property
    def cell(self) -> Any:
        return self.recurrent.cell

    @property
    def sampling_rate(self) -> keras.Variable:
        """The probability that the cell reads its own value in training; only with scheduled sampling."""
        if not self.scheduled_sampling or not self.built:
            raise ValueError(
                f"Layer {self.name!r} has a sampling_rate with scheduled_sampling=True, once it is built, received "
                f"scheduled_sampling={self.scheduled_sampling} and built={self.built}."
            )
        return self._rate

    def build(self, values_shape: Shape, known_shape: Shape | None = None, initial_state_shape: Any = None) -> None:
        batch, time, _ = values_shape
        self.known = 0 if known_shape is None else known_shape[-1]
        if not self.recurrent.built:
            self.recurrent.build((batch, time, self.features + self.known), initial_state_shape)
        if not self.head.built:
            self.head.build((batch, time, as_recurrent_cell(self.cell).output_size))
        if self.scheduled_sampling:
            self._rate = self.add_weight((), initializer="zeros", trainable=False, autocast=False, name="sampling_rate")

    def call(
        self,
        values: Tensor,
        known: Tensor | None = None,
        initial_state: Any = None,
        mask: Mask = None,
        training: bool = False,
    ) -> Tensor:
        self._check(values, known, mask)
        if not (training and self.scheduled_sampling):
            inputs = values if known is None else ops.concatenate([values, ops.cast(known, values.dtype)], axis=-1)
            outputs = self.recurrent(inputs, initial_state=initial_state, mask=mask, training=training)
            return self.parameters_of(self.head(outputs))
        batch, time, _ = ops.shape(values)
        draws = random.uniform((batch, time, 1), dtype="float32", seed=self.seed_generator)
        is_own = ops.cast(draws < self._rate, values.dtype)
        if initial_state is None:
            initial_state = self.recurrent.get_initial_state(batch)
        first = first_unmasked(without_padding(values, mask), mask)
        return self.run(values, is_own, first, known, None, initial_state, mask=mask, training=training)[0]

    def run(
        self,
        given: Tensor,
        is_own: Tensor,
        first: Tensor,
        known: Tensor | None,
        noise: Tensor | None,
        initial_state: Any,
        **options: Any,
    ) -> tuple[Tensor, list[Tensor]]:
        """Runs the decoder on its own values where it is told to.

        Args:
            given: tensor `(batch, time, features)`, what is read elsewhere.
            is_own: tensor `(batch, time, 1)`, above 0 where its own value is read.
            first: tensor `(batch, features)`, what is its own value before the first step.
            known: tensor `(batch, time, k)`, or None.
            noise: tensor `(batch, time, features)`, with which its own values are drawn: of the normal distribution, or
                uniform for quantiles. None reads what is likely.
            initial_state: list of states.
            **options: `mask`, `training`.

        Returns:
            What it says, as `call` returns it, and the list of last states, the value that it would read next first.
        """
        parts = [given, is_own, *([] if known is None else [known]), *([] if noise is None else [noise])]
        self.own.cell.draws = noise is not None
        states = [first, *tree.flatten(initial_state)]
        outputs, *last = self.own(ops.concatenate(parts, axis=-1), initial_state=states, **options)
        return self.parameters_of(self.head(outputs)), tree.flatten(last)

    def parameters_of(self, raw: Tensor) -> Tensor:
        """What the head returns, `(..., features * parameters)`, as the numbers that the output consists of."""
        if self.output_kind == "value":
            return raw
        raw = ops.reshape(raw, (*ops.shape(raw)[:-1], self.features, self.parameters))
        if self.output_kind == "normal":
            mean, deviation = raw[..., :1], ops.softplus(raw[..., 1:]) + SMALLEST_DEVIATION
            return ops.concatenate([mean, deviation], axis=-1)
        first, steps = raw[..., :1], ops.softplus(raw[..., 1:])  # quantiles never cross
        return ops.cumsum(ops.concatenate([first, steps], axis=-1), axis=-1)

    def value_of(self, parameters: Tensor, noise: Tensor | None = None) -> Tensor:
        """The value that is read next, `(..., features)`: drawn with noise, or the value, the mean or the median."""
        if self.output_kind == "value":
            return parameters
        if self.output_kind == "normal":
            mean, deviation = parameters[..., 0], parameters[..., 1]
            return mean if noise is None else mean + deviation * noise
        if noise is None:
            return parameters[..., self.quantiles.index(0.5)]
        value, levels = parameters[..., 0], self.quantiles  # a straight line between quantiles, and nothing beyond them
        for i in range(1, len(levels)):
            share = ops.clip((noise - levels[i - 1]) / (levels[i] - levels[i - 1]), 0.0, 1.0)
            value = value + share * (parameters[..., i] - parameters[..., i - 1])
        return value

    def compute_output_shape(
        self, values_shape: Shape, known_shape: Shape | None = None, initial_state_shape: Any = None
    ) -> Shape:
        shape = (*values_shape[:2], self.features)
        return shape if self.output_kind == "value" else (*shape, self.parameters)

    def compute_mask(self, values: Tensor, mask: Mask = None) -> Mask:
        return tree.flatten(mask)[0] if mask is not None else None

    def switched(self) -> list:
        return [self.recurrent, self.own]

    def get_config(self) -> Config:
        own = {
            "cell": keras.saving.serialize_keras_object(self.cell),
            "features": self.features,
            "output": self.output_kind,
            "quantiles": self.quantiles,
            "scheduled_sampling": self.scheduled_sampling,
            "seed": self.seed,
        }
        return {**super().get_config(), **own}

    @classmethod
    def from_config(cls, config: Config, custom_objects: Any = None) -> "ValueDecoder":
        cell = keras.saving.deserialize_keras_object(config["cell"], custom_objects=custom_objects)
        return cls(**{**config, "cell": cell})

    def _check(self, values, known, mask):
        if len(values.shape) != 3 or values.shape[-1] != self.features:
            raise ValueError(
                f"Layer {self.name!r} expected values (batch, time, features={self.features}), received shape "
                f"{tuple(values.shape)}."
            )
        batch, time, _ = values.shape
        count = self.known if self.built else None if known is None else known.shape[-1]
        if (known is None and count) or (known is not None and not agree(known.shape, (batch, time, count))):
            raise ValueError(
                f"Layer {self.name!r} expected known of shape {(batch, time, count)}, which are the batch and time of "
                f"values {tuple(values.shape)}, received {None if known is None else tuple(known.shape)}."
            )
        if mask is not None and not agree(mask.shape, (batch, time)):
            raise ValueError(
                f"Layer {self.name!r} expected a mask of shape {(batch, time)}, received {tuple(mask.shape)}."
            )


class _OwnValuesCell(RecurrentCell):
    """A cell around the decoder's that reads the decoder's own value, its first state, where it is told to.

    Args:
        decoder: the `ValueDecoder`, which is not kept as a layer of this one.
        cell: its cell.
    """

    def __init__(self, decoder: ValueDecoder, cell: Any):
        super().__init__(dtype=without_quantization(cell.dtype_policy))
        self.cell, self.head = cell, decoder.head
        self.draws = False
        self._features, self._parameters_of, self._value_of = decoder.features, decoder.parameters_of, decoder.value_of
        self.state_size = [decoder.features, *(size_of(spec.shape) for spec in tree.flatten(state_specs(cell)))]

    @property
    def output_size(self) -> Any:
        return as_recurrent_cell(self.cell).output_size

    def build(self, inputs_shape: Shape) -> None:
        """What is inside is built already."""

    def reads(self, features: int) -> int:
        """Returns how many features the cell inside reads: what is read here, without `is_own` and the noise."""
        return features - 1 - (self._features if self.draws else 0)

    def prepare(self, states: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        changing, constants = as_recurrent_cell(self.cell).prepare(states[1:])
        return [states[0], *changing], constants

    def project(self, inputs: Tensor, training: bool = False) -> Tensors:
        f = self._features
        rest = inputs[..., f + 1 :]
        known, noise = (rest[..., :-f], rest[..., -f:]) if self.draws else (rest, None)
        projected = {"given": inputs[..., :f], "is_own": inputs[..., f : f + 1], "known": known}
        return projected if noise is None else {**projected, "noise": noise}

    def step(self, projected: Tensors, states: list[Tensor], training: bool = False) -> tuple[Tensor, list[Tensor]]:
        own, *states = states
        value = ops.where(projected["is_own"] > 0, own, projected["given"])
        cell = as_recurrent_cell(self.cell)
        inputs = ops.concatenate([value, projected["known"]], axis=-1)
        output, states = cell.step(cell.project(inputs, training), states, training)
        said = self._value_of(self._parameters_of(self.head(output)), projected.get("noise"))
        return output, [ops.cast(said, own.dtype), *states]


def check_quantiles(owner: str, quantiles: Sequence[float]) -> list[float]:
    """Returns quantiles as a list, if they rise from above 0 to below 1, with 0.5 among them."""
    levels = np.asarray(quantiles, "float64")
    rising = levels.ndim == 1 and levels.size and (np.diff(levels) > 0).all() and 0 < levels[0] and levels[-1] < 1
    if not rising or 0.5 not in levels:
        raise ValueError(
            f"{owner} expected quantiles that rise, between 0 and 1, with 0.5 among them, received {quantiles!r}."
        )
    return levels.tolist()

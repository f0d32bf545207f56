"""Scheduled sampling: from the true tokens to the decoder's own, step by step."""

import math
import numbers
from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from rnnkit.layers.decoder import Decoder
from rnnkit.layers.value_decoder import ValueDecoder


class ScheduledSampling(keras.callbacks.Callback):
    """Sets, before each batch, how often a decoder reads its own token instead of the true one.

    The schedule gives the probability of a **true** token, epsilon in the paper, which falls from 1; the decoder's
    `sampling_rate` is one minus this probability.

    Args:
        decoder: a `rnnkit.layers.Decoder` or `ValueDecoder` with `scheduled_sampling=True`.
        schedule: function from the number of batches so far to a probability: `inverse_sigmoid_decay(k)`, any schedule
            of `keras.optimizers.schedules` (from 1 down), or your own function.

    Raises:
        ValueError: the decoder has no scheduled sampling, or is not part of the model that trains; the schedule returns
            something other than a probability.

    Example:

    >>> import keras, rnnkit.layers, rnnkit.training
    >>> embedding, cell, head = keras.layers.Embedding(20, 4), rnnkit.layers.GRUCell(8), keras.layers.Dense(20)
    >>> decoder = rnnkit.layers.Decoder(embedding, cell, head, scheduled_sampling=True)
    >>> linear = keras.optimizers.schedules.PolynomialDecay(1.0, decay_steps=1000, end_learning_rate=0.5)
    >>> callback = rnnkit.training.ScheduledSampling(decoder, linear)  # model.fit(..., callbacks=[callback])

    References:
        Bengio et al., "Scheduled sampling for sequence prediction with recurrent neural networks", 2015.
    """

    def __init__(self, decoder: Decoder | ValueDecoder, schedule: Callable[[int], Any]):
        super().__init__()
        if not isinstance(decoder, Decoder | ValueDecoder) or not decoder.scheduled_sampling:
            raise ValueError(
                "ScheduledSampling expected a rnnkit.layers.Decoder(..., scheduled_sampling=True), received "
                f"{decoder!r}."
            )
        if not callable(schedule):
            raise ValueError(
                f"ScheduledSampling expected schedule to be a function of the number of batches, received {schedule!r}."
            )
        self.decoder, self.schedule, self.batches = decoder, schedule, 0

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        # On JAX, variables cannot be read while a model trains, until a callback asks for `self.model`.
        if all(variable is not self.decoder.sampling_rate for variable in self.model.variables):
            raise ValueError(f"ScheduledSampling expected its decoder {self.decoder.name!r} to be part of the model.")
        true_tokens = float(ops.convert_to_numpy(self.schedule(self.batches)))
        if not 0 <= true_tokens <= 1:
            raise ValueError(
                f"ScheduledSampling expected its schedule to return a probability, received {true_tokens} for batch "
                f"{self.batches}."
            )
        self.decoder.sampling_rate.assign(1 - true_tokens)
        self.batches += 1


def inverse_sigmoid_decay(k: float) -> Callable[[int], float]:
    """Makes a schedule from nearly 1 to 0 that is one half after k ln k batches: k / (k + exp(batches / k)).

    Args:
        k: a number above 1; the larger it is, the slower the decay.

    Returns:
        A function from the number of batches to a probability, for `ScheduledSampling`.

    Raises:
        ValueError: k is not a number above 1.

    Example:

    >>> schedule = inverse_sigmoid_decay(100)
    >>> [round(schedule(batches), 2) for batches in (0, 461, 1000)]
    [0.99, 0.5, 0.0]

    References:
        Bengio et al., "Scheduled sampling for sequence prediction with recurrent neural networks", 2015, section 2.4.
    """
    if not isinstance(k, numbers.Real) or isinstance(k, bool) or not 1 < k < math.inf:
        raise ValueError(f"inverse_sigmoid_decay expected k to be a number above 1, received {k!r}.")
    return lambda batches: k / (k + math.exp(min(float(batches) / k, 700)))

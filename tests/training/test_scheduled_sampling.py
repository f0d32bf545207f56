import math

import keras
import numpy as np
import pytest

from rnnkit import layers
from rnnkit.training import ScheduledSampling, inverse_sigmoid_decay

TOKENS = np.random.default_rng(0).integers(1, 6, (24, 8))


def decoder(scheduled_sampling=True):
    parts = keras.layers.Embedding(6, 3), layers.GRUCell(4), keras.layers.Dense(6)
    return layers.Decoder(*parts, scheduled_sampling=scheduled_sampling, seed=1)


@pytest.fixture(scope="module")
def model():
    """One model for all schedules: it takes long to compile."""
    return model_of(decoder())


def model_of(layer):
    model = keras.Sequential([keras.Input((8,), dtype="int32"), layer])
    model.compile(keras.optimizers.SGD(1.0), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model


class Watch(keras.callbacks.Callback):
    """Keeps the sampling rate with which each batch was trained."""

    def __init__(self, decoder):
        super().__init__()
        self.decoder, self.rates = decoder, []

    def on_train_batch_end(self, batch, logs=None):
        (rate,) = [v for v in self.model.variables if v is self.decoder.sampling_rate]
        self.rates.append(float(keras.ops.convert_to_numpy(rate)))


def fitted(model, schedule):
    """The sampling rate with which each of 6 batches was trained, in two calls of `fit` with one callback."""
    (decoder,) = model.layers
    rng, start = np.random.default_rng(0), decoder.get_weights()
    decoder.set_weights([rng.normal(scale=0.5, size=weight.shape).astype(weight.dtype) for weight in start])
    callback, watch = ScheduledSampling(decoder, schedule), Watch(decoder)
    for rows in (slice(0, 12), slice(12, 24)):
        inputs, targets = TOKENS[rows], np.roll(TOKENS[rows], -1, axis=1)
        model.fit(inputs, targets, batch_size=4, verbose=0, shuffle=False, callbacks=[callback, watch])
    return watch.rates


def test_the_rate_follows_the_schedule_over_several_calls_of_fit(model):
    np.testing.assert_allclose(fitted(model, lambda batches: 1 - batches / 10), [0, 0.1, 0.2, 0.3, 0.4, 0.5], atol=1e-6)


def test_training_takes_the_rate_of_each_batch(model):
    """A decoder that samples from the second batch on ends with other weights than one that never samples."""

    def trained(schedule):
        fitted(model, schedule)
        return np.concatenate([np.ravel(keras.ops.convert_to_numpy(v)) for v in model.trainable_variables])

    forced, sampled = trained(lambda batches: 1.0), trained(lambda batches: float(batches == 0))
    assert np.abs(forced - sampled).max() > 1e-3


def test_schedules_of_keras_work(model):
    linear = keras.optimizers.schedules.PolynomialDecay(1.0, decay_steps=4, end_learning_rate=0.2)
    np.testing.assert_allclose(fitted(model, linear), [0, 0.2, 0.4, 0.6, 0.8, 0.8], atol=1e-6)


def test_inverse_sigmoid_decay_is_the_equation():
    schedule = inverse_sigmoid_decay(20)
    for batches in (0, 1, 50, 100):
        assert schedule(batches) == pytest.approx(20 / (20 + math.e ** (batches / 20)))
    assert schedule(20 * math.log(20)) == pytest.approx(0.5)
    assert schedule(10**9) == pytest.approx(0)


@pytest.mark.parametrize("k", [1, 0, -3, math.inf, math.nan, "5", True])
def test_k_must_be_above_one(k):
    with pytest.raises(ValueError, match="k to be a number above 1, received"):
        inverse_sigmoid_decay(k)


def test_wrong_arguments_are_refused(model):
    with pytest.raises(ValueError, match=r"expected a rnnkit.layers.Decoder\(..., scheduled_sampling=True\)"):
        ScheduledSampling(decoder(scheduled_sampling=False), lambda batches: 1.0)
    with pytest.raises(ValueError, match="schedule to be a function"):
        ScheduledSampling(decoder(), 0.5)
    with pytest.raises(ValueError, match="to return a probability, received 1.5 for batch 0"):
        fitted(model, lambda batches: 1.5)
    with pytest.raises(ValueError, match="to be part of the model"):
        model.fit(TOKENS, TOKENS, verbose=0, callbacks=[ScheduledSampling(decoder(), lambda batches: 1.0)])

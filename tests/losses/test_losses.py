"""Losses of distributions against SciPy, and against what minimizes them."""

import keras
import numpy as np
import pytest
from scipy import stats

from rnnkit.losses import NormalLoss, PinballLoss
from tests.layer_checks import to_numpy

RNG = np.random.default_rng(0)
Y = RNG.normal(size=(3, 4, 2)).astype("float32")


def test_the_normal_loss_is_minus_the_logarithm_of_the_density():
    mean, deviation = RNG.normal(size=Y.shape), np.exp(RNG.normal(size=Y.shape))
    pred = np.stack([mean, deviation], axis=-1).astype("float32")
    want = -stats.norm.logpdf(Y, mean, deviation)
    np.testing.assert_allclose(to_numpy(NormalLoss(reduction="none")(Y, pred)), want.mean(axis=-1), rtol=1e-5)
    np.testing.assert_allclose(to_numpy(NormalLoss()(Y, pred)), want.mean(), rtol=1e-5)
    weights = RNG.random((3, 4)).astype("float32")
    found = NormalLoss(reduction="sum")(Y, pred, sample_weight=weights)
    np.testing.assert_allclose(to_numpy(found), (want.mean(axis=-1) * weights).sum(), rtol=1e-5)


@pytest.mark.parametrize("level", [0.1, 0.5, 0.8])
def test_a_quantile_minimizes_its_pinball_loss(level):
    values = RNG.exponential(size=(1, 401, 1)).astype("float32")
    grid = np.linspace(0, 4, 801)
    levels = sorted({0.5, level})

    def loss(guess):
        pred = np.full((*values.shape, len(levels)), 0.7, "float32")  # the other quantile stays where it is
        pred[..., levels.index(level)] = guess
        return float(PinballLoss(levels)(values, pred))

    best = grid[np.argmin([loss(guess) for guess in grid[::4]]) * 4]
    assert abs(best - np.quantile(values, level)) < 0.05


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match=r"y_pred \(3, 4, 2, 2\), received \(3, 4, 2\)"):
        NormalLoss()(Y, Y)
    with pytest.raises(ValueError, match=r"y_pred \(3, 4, 2, 3\), received \(3, 4, 2, 2\)"):
        PinballLoss()(Y, np.zeros((3, 4, 2, 2), "float32"))
    for shape in ((3, 4, 4), (3, 4, 1), (1, 4, 2), (3, 1, 2), (4, 2)):  # nothing is broadcast
        with pytest.raises(ValueError, match="expected a mean and a deviation for each value"):
            NormalLoss()(Y, np.ones((*shape, 2), "float32"))
        with pytest.raises(ValueError, match="expected a number for each quantile"):
            PinballLoss()(Y, np.ones((*shape, 3), "float32"))
    for wrong in ([], [0.5, 0.5], [0.9, 0.5], [0.1, 0.9], [0.0, 0.5], 0.5):
        with pytest.raises(ValueError, match="with 0.5 among them"):
            PinballLoss(wrong)


def test_config_makes_the_same_loss():
    for loss in (NormalLoss(reduction="sum", name="mine"), PinballLoss([0.25, 0.5])):
        twin = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(loss))
        assert twin.get_config() == loss.get_config()

"""Forecasts by an encoder and a decoder of real values, next to seasonal-naive and exponential smoothing.

Two series: carbon dioxide at Mauna Loa, a year ahead, month by month; and sunspots, eleven years ahead, year by year.
The encoder reads the past. The decoder says a normal distribution of each next value, and reads its own values. How
many epochs it trains is chosen on the years before the test, and nothing is chosen on the test. Errors are means over
all starts of a forecast in the test, of three networks that start from different weights.

    python examples/forecast.py            both series, about two minutes
    python examples/forecast.py sunspots   one of them
"""

import argparse
import os
import warnings

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from statsmodels.tsa.holtwinters import ExponentialSmoothing

from rnnkit import datasets, decoding, layers, losses

# name: (values, values in a season, steps of the past that are read, values that are forecast)
SERIES = {
    "co2": (lambda: monthly(datasets.co2()), 12, 36, 12),
    "sunspots": (lambda: np.asarray(datasets.sunspots().values, "float32"), 11, 44, 11),
}


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("series", nargs="*", choices=[*SERIES, []], help="default: both")
    arguments.add_argument("--epochs", type=int, default=40, help="at most; default 40")
    arguments.add_argument("--seeds", type=int, default=3, help="networks; default 3")
    arguments = arguments.parse_args()
    for name in arguments.series or SERIES:
        load, season, past, ahead = SERIES[name]
        report(name, compare(load(), season, past, ahead, arguments.epochs, arguments.seeds))


def monthly(weekly):
    """The mean of each month."""
    months = np.asarray(weekly.dates, "datetime64[M]")
    return np.array([weekly.values[months == month].mean() for month in np.unique(months)], "float32")


def compare(values, season, past, ahead, epochs, seeds):
    """Mean absolute errors of all methods in the test, the last fifth; and how often the interval of 80 % holds."""
    first_of_validation, first_of_test = int(0.65 * len(values)), int(0.8 * len(values))
    parts = {
        "train": range(past, first_of_validation - ahead + 1),
        "validation": range(first_of_validation, first_of_test - ahead + 1),
        "test": range(first_of_test, len(values) - ahead + 1),
    }
    truth = windows(values, parts["test"], ahead)
    errors = {
        "seasonal-naive": error(seasonal_naive(values, parts["test"], season, ahead), truth),
        "exponential smoothing": error(exponential_smoothing(values, parts["test"], season, ahead), truth),
    }
    scale = np.diff(values[:first_of_validation]).std()
    networks = [network(values, parts, season, past, ahead, scale, epochs, seed) for seed in range(seeds)]
    found = [error(median, truth) for median, _ in networks]
    errors["encoder-decoder"] = float(np.mean(found))
    held = np.mean([(low <= truth) & (truth <= high) for _, (low, high) in networks])
    return {"errors": errors, "seeds": found, "held": float(held)}


def windows(values, starts, size):
    return np.stack([values[start : start + size] for start in starts])


def error(forecasts, truth):
    return float(np.abs(forecasts - truth).mean())


def seasonal_naive(values, starts, season, ahead):
    """The season before once more, raised by what the last season brought."""
    last = np.stack([np.resize(values[start - season : start], ahead) for start in starts])
    rise = np.array([values[start - 1] - values[start - 1 - season] for start in starts])
    return last + (rise[:, None] if season == 12 else 0.0)


def exponential_smoothing(values, starts, season, ahead):
    """Level, trend and season; the weights are fitted once, before the test, and the states run on."""
    found = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fitted = ExponentialSmoothing(values[: starts[0]], trend="add", seasonal="add", seasonal_periods=season).fit()
        parameters = {
            "smoothing_level": fitted.params["smoothing_level"],
            "smoothing_trend": fitted.params["smoothing_trend"],
            "smoothing_seasonal": fitted.params["smoothing_seasonal"],
        }
        for start in starts:
            model = ExponentialSmoothing(values[:start], trend="add", seasonal="add", seasonal_periods=season)
            found.append(model.fit(**parameters, optimized=False).forecast(ahead))
    return np.stack(found)


def network(values, parts, season, past, ahead, scale, epochs, seed):
    """The median of 200 paths, and the interval between their 10 and 90 %, of the network's forecasts of the test."""
    keras.utils.set_random_seed(seed)
    read, previous, phase = keras.Input((past, 1)), keras.Input((ahead, 1)), keras.Input((ahead, 2))
    _, *states = layers.GRU(32, return_state=True)(read)
    decoder = layers.ValueDecoder(layers.GRUCell(32), output="normal")
    model = keras.Model([read, previous, phase], decoder(previous, known=phase, initial_state=states))
    model.compile(keras.optimizers.Adam(5e-3), losses.NormalLoss())

    def examples(part):
        """Differences to the value before the forecast, in units of a usual step."""
        starts = parts[part]
        last = np.array([values[start - 1] for start in starts])[:, None]
        before = (windows(values, [start - past for start in starts], past) - last) / scale
        target = (windows(values, starts, ahead) - last) / scale
        angle = 2 * np.pi * (np.arange(ahead) + np.array(starts)[:, None]) / season
        known = np.stack([np.sin(angle), np.cos(angle)], axis=-1)
        shifted = np.concatenate([before[:, -1:], target[:, :-1]], axis=1)
        return [before[..., None], shifted[..., None], known], target[..., None], last

    inputs, target, _ = examples("train")
    *validation, _ = examples("validation")
    best = keras.callbacks.EarlyStopping("val_loss", patience=8, restore_best_weights=True)
    model.fit(inputs, target, 16, epochs, validation_data=tuple(validation), callbacks=[best], verbose=0)
    (before, shifted, known), _, last = examples("test")
    first = keras.Model(read, states).predict(before, verbose=0)
    paths = decoding.forecast(decoder, first, shifted[:, 0], known=known, samples=200, seed=seed).paths[..., 0]
    low, median, high = np.quantile(paths, [0.1, 0.5, 0.9], axis=1) * scale + last
    return median, (low, high)


def report(name, found):
    print(f"{name}: mean absolute error in the last fifth")
    for method, value in sorted(found["errors"].items(), key=lambda item: item[1]):
        print(f"    {method:22} {value:6.2f}")
    seeds = ", ".join(f"{value:.2f}" for value in found["seeds"])
    print(f"    the networks alone: {seeds}; {found['held']:.0%} of the values are in their intervals of 80 %")


if __name__ == "__main__":
    main()

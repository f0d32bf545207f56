"""Forecasts by an encoder and a decoder of real values, next to seasonal-naive and exponential smoothing.

Two series: carbon dioxide at Mauna Loa, a year ahead, month by month; and sunspots, eleven years ahead, year by year.
The encoder reads the past. The decoder says a normal distribution of each next value, and reads its own values. All
methods learn from the same years. How many epochs a network trains, whether the season before drifts, and the trend of
exponential smoothing are chosen on the years between these and the test. Errors are means over all starts of a forecast
in the test, of three networks that start from different weights.

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
    truth = {part: windows(values, parts[part], ahead) for part in ("validation", "test")}
    learned = values[:first_of_validation]  # what every method learns from
    errors, settings = {}, {}

    def error_in(part, forecasts, setting):
        return error(forecasts(values, learned, parts[part], season, ahead, **setting), truth[part])

    for method, (forecasts, choices) in WITHOUT_NETWORK.items():
        before = [error_in("validation", forecasts, setting) for setting in choices]
        settings[method] = choices[int(np.argmin(before))]
        errors[method] = error_in("test", forecasts, settings[method])
    scale = np.diff(learned).std()
    networks = [network(values, parts, season, past, ahead, scale, epochs, seed) for seed in range(seeds)]
    found = [error(median, truth["test"]) for median, _ in networks]
    errors["encoder-decoder"] = float(np.mean(found))
    held = np.mean([(low <= truth["test"]) & (truth["test"] <= high) for _, (low, high) in networks])
    return {"errors": errors, "settings": settings, "seeds": found, "held": float(held)}


def windows(values, starts, size):
    return np.stack([values[start : start + size] for start in starts])


def error(forecasts, truth):
    return float(np.abs(forecasts - truth).mean())


def seasonal_naive(values, learned, starts, season, ahead, drift):
    """The season before once more; with drift, raised by what the last season brought."""
    last = np.stack([np.resize(values[start - season : start], ahead) for start in starts])
    rise = np.array([values[start - 1] - values[start - 1 - season] for start in starts])
    return last + (rise[:, None] if drift else 0.0)


def exponential_smoothing(values, learned, starts, season, ahead, **components):
    """Level, trend and season: how fast they change is fitted once, and then they follow the series."""
    components = {**components, "seasonal": "add", "seasonal_periods": season}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # statsmodels says where its optimizer did not converge
        fitted = ExponentialSmoothing(learned, **components).fit().params
        names = ("smoothing_level", "smoothing_trend", "smoothing_seasonal", "damping_trend")
        fixed = {name: fitted[name] for name in names if np.isfinite(fitted[name])}
        models = [ExponentialSmoothing(values[:start], **components) for start in starts]
        return np.stack([model.fit(**fixed, optimized=False).forecast(ahead) for model in models])


WITHOUT_NETWORK = {  # how they forecast, and the settings to choose from
    "seasonal-naive": (seasonal_naive, [{"drift": False}, {"drift": True}]),
    "exponential smoothing": (
        exponential_smoothing,
        [{"trend": None}, {"trend": "add"}, {"trend": "add", "damped_trend": True}],
    ),
}


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
    first = keras.Model(read, states)(before)
    paths = decoding.forecast(decoder, first, shifted[:, 0], known=known, samples=200, seed=seed).paths[..., 0]
    low, median, high = np.quantile(paths, [0.1, 0.5, 0.9], axis=1) * scale + last
    return median, (low, high)


def report(name, found):
    errors = dict(sorted(found["errors"].items(), key=lambda item: item[1]))
    print(f"{name}: mean absolute error in the last fifth")
    for method, value in errors.items():
        choice = ", ".join(f"{key}={value}" for key, value in found["settings"].get(method, {}).items())
        print(f"    {method:22} {value:6.2f}  {choice}".rstrip())
    seeds = found["seeds"]
    print(f"    the networks one by one: {', '.join(f'{value:.2f}' for value in seeds)}")
    print(f"    {found['held']:.0%} of the values are in their intervals of 80 %")
    simple = min(value for method, value in errors.items() if method != "encoder-decoder")
    better = sum(value < simple for value in seeds)
    verdict = {0: "The network loses", len(seeds): "The network wins"}.get(better, "Undecided")
    print(f"    {verdict}: {better} of {len(seeds)} networks are better than the best method without one.")


if __name__ == "__main__":
    main()

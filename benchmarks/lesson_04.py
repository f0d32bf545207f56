"""What lesson 04 reads from a file: how its settings were chosen, and five seeds of each network.

    python benchmarks/lesson_04.py

The settings of the networks are chosen by the validation error of one seed alone; the test years are looked at once,
with five other seeds. The LSTM that reads carbon dioxide has as many weights as the GRU, up to 3 %.
"""

import itertools

import keras
import numpy as np
from harness import OF_LESSONS, write_results

from rnnkit import datasets, layers

HORIZON, SEEDS = 52, [1, 2, 3, 4, 5]
LENGTH = 30  # of the running sums


def main():
    results = {"settings": choose(), "co2": {}, "sums": {}}
    units, rate, epochs = min(results["settings"], key=lambda row: row["validation"])["setting"]
    for seed in SEEDS:
        for name, (layer, columns) in networks(units).items():
            model = trained(layer(), columns, seed, rate, epochs, "no reset" not in name)
            record = results["co2"].setdefault(name, {"weights": model.count_params(), "test": []})
            record["test"].append(error(model, TEST, columns))
            if name == "GRU, one number":
                results.setdefault("jet_lag", []).append(jet_lag(model))
            print(seed, name, record, flush=True)
        for units_of_adder in (1, 4):
            for name, found in running_sums(seed, units_of_adder).items():
                record = results["sums"].setdefault(name, {"weights": found["weights"], "test": []})
                record["test"].append(found["test"])
        print(seed, results["sums"], flush=True)
    write_results("04_gru", ["keras", "tensorflow", "numpy"], folder=OF_LESSONS, seeds=SEEDS, **results)


# -------------------------------------------------------------------------------------------------- carbon dioxide

DATES, PPM, _ = datasets.co2()
VALIDATION_START, TEST_START = np.searchsorted(DATES, np.array(["1986-01-01", "1992-01-01"], "datetime64[D]"))
VALIDATION, TEST = np.arange(VALIDATION_START - 1, TEST_START - HORIZON), np.arange(TEST_START - 1, len(PPM) - HORIZON)
PASSED = (DATES - DATES.astype("datetime64[Y]")).astype(int) / 365.25
ANGLES = [f(k * 2 * np.pi * PASSED) for k in (1, 2) for f in (np.sin, np.cos)]
CHANGES = [np.concatenate([np.full(lag, np.nan), PPM[lag:] - PPM[:-lag]]) for lag in (1, 52)]
RAW = np.stack([*CHANGES, *ANGLES], axis=1)
FIRST, LAST = 52, VALIDATION_START - HORIZON
INPUTS = ((RAW - RAW[FIRST:LAST].mean(axis=0)) / RAW[FIRST:LAST].std(axis=0)).astype("float32")
WEEKS = np.arange(len(PPM) - HORIZON)


def future(origin):
    return origin[:, None] + np.arange(1, HORIZON + 1)


CHANGE = PPM[future(WEEKS)] - PPM[WEEKS, None]
MEAN_CHANGE, SCALE = CHANGE[FIRST:LAST].mean(axis=0), CHANGE[FIRST:LAST].std()
TARGETS = ((CHANGE - MEAN_CHANGE) / SCALE).astype("float32")


def networks(units):
    """Each network of the lesson, as a function that makes its layer, and the columns of the input that it reads."""
    every, one = slice(None), [0]
    smaller = fewer_units(layers.LSTM, units)
    return {
        "GRU": (lambda: layers.GRU(units, return_sequences=True), every),
        "LSTM": (lambda: layers.LSTM(smaller, return_sequences=True), every),
        "GRU, no reset gate": (lambda: layers.GRU(units, return_sequences=True), every),
        "no memory": (lambda: keras.layers.Dense(units, activation="tanh"), every),
        "GRU, one number": (lambda: layers.GRU(units, return_sequences=True), one),
        "LSTM, one number": (lambda: layers.LSTM(smaller, return_sequences=True), one),
        "no memory, one number": (lambda: keras.layers.Dense(units, activation="tanh"), one),
    }


def fewer_units(kind, units, inputs=6):
    """The units with which a network of another kind has about as many weights as the GRU."""

    def weights(layer):
        layer.build((None, None, inputs))
        return layer.count_params() + (layer.units + 1) * HORIZON

    aim = weights(layers.GRU(units))
    return min(range(1, units + 1), key=lambda other: abs(weights(kind(other)) - aim))


def trained(layer, columns, seed, rate, epochs, reset=True):
    rows = np.arange(FIRST, LAST - 104 + 1, 13)[:, None] + np.arange(104)
    counts = np.broadcast_to(np.arange(104) >= 26, rows.shape).astype("float32")
    x = INPUTS[rows][..., columns]
    keras.utils.set_random_seed(seed)
    output = keras.layers.Dense(HORIZON, kernel_initializer="zeros")
    model = keras.Sequential([keras.Input((None, x.shape[-1])), layer, output])
    if not reset:
        hold_open(layer)
    falling = keras.optimizers.schedules.CosineDecay(rate, epochs * 6)
    model.compile(keras.optimizers.Adam(falling, global_clipnorm=1.0), "mae", weighted_metrics=[])
    model.fit(x, TARGETS[rows], sample_weight=counts, epochs=epochs, batch_size=16, verbose=0)
    return model


def error(model, origin, columns):
    outputs = np.array(model(INPUTS[None, origin[0] - 208 : origin[-1] + 1, columns]))[0, 208:]
    forecast = PPM[origin, None] + MEAN_CHANGE + SCALE * outputs
    return float(np.abs(forecast - PPM[future(origin)]).mean())


def choose():
    rows = []
    for setting in itertools.product([12, 24, 48], [0.005, 0.01, 0.02], [10, 20]):
        units, rate, epochs = setting
        model = trained(layers.GRU(units, return_sequences=True), slice(None), 0, rate, epochs)
        rows.append({"setting": setting, "validation": error(model, VALIDATION, slice(None))})
        print(rows[-1], flush=True)
    return rows


def jet_lag(model):
    """The error in each of the 52 weeks after weeks were cut out of the series that the network reads."""
    days = TEST[:-52]
    origin = days[:, None] + np.arange(52)
    after = {}
    for cut in (0, 26):
        rows = np.hstack([days[:, None] + np.arange(-104, 0) - cut, origin])
        outputs = MEAN_CHANGE + SCALE * np.array(model(INPUTS[rows, :1]))[:, 104:]
        off = np.abs(PPM[origin][..., None] + outputs - PPM[future(origin.ravel())].reshape(outputs.shape))
        after[str(cut)] = [round(float(value), 3) for value in off.mean(axis=(0, 2))]
    return after


# ------------------------------------------------------------------------------------------------- what a reset is for


def running_sums(seed, units, epochs=10):
    """The mean squared error of sums since the last restart, with and without a reset gate, and of an LSTM."""
    x, y = sums(4000, seed=100 + seed)
    x_test, y_test = sums(1000, seed=0)
    kinds = {
        f"GRU, {units}": layers.GRU,
        f"GRU, {units}, no reset gate": layers.GRU,
        f"LSTM, {units}": layers.LSTM,
    }
    found = {}
    for name, kind in kinds.items():
        keras.utils.set_random_seed(seed)
        layer = kind(units, return_sequences=True)
        model = keras.Sequential([keras.Input((None, 2)), layer, keras.layers.Dense(1)])
        if "no reset" in name:
            hold_open(layer)
        falling = keras.optimizers.schedules.CosineDecay(0.02, epochs * 63)
        model.compile(keras.optimizers.Adam(falling, global_clipnorm=1.0), "mse")
        model.fit(x, y, epochs=epochs, batch_size=64, verbose=0)
        found[name] = {"weights": model.count_params(), "test": float(model.evaluate(x_test, y_test, verbose=0))}
    return found


def sums(samples, seed):
    """Numbers and restarts `(samples, LENGTH, 2)`, and at each step the sum since the last restart."""
    rng = np.random.default_rng(seed)
    numbers, restart = rng.uniform(-1, 1, (samples, LENGTH)), rng.uniform(size=(samples, LENGTH)) < 0.2
    total, totals = 0, []
    for t in range(LENGTH):
        total = np.where(restart[:, t], 0, total) + numbers[:, t]
        totals.append(total)
    return np.stack([numbers, restart], axis=2).astype("float32"), np.stack(totals, axis=1)[..., None]


def hold_open(layer):
    """Holds the reset gate open: sigma(40) is exactly 1 in float32, and so its gradient is 0."""
    kernel, recurrent_kernel, bias = layer.get_weights()
    gate = slice(layer.units, 2 * layer.units)  # Keras's order: z, r, candidate
    kernel[:, gate], recurrent_kernel[:, gate], bias[0, gate] = 0, 0, 40
    layer.set_weights([kernel, recurrent_kernel, bias])


if __name__ == "__main__":
    main()

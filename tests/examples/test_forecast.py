"""The example of a forecaster, with a network that hardly learns: the methods it is compared with are known."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

PATH = Path(__file__).parents[2] / "examples" / "forecast.py"
spec = importlib.util.spec_from_file_location("forecast_example", PATH)
example = importlib.util.module_from_spec(spec)
spec.loader.exec_module(example)

WAVE = (np.sin(np.arange(240) * 2 * np.pi / 12) + 0.1 * np.arange(240)).astype("float32")


def test_what_it_is_compared_with():
    starts = range(120, 180)
    truth = example.windows(WAVE, starts, 12)
    learned = WAVE[:100]
    assert example.error(example.seasonal_naive(WAVE, learned, starts, 12, 12, drift=True), truth) < 1e-4
    without = example.error(example.seasonal_naive(WAVE, learned, starts, 12, 12, drift=False), truth)
    assert abs(without - 1.2) < 1e-3  # what a season of the trend brings
    assert example.error(example.exponential_smoothing(WAVE, learned, starts, 12, 12, trend="add"), truth) < 1e-2


@pytest.mark.slow
def test_settings_are_chosen_before_the_test_and_nothing_is_learned_there():
    changed = WAVE.copy()
    changed[int(0.8 * len(WAVE)) :] = 0.0
    found = [example.compare(values, 12, 24, 12, epochs=1, seeds=1)["settings"] for values in (WAVE, changed)]
    assert found[0] == found[1] and found[0]["seasonal-naive"] == {"drift": True}


@pytest.mark.slow
def test_all_methods_are_reported(capsys):
    found = example.compare(WAVE, 12, 24, 12, epochs=2, seeds=1)
    assert set(found["errors"]) == {"seasonal-naive", "exponential smoothing", "encoder-decoder"}
    example.report("wave", found)
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) == 7 and printed[0].startswith("wave") and "intervals of 80 %" in printed[-2]
    assert printed[-1].strip().startswith("The network loses: 0 of 1 networks")

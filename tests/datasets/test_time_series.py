"""rnnkit.datasets: co2 and sunspots against statsmodels' own loaders and against what is known about them."""

import sys

import numpy as np
import pytest

from rnnkit import datasets
from rnnkit.datasets import DataError, cache

statsmodels_data = pytest.importorskip("statsmodels.datasets", reason="statsmodels ships the two series")


def test_co2_is_what_was_measured_with_straight_lines_in_between():
    dates, values, interpolated = datasets.co2()
    measured = statsmodels_data.co2.load_pandas().data["co2"]
    assert np.array_equal(dates, measured.index.values.astype("datetime64[D]"))
    assert np.array_equal(interpolated, measured.isna().to_numpy())
    assert np.array_equal(values[~interpolated], measured.dropna().to_numpy())
    np.testing.assert_allclose(values, measured.interpolate("linear").to_numpy(), rtol=1e-14)


def test_co2_has_every_week():
    dates, values, interpolated = datasets.co2()
    assert len(dates) == len(values) == len(interpolated) == 2284
    assert set(np.diff(dates).astype(int)) == {7}
    assert np.isfinite(values).all()
    assert (interpolated.sum(), interpolated[0], interpolated[-1]) == (59, False, False)
    gaps = "".join(".x"[missing] for missing in interpolated.astype(int)).split(".")
    assert max(map(len, gaps)) == 18
    assert str(dates[interpolated & (dates > np.datetime64("1964-01-01"))][0]) == "1964-01-25"


def test_co2_rises_and_has_a_season():
    dates, values, _ = datasets.co2()
    years, months = dates.astype("datetime64[Y]").astype(int) + 1970, dates.astype("datetime64[M]").astype(int) % 12 + 1
    yearly = np.array([values[years == year].mean() for year in range(1959, 2002)])
    assert np.all(np.diff(yearly) > 0)
    monthly = [np.mean(values[(months == month) & (years > 1958)]) for month in range(1, 13)]
    assert np.argmax(monthly) + 1 == 5 and np.argmin(monthly) + 1 in (9, 10)


def test_sunspots_are_those_of_statsmodels():
    years, values = datasets.sunspots()
    frame = statsmodels_data.sunspots.load_pandas().data
    assert np.array_equal(years, frame["YEAR"].to_numpy())
    assert np.array_equal(values, frame["SUNACTIVITY"].to_numpy())
    assert years.dtype.kind == "i" and len(years) == 309


def test_sunspot_cycles_take_7_to_17_years():
    years, values = datasets.sunspots()
    highest = [t for t in range(4, len(values) - 4) if values[t] == values[t - 4 : t + 5].max()]
    cycles = np.diff(years[highest])
    assert (cycles.min(), cycles.max()) == (7, 17)
    assert abs(cycles.mean() - 11) < 0.5


@pytest.mark.parametrize("load, name", [(datasets.co2, "co2"), (datasets.sunspots, "sunspots")])
def test_without_statsmodels_the_error_says_what_to_install(load, name, monkeypatch):
    monkeypatch.setitem(sys.modules, "statsmodels.datasets", None)
    with pytest.raises(ImportError, match=rf"rnnkit.datasets.{name} needs the package statsmodels. .*pip install"):
        load()


@pytest.mark.parametrize("load, file", [(datasets.co2, cache.CO2), (datasets.sunspots, cache.SUNSPOTS)])
def test_a_changed_file_is_refused(load, file, monkeypatch):
    module = sys.modules[load.__module__]
    monkeypatch.setattr(module, file.name.split(".")[0].upper(), file._replace(sha256="0" * 64))
    with pytest.raises(DataError, match="--no-deps statsmodels"):
        load()

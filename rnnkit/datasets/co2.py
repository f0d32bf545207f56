"""CO2 in the air above Hawaii: a trend and a season, week by week."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from rnnkit.datasets.cache import CO2, require, shipped


class WeeklyCO2(NamedTuple):
    """One entry per week.

    Attributes:
        dates: array `(2284,)` of `datetime64[D]`, Saturdays.
        values: array `(2284,)` of float64, parts per million by volume.
        interpolated: array `(2284,)` of bool, True where nothing was measured.
    """

    dates: np.ndarray
    values: np.ndarray
    interpolated: np.ndarray


def co2() -> WeeklyCO2:
    """Loads weekly measurements of carbon dioxide at Mauna Loa, Hawaii, from March 29, 1958 to December 29, 2001.

    The 2,284 weeks have no gap. In 59 of them nothing was measured (at most 18 weeks in a row, from January 1964);
    these values are marked, and interpolated on a straight line between the weeks before and after. Beware of them in a
    forecast: an interpolated value already knows the first week after its gap.

    Returns:
        Named tuple `(dates, values, interpolated)` of three arrays `(2284,)`, see `WeeklyCO2`.

    Raises:
        ImportError: statsmodels, which ships the file, is not installed.
        DataError: the file of statsmodels is missing or changed.

    Example:

    >>> dates, values, interpolated = co2()
    >>> str(dates[0]), float(values[0]), int(interpolated.sum())
    ('1958-03-29', 316.1, 59)

    References:
        Keeling and Whorf, "Atmospheric CO2 concentrations derived from flask air samples at sites in the SIO network",
        2004; public domain, as shipped by statsmodels.
    """
    try:
        from statsmodels.datasets import co2 as package
    except ImportError as error:
        raise require("rnnkit.datasets.co2", "statsmodels") from error
    path = shipped(CO2, Path(package.__file__).with_name(CO2.name), "statsmodels")
    lines = [line.split(",") for line in path.read_text(encoding="utf-8").splitlines()[1:]]
    days = np.array([f"{day[:4]}-{day[4:6]}-{day[6:]}" for day, _ in lines], "datetime64[D]")
    measured = np.array([float(value) if value else np.nan for _, value in lines])
    days, measured = days[~np.isnan(measured)], measured[~np.isnan(measured)]
    dates = np.arange(days[0], days[-1] + 1, 7)
    values = np.interp(dates.astype("int64"), days.astype("int64"), measured)
    return WeeklyCO2(dates, values, ~np.isin(dates, days))

"""Sunspots: a cycle that you cannot set your clock by."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from rnnkit.datasets.cache import SUNSPOTS, require, shipped


class YearlySunspots(NamedTuple):
    """One entry per year.

    Attributes:
        years: array `(309,)` of int64.
        values: array `(309,)` of float64, the mean sunspot number of each year.
    """

    years: np.ndarray
    values: np.ndarray


def sunspots() -> YearlySunspots:
    """Loads the yearly sunspot numbers from 1700 to 2008.

    The number rises and falls over about eleven years, but from one maximum to the next it took 7 to 17.

    Returns:
        Named tuple `(years, values)` of two arrays `(309,)`, see `YearlySunspots`. A sunspot number has no unit: it is
        an index of spots and groups of spots.

    Raises:
        ImportError: statsmodels, which ships the file, is not installed.
        DataError: the file of statsmodels is missing or changed.

    Example:

    >>> years, values = sunspots()
    >>> int(years[values.argmax()]), float(values.max())
    (1957, 190.2)

    References:
        National Geophysical Data Center; public domain, as shipped by statsmodels.
    """
    try:
        from statsmodels.datasets import sunspots as package
    except ImportError as error:
        raise require("rnnkit.datasets.sunspots", "statsmodels") from error
    path = shipped(SUNSPOTS, Path(package.__file__).with_name(SUNSPOTS.name), "statsmodels")
    years, values = np.loadtxt(path, delimiter=",", skiprows=1, unpack=True)
    return YearlySunspots(years.astype("int64"), values)

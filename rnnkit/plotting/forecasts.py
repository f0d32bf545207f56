"""Forecasts against what happened."""

from collections.abc import Mapping

import matplotlib.dates
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from rnnkit.annotations import Tensor
from rnnkit.plotting.style import COLORS, GRAY

_LINES = ["--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1, 1, 1))]


def forecasts(
    history: Tensor,
    truth: Tensor,
    predictions: Mapping[str, Tensor],
    times: Tensor | None = None,
    time: str = "time step",
    quantity: str = "value",
    unit: str = "",
    axes: Axes | None = None,
) -> Axes:
    """Draws a series, how it went on, and several forecasts of that, each with its mean absolute error.

    Args:
        history: array `(n,)`, what was known when the forecasts were made; its last value is the last known one.
        truth: array `(horizon,)`, what happened next.
        predictions: dictionary from names of forecasts to arrays `(horizon,)`.
        times: array `(n + horizon,)` of numbers or dates. Defaults to 1, 2, ... after the last known value, which is at
            0.
        time: label of the time axis, with its unit, such as `"year"`. Defaults to `"time step"`.
        quantity: what the series measures, such as `"CO2"`. Defaults to `"value"`.
        unit: unit of the series, such as `"ppm"`, for the axis and the errors. Defaults to `""`, no unit.
        axes: where to draw. Defaults to the current axes.

    Returns:
        The Matplotlib axes.

    Raises:
        ValueError: an array does not have one dimension, or the lengths do not match.

    Example:

    >>> axes = plt.figure().gca()
    >>> _ = forecasts([1, 2, 3], [4, 5], {"same": [3, 3], "on": [4, 5]}, quantity="height", unit="m", axes=axes)
    >>> [text.get_text() for text in axes.get_legend().get_texts()]
    ['what happened', 'same: off by 1.5 m', 'on: off by 0 m']
    >>> axes.get_ylabel()
    'height (m)'
    """
    history, truth = _line("history", history), _line("truth", truth)
    predictions = {name: _line(f"the forecast {name!r}", values, len(truth)) for name, values in predictions.items()}
    if times is None:
        times = np.arange(1 - len(history), 1 + len(truth))
    times = np.asarray(times)
    if times.shape != (len(history) + len(truth),):
        raise ValueError(
            f"forecasts expected times of shape (history + truth,) = {(len(history) + len(truth),)}, "
            f"received {times.shape}."
        )
    axes = axes or plt.gca()
    before, after = times[: len(history)], times[len(history) :]
    axes.plot(before, history, color=GRAY)
    axes.plot([*before[-1:], *after], [*history[-1:], *truth], color="black", linewidth=2, label="what happened")
    for index, (name, values) in enumerate(predictions.items()):
        error = f"{np.abs(values - truth).mean():.2g}".removesuffix(".0")
        label = f"{name}: off by {error} {unit}".rstrip()
        axes.plot(after, values, linestyle=_LINES[index % len(_LINES)], color=COLORS[index % len(COLORS)], label=label)
    if len(history):
        axes.axvline(before[-1], color=GRAY, linewidth=0.8, linestyle=":")
    if times.dtype.kind == "M":
        locator = matplotlib.dates.AutoDateLocator(minticks=3, maxticks=8)
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(matplotlib.dates.ConciseDateFormatter(locator))
    axes.set_xlabel(time)
    axes.set_ylabel(f"{quantity} ({unit})" if unit else quantity)
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return axes


def _line(name, values, length=None):
    values = np.asarray(values, "float64")
    if values.ndim != 1 or length not in (None, len(values)):
        expected = "one dimension" if length is None else f"shape {(length,)}, like the truth"
        raise ValueError(f"forecasts expected {name} with {expected}, received shape {values.shape}.")
    return values

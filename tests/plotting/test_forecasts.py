import matplotlib.pyplot as plt
import numpy as np
import pytest

from rnnkit import plotting


def test_lines_are_at_their_times():
    dates = np.arange("2000-01-01", "2000-01-06", dtype="datetime64[D]")
    axes = plotting.forecasts([1, 2, 3], [4, 5], {"flat": [3, 3]}, times=dates)
    history, truth, flat, _ = axes.get_lines()
    assert list(history.get_xdata()) == list(dates[:3])
    assert list(truth.get_xdata()) == list(dates[2:]), "the truth continues from the last known value"
    assert list(truth.get_ydata()) == [3, 4, 5]
    assert list(flat.get_xdata()) == list(dates[3:])


def test_labels_of_dates_do_not_touch():
    dates = np.arange("1991-01-05", "1993-01-01", 7, dtype="datetime64[D]")
    _, axes = plt.subplots(figsize=(7, 3.5), layout="constrained")
    plotting.forecasts(np.zeros(len(dates) - 52), np.ones(52), {"zero": np.zeros(52)}, dates, axes=axes)
    axes.figure.canvas.draw()
    labels = [label.get_window_extent() for label in axes.get_xticklabels() if label.get_text()]
    assert len(labels) > 3
    assert not any(a.overlaps(b) for a, b in zip(labels, labels[1:], strict=False))


def test_time_is_counted_from_the_last_known_value():
    axes = plotting.forecasts([1, 2, 3], [4, 5], {"flat": [3, 3]})
    assert list(axes.get_lines()[0].get_xdata()) == [-2, -1, 0]
    assert list(axes.get_lines()[2].get_xdata()) == [1, 2]


def test_legend_gives_the_mean_absolute_error_with_its_unit():
    axes = plotting.forecasts([0], [1, 2], {"a": [1.25, 1.75], "b": [-11, 14]}, quantity="height", unit="m")
    assert [text.get_text() for text in axes.get_legend().get_texts()] == [
        "what happened",
        "a: off by 0.25 m",
        "b: off by 12 m",
    ]
    assert axes.get_ylabel() == "height (m)"


def test_a_quantity_without_a_unit():
    axes = plotting.forecasts([0], [1.0], {"a": [2.0]}, time="year", quantity="sunspot number")
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("year", "sunspot number")
    assert axes.get_legend().get_texts()[1].get_text() == "a: off by 1"


def test_forecasts_differ_in_color_and_in_line():
    axes = plotting.forecasts([0], [1.0], {name: [2.0] for name in "abc"})
    lines = axes.get_lines()[2:5]
    assert len({line.get_color() for line in lines}) == 3
    assert len({line.get_linestyle() for line in lines}) == 3


@pytest.mark.parametrize(
    "arguments, message",
    [
        (([1, 2], [3, 4], {"short": [3]}), r"the forecast 'short' with shape \(2,\), like the truth, .* \(1,\)"),
        (([[1, 2]], [3, 4], {}), r"history with one dimension, received shape \(1, 2\)"),
        (([1, 2], [3, 4], {}, [1, 2, 3]), r"times of shape \(history \+ truth,\) = \(4,\), received \(3,\)"),
    ],
)
def test_refuses_lengths_that_do_not_match(arguments, message):
    with pytest.raises(ValueError, match=message):
        plotting.forecasts(*arguments)

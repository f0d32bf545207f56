"""The gates of a recurrent network: over a text, and as distributions."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from rnnkit.annotations import Tensor, Tokens
from rnnkit.plotting.heat_map import heat_map
from rnnkit.plotting.style import COLORS

_GATES = {"i": "input gate i", "f": "forget gate f", "o": "output gate o", "z": "update gate z", "r": "reset gate r"}


def gates_over_text(
    gates: Tensor,
    text: Tokens,
    units: Sequence[int] | None = None,
    names: Tokens | None = None,
    axes: Axes | None = None,
    label: str | None = "gate (0 closed, 1 open)",
) -> Axes:
    """Draws the values of one gate over the characters of a text, with one row for each chosen unit.

    Args:
        gates: array `(time, units)`: one gate of one sequence, or another value of each step. Colors run from 0 to 1;
            if there are negative values (C, candidate, h), white is 0.
        text: what was read at each step: a string, or a list of words. A space is drawn as an open box.
        units: indices of the units to draw. Defaults to all units.
        names: a label for each row. Defaults to the index of the unit.
        axes: where to draw. Defaults to the current axes.
        label: label of the color bar; `None` draws no bar. Defaults to `"gate (0 closed, 1 open)"`.

    Returns:
        The Matplotlib axes.

    Raises:
        ValueError: `gates` is not of shape `(len(text), units)`, there is no such unit, or there is not one label per
            unit.

    Example:

    >>> axes = plt.figure().gca()
    >>> _ = gates_over_text(np.array([[0.1, 0.9], [0.5, 1.0], [0.0, 0.2]]), "a b", units=[1], axes=axes)
    >>> [tick.get_text() for tick in axes.get_xticklabels()], [tick.get_text() for tick in axes.get_yticklabels()]
    (['a', '␣', 'b'], ['unit 1'])

    References:
        Karpathy, Johnson and Fei-Fei, "Visualizing and understanding recurrent networks", 2015.
    """
    gates = np.asarray(gates, "float64")
    if gates.ndim != 2 or len(gates) != len(text):
        raise ValueError(
            f"gates_over_text expected the gates of one sequence, (time, units) with time = {len(text)} as in the "
            f"text, received shape {gates.shape}."
        )
    units = range(gates.shape[1]) if units is None else units
    if not all(0 <= unit < gates.shape[1] for unit in units):
        raise ValueError(f"gates_over_text expected units from 0 to {gates.shape[1] - 1}, received {list(units)}.")
    names = [f"unit {unit}" for unit in units] if names is None else names
    shown = gates[:, list(units)].T
    diverging = bool((shown < 0).any())
    columns = ["␣" if token == " " else token for token in text]
    return heat_map(shown, names, columns, axes, label, diverging=diverging, limits=None if diverging else (0, 1))


def gate_histograms(gates: Mapping[str, Tensor], axes: Any = None) -> np.ndarray:
    """Draws how the values of each gate are distributed between 0, closed, and 1, open, over all steps and units.

    Args:
        gates: dictionary from names to arrays of any shape, as `rnnkit.diagnostics.record_gates` returns it. Only gates
            are drawn (i, f and o of an LSTM, z and r of a GRU), not C, h and the candidate. NaN, the value of a gate in
            the padding, is left out.
        axes: Matplotlib axes, one per gate. Defaults to a new figure with one row of them.

    Returns:
        The array of Matplotlib axes.

    Raises:
        ValueError: there is no gate, the number of axes is not that of the gates, or a value is not from 0 to 1.

    Example:

    >>> axes = gate_histograms({"f": np.array([0.9, 1.0]), "i": np.array([0.2, 0.1]), "C": np.array([3.0, -1.0])})
    >>> [ax.get_title() for ax in axes]
    ['forget gate f', 'input gate i']
    """
    gates = {name: np.ravel(values) for name, values in gates.items() if name in _GATES}
    gates = {name: values[~np.isnan(values)] for name, values in gates.items()}
    if not any(map(len, gates.values())):
        raise ValueError(f"gate_histograms expected values of at least one gate of {', '.join(_GATES)}, received none.")
    if axes is None:
        _, axes = plt.subplots(1, len(gates), figsize=(3 * len(gates), 2.6), sharey=True, squeeze=False)
    axes = np.ravel(axes)
    if len(axes) != len(gates):
        raise ValueError(f"gate_histograms expected {len(gates)} axes, one per gate, received {len(axes)}.")
    for index, (ax, (name, values)) in enumerate(zip(axes, gates.items(), strict=True)):
        if not ((values >= 0) & (values <= 1)).all():
            raise ValueError(
                f"gate_histograms expected values of {name} from 0 to 1, received {np.min(values)} to {np.max(values)}."
            )
        percent = np.full(values.shape, 100 / len(values))
        ax.hist(values, bins=np.linspace(0, 1, 21), weights=percent, color=COLORS[index % len(COLORS)])
        ax.set_title(_GATES[name])
        ax.set_xlabel("value (0 closed, 1 open)")
    axes[0].set_ylabel("share of values (%)")
    return axes

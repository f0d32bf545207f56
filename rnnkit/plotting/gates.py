"""The gates of a recurrent network: over a text, and as distributions."""

import matplotlib.pyplot as plt
import numpy as np

from rnnkit.plotting.heat_map import heat_map
from rnnkit.plotting.style import COLOURS

_GATES = {"i": "input gate i", "f": "forget gate f", "o": "output gate o", "z": "update gate z", "r": "reset gate r"}


def gates_over_text(gates, text, units=None, names=None, axes=None, label="gate (0 closed, 1 open)"):
    """Draws the values of one gate under the characters of a text, a row for each chosen unit.

    Args:
        gates: array `(time, units)`: one gate, or another value of each step, of one sequence. Colours run from 0 to 1;
            where values are negative (C, candidate, h), white is 0.
        text: what was read at each step: a string, or a list of words. A blank is drawn as an open box.
        units: the numbers of the units to draw; all if left out.
        names: a name for each row; the unit's number if left out.
        axes: where to draw; the current axes if left out.
        label: name and unit of the values, beside the colour bar; no bar if None.

    Returns:
        The Matplotlib axes.

    Raises:
        ValueError: `gates` has another shape than `(len(text), units)`, there is no such unit, or the names are not as
            many as the units.

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


def gate_histograms(gates, axes=None):
    """Draws how each gate's values are distributed between 0, closed, and 1, open, over all steps and units.

    Args:
        gates: dict from names to arrays of any shape, as `rnnkit.diagnostics.record_gates` returns it. Only gates are drawn
            (i, f and o of an LSTM, z and r of a GRU): C, h and the candidate are passed over, and so is NaN, the value
            of a gate in the padding.
        axes: as many Matplotlib axes as there are gates; a new figure with one row of them if left out.

    Returns:
        The array of Matplotlib axes.

    Raises:
        ValueError: there is no gate, there are more or fewer axes than gates, or a value is not from 0 to 1.

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
        raise ValueError(f"gate_histograms expected {len(gates)} axes, one for each gate, received {len(axes)}.")
    for index, (ax, (name, values)) in enumerate(zip(axes, gates.items(), strict=True)):
        if not ((values >= 0) & (values <= 1)).all():
            raise ValueError(
                f"gate_histograms expected values of {name} from 0 to 1, received {np.min(values)} to {np.max(values)}."
            )
        percent = np.full(values.shape, 100 / len(values))
        ax.hist(values, bins=np.linspace(0, 1, 21), weights=percent, color=COLOURS[index % len(COLOURS)])
        ax.set_title(_GATES[name])
        ax.set_xlabel("value (0 closed, 1 open)")
    axes[0].set_ylabel("share of values (%)")
    return axes

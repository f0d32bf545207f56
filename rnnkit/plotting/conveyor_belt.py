"""The cell state of an LSTM as a conveyor belt."""

import matplotlib.pyplot as plt
import numpy as np

from rnnkit.plotting.style import COLOURS

_HATCHES = ["", "//", "..", "\\\\", "xx", "--"]


def conveyor_belt(forget, added, names=None, axes=None):
    """Draws the cell state of one unit as a belt that carries parcels.

    Each step puts a parcel on the belt, i_t * C~_t, and shrinks all that lie there already by the factor f_t. A bar is
    the belt after a step: the parcels that are left of all the steps so far. They add up to C_t.

    Args:
        forget: array `(time,)`, the forget gate f_t of one unit.
        added: array `(time,)`, what the step adds, i_t * C~_t.
        names: a name for each step, below its bar; t = 1, 2, ... if left out.
        axes: where to draw; the current axes if left out.

    Returns:
        The Matplotlib axes.

    Raises:
        ValueError: `forget`, `added` and `names` are not equally many.

    Example:

    >>> axes = conveyor_belt(forget=[1.0, 0.5], added=[0.8, 0.3], axes=plt.figure().gca())
    >>> [round(float(bar.get_height()), 2) for bar in axes.patches]  # the first, whole and halved, and the second
    [0.8, 0.4, 0.3]

    References:
        Khanzhina, "Recurrent neural networks" (deck), after Olah, "Understanding LSTM networks", 2015.
    """
    forget, added = np.asarray(forget, "float64"), np.asarray(added, "float64")
    steps = len(added)
    names = [f"t = {step + 1}" for step in range(steps)] if names is None else names
    if not forget.shape == added.shape == (len(names),):
        raise ValueError(
            "conveyor_belt expected as many names, forget gates and added values, (time,) of one unit, "
            f"received {len(names)} names and shapes {forget.shape} and {added.shape}."
        )
    axes = axes or plt.gca()
    above, below = np.zeros(steps), np.zeros(steps)
    for start in range(steps):
        left = added[start] * np.cumprod([1.0, *forget[start + 1 :]])
        bottom = above if added[start] >= 0 else below
        axes.bar(
            range(start, steps),
            left,
            bottom=bottom[start:],
            color=COLOURS[start % len(COLOURS)],
            hatch=_HATCHES[start % len(_HATCHES)],
            edgecolor="white",
            label=f"parcel of step {start + 1}",
        )
        bottom[start:] += left
    axes.set_xticks(range(steps), names)
    axes.set_ylabel("cell state $C_t$, parcel by parcel")
    axes.axhline(0, color="black", lw=0.8)
    return axes

"""The cell state of an LSTM as a conveyor belt."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from rnnkit.annotations import Tensor, Tokens
from rnnkit.plotting.style import COLORS

_HATCHES = ["", "//", "..", "\\\\", "xx", "--"]


def conveyor_belt(forget: Tensor, added: Tensor, names: Tokens | None = None, axes: Axes | None = None) -> Axes:
    """Draws the cell state of one unit as a belt that carries parcels.

    Each step puts a parcel on the belt, i_t * C~_t, and shrinks those already there by the factor f_t. A bar is the
    belt after one step: what is left of the parcels of all steps so far. They add up to C_t.

    Args:
        forget: array `(time,)`, the forget gate f_t of one unit.
        added: array `(time,)`, what each step adds, i_t * C~_t.
        names: a label for each step, below its bar. Defaults to t = 1, t = 2, ...
        axes: where to draw. Defaults to the current axes.

    Returns:
        The Matplotlib axes.

    Raises:
        ValueError: `forget`, `added` and `names` have different lengths.

    Example:

    >>> axes = conveyor_belt(forget=[1.0, 0.5], added=[0.8, 0.3], axes=plt.figure().gca())
    >>> [round(float(bar.get_height()), 2) for bar in axes.patches]  # the first, whole and halved, and the second
    [0.8, 0.4, 0.3]

    References:
        Khanzhina, "Recurrent neural networks", lecture, 2019, after Olah, "Understanding LSTM networks", 2015.
    """
    forget, added = np.asarray(forget, "float64"), np.asarray(added, "float64")
    steps = len(added)
    names = [f"t = {step + 1}" for step in range(steps)] if names is None else names
    if not forget.shape == added.shape == (len(names),):
        raise ValueError(
            "conveyor_belt expected forget gates, added values and names of one length, (time,) for one unit, received "
            f"shapes {forget.shape} and {added.shape} and {len(names)} names."
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
            color=COLORS[start % len(COLORS)],
            hatch=_HATCHES[start % len(_HATCHES)],
            edgecolor="white",
            label=f"parcel of step {start + 1}",
        )
        bottom[start:] += left
    axes.set_xticks(range(steps), names)
    axes.set_ylabel("cell state $C_t$, parcel by parcel")
    axes.axhline(0, color="black", lw=0.8)
    return axes

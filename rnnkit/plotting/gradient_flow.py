"""How far back a gradient reaches."""

from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

if TYPE_CHECKING:  # at run time, plotting needs no Keras
    from rnnkit.diagnostics import GradientFlow

_LABELS = {
    "jacobian_products": r"size of $\partial h_T / \partial h_t$ (log scale)",
    "state_gradients": r"size of $\partial L / \partial h_t$ (log scale)",
}


def gradient_flow(
    flows: "GradientFlow | dict[str, GradientFlow]", quantity: str = "jacobian_products", axes: Axes | None = None
) -> Axes:
    """Draws what `rnnkit.diagnostics.gradient_flow` measured, on a log scale, over the steps back from the end.

    Each line is the median over the sequences. Zeros, such as the gradient in padding, are left out.

    Args:
        flows: dictionary from labels to results of `rnnkit.diagnostics.gradient_flow`, or one such result.
        quantity: `"jacobian_products"` (dh_T/dh_t) or `"state_gradients"` (dL/dh_t). Defaults to
            `"jacobian_products"`.
        axes: where to draw. Defaults to the current axes.

    Returns:
        The Matplotlib axes.

    Raises:
        ValueError: there is no result to draw, or no such quantity.

    Example:

    >>> from rnnkit.diagnostics import GradientFlow
    >>> flow = GradientFlow(np.ones((1, 3)), np.array([[0.25, 0.5, 1.0]]), None, 0.5)
    >>> axes = gradient_flow({"half a step": flow}, axes=plt.figure().gca())
    >>> axes.lines[0].get_xdata().tolist(), axes.lines[0].get_ydata().tolist()
    ([2, 1, 0], [0.25, 0.5, 1.0])
    """
    flows = flows if isinstance(flows, dict) else {None: flows}
    if not flows:
        raise ValueError("gradient_flow expected at least one result to draw, received an empty dictionary.")
    if quantity not in _LABELS:
        raise ValueError(f"gradient_flow expected quantity to be one of {', '.join(_LABELS)}, received {quantity!r}.")
    axes = axes or plt.gca()
    for line, (label, flow) in zip(_line_styles(), flows.items(), strict=False):
        sizes = np.asarray(getattr(flow, quantity), "float64")
        sizes = np.ma.median(np.ma.masked_equal(sizes, 0.0), axis=0).filled(np.nan)
        axes.plot(np.arange(len(sizes))[::-1], sizes, line, label=label)
    axes.set_yscale("log")
    axes.set_xlabel("steps back from the end")
    axes.set_ylabel(_LABELS[quantity])
    if None not in flows:
        axes.legend()
    return axes


def _line_styles():
    """Solid, dashed, dotted and so on: lines that can be told apart in gray."""
    while True:
        yield from ("-", "--", ":", "-.")

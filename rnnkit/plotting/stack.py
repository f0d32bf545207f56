"""A stack of recurrent layers as boxes and arrows."""

import matplotlib.pyplot as plt
from matplotlib.axes import Axes

from rnnkit.plotting.boxes import arrow, box, frame
from rnnkit.plotting.style import GREEN, ORANGE, SKY


def draw_stack(depth: int, steps: int, residual: bool = False, axes: Axes | None = None) -> Axes:
    """Draws a stack of recurrent layers, unrolled over time.

    Args:
        depth: number of layers.
        steps: number of time steps.
        residual: whether to draw a connection around each layer except the lowest, and the sum at its end. Defaults to
            `False`.
        axes: where to draw. Defaults to the current axes.

    Returns:
        The Matplotlib axes.

    Example:

    >>> axes = draw_stack(2, steps=1, axes=plt.figure().gca())
    >>> [text.get_text() for text in axes.texts]
    ['$x_{1}$', '$h_{1}^{(1)}$', '$h_{1}^{(2)}$', '$y_{1}$']
    """
    axes = axes or plt.gca()
    for step in range(steps):
        x = 1.9 * step
        names = [f"x_{{{step + 1}}}", *(f"h_{{{step + 1}}}^{{({layer + 1})}}" for layer in range(depth))]
        for level, name in enumerate([*names, f"y_{{{step + 1}}}"]):
            color = SKY if level == 0 else GREEN if level > depth else ORANGE
            box(axes, x, 1.7 * level, f"${name}$", color)
            if level:
                arrow(axes, (x, 1.7 * level - 1.3), (x, 1.7 * level - 0.4))
            if step and 0 < level <= depth:
                arrow(axes, (x - 1.5, 1.7 * level), (x - 0.4, 1.7 * level))
            if residual and 1 < level <= depth:
                plus = 1.7 * level + 0.75
                arrow(axes, (x, plus - 1.45), (x + 0.12, plus), bend=0.75)
                axes.add_patch(plt.Circle((x, plus), 0.16, fc="white", ec="black", zorder=3))
                axes.text(x, plus, "+", ha="center", va="center_baseline", fontsize=10, zorder=4)
    frame(axes, 1.9 * (steps - 1) + (1.3 if residual else 0.6), 1.7 * (depth + 1) + 0.6)
    return axes

"""Networks as boxes and arrows."""

import matplotlib.pyplot as plt
from matplotlib.axes import Axes

from rnnkit.annotations import Tokens
from rnnkit.plotting.boxes import arrow, box, frame
from rnnkit.plotting.style import GREEN, ORANGE, SKY


def draw_unrolled(
    inputs: Tokens, outputs: Tokens | None = None, states: Tokens | None = None, axes: Axes | None = None
) -> Axes:
    """Draws a recurrent network twice: as a loop, and unrolled over its time steps.

    R is next to the arrows that lead from state to state, and O next to those from a state to its output.

    Args:
        inputs: a label for the input x_t of each time step, such as the letters of a word.
        outputs: a label for the output y_t of each time step. Defaults to `None`, no outputs.
        states: a label for the state of each time step. Defaults to h_1, h_2, ...
        axes: where to draw. Defaults to the current axes.

    Returns:
        The Matplotlib axes.

    Example:

    >>> axes = draw_unrolled("hell", outputs="ello", axes=plt.figure().gca())
    >>> [text.get_text() for text in axes.texts][:3]
    ['$x_t$', '$h_t$', '$y_t$']
    """
    axes = axes or plt.gca()
    steps = len(inputs)
    states = states or [f"$h_{t + 1}$" for t in range(steps)]
    rolled = ("$x_t$", "$h_t$", "$y_t$" if outputs else None)
    columns = [rolled, *zip(inputs, states, outputs or [""] * steps, strict=True)]
    for column, names in enumerate(columns):
        x = 1.8 * column + 1.2 * (column > 0)  # room for the loop and h_0
        _draw_step(axes, x, names)
        if column:
            arrow(axes, (x - 1.4, 1.5), (x - 0.4, 1.5))
            axes.text(x - 0.9, 1.6, "R", ha="center", va="bottom")
        if outputs:
            axes.text(x + 0.12, 2.25, "O", ha="left", va="center")
    axes.text(1.0, 2.0, "R", ha="center", va="bottom")
    arrow(axes, (0.4, 1.7), (0.4, 1.3), bend=-2.2)
    axes.text(1.5, 1.5, "$h_0$", ha="right", va="center")
    frame(axes, 1.8 * steps + 1.8, 3.6 if outputs else 2.1)
    return axes


def draw_patterns(axes: Axes | None = None) -> Axes:
    """Draws the ways to use a recurrent network: which steps have an input, and which have an output.

    Args:
        axes: where to draw. Defaults to the current axes.

    Returns:
        The Matplotlib axes.

    Example:

    >>> [text.get_text() for text in draw_patterns(plt.figure().gca()).texts if " to " in text.get_text()]
    ['one to one', 'one to many', 'many to one', 'many to many', 'many to many,\\nsynced']

    References:
        Huang, "Recurrent Neural Networks", lecture.
    """
    axes = axes or plt.gca()
    patterns = {
        "one to one": ("1", "1"),
        "one to many": ("100", "111"),
        "many to one": ("111", "001"),
        "many to many": ("11100", "00111"),
        "many to many,\nsynced": ("111", "111"),
    }
    left = 0.0
    for name, (inputs, outputs) in patterns.items():
        for step, (has_input, has_output) in enumerate(zip(inputs, outputs, strict=True)):
            x = left + 1.2 * step
            _draw_step(axes, x, (has_input == "1" and "x", "h", has_output == "1" and "y"))
            if step:
                arrow(axes, (x - 0.8, 1.5), (x - 0.4, 1.5))
        axes.text(left + 0.6 * (len(inputs) - 1), 3.8, name, ha="center", va="bottom", fontsize=9)
        left += 1.2 * len(inputs) + 1.3
    frame(axes, left - 1.8, 5.0)
    return axes


def _draw_step(axes, x, names):
    """One column of an unrolled network: input, state and output, each only if it has a label."""
    for level, name in enumerate(names):
        if name:
            box(axes, x, 1.5 * level, name, (SKY, ORANGE, GREEN)[level])
    for level in (1, 2):
        if names[level] and names[level - 1]:
            arrow(axes, (x, 1.5 * level - 1.1), (x, 1.5 * level - 0.4))

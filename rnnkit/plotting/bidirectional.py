"""A bidirectional network as boxes and arrows."""

import matplotlib.pyplot as plt
from matplotlib.axes import Axes

from rnnkit.annotations import Tokens
from rnnkit.plotting.boxes import arrow, box, frame
from rnnkit.plotting.style import GREEN, ORANGE, PURPLE, SKY


def draw_bidirectional(inputs: Tokens, outputs: Tokens, axes: Axes | None = None) -> Axes:
    """Draws two recurrent networks over the same inputs, one per direction, unrolled over time.

    Args:
        inputs: a label for the input x_t of each time step, such as the letters of a word.
        outputs: a label for the output y_t of each time step.
        axes: where to draw. Defaults to the current axes.

    Returns:
        The Matplotlib axes.

    Example:

    >>> axes = draw_bidirectional("a", outputs="b", axes=plt.figure().gca())
    >>> [text.get_text() for text in axes.texts]
    ['a', '$\\\\overrightarrow{h}_{1}$', '$\\\\overleftarrow{h}_{1}$', 'b']
    """
    axes = axes or plt.gca()
    for step, (read, said) in enumerate(zip(inputs, outputs, strict=True)):
        x = 2.4 * step
        box(axes, x, 0, read, SKY)
        box(axes, x - 0.5, 1.6, rf"$\overrightarrow{{h}}_{{{step + 1}}}$", ORANGE)
        box(axes, x + 0.5, 3.0, rf"$\overleftarrow{{h}}_{{{step + 1}}}$", PURPLE)
        box(axes, x, 4.6, said, GREEN)
        arrow(axes, (x - 0.2, 0.4), (x - 0.5, 1.2))
        arrow(axes, (x + 0.2, 0.4), (x + 0.5, 2.6))
        arrow(axes, (x - 0.5, 2.0), (x - 0.2, 4.2))
        arrow(axes, (x + 0.5, 3.4), (x + 0.2, 4.2))
        if step:
            arrow(axes, (x - 2.5, 1.6), (x - 0.9, 1.6))
            arrow(axes, (x + 0.1, 3.0), (x - 1.5, 3.0))
    frame(axes, 2.4 * (len(inputs) - 1) + 1.1, 5.2)
    axes.set_xlim(left=-1.1)
    return axes

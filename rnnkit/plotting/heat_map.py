"""A table of numbers as colors."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from rnnkit.annotations import Tensor, Tokens
from rnnkit.plotting.style import DIVERGING, SEQUENTIAL


def heat_map(
    values: Tensor,
    rows: Tokens,
    columns: Tokens,
    axes: Axes | None = None,
    label: str | None = None,
    numbers: str | None = None,
    diverging: bool = False,
    limits: tuple[float, float] | None = None,
) -> Axes:
    """Draws a table of numbers as colors.

    Args:
        values: array `(rows, columns)`.
        rows: a label for each row.
        columns: a label for each column.
        axes: where to draw. Defaults to the current axes.
        label: label of the color bar, with the unit of the values. Defaults to `None`, no bar.
        numbers: a format such as `"{:.2f}"` to write each value into its cell. Defaults to `None`, no numbers.
        diverging: whether zero is the middle of the color scale. Defaults to `False`.
        limits: the values of the first and the last color. Defaults to the range of the data.

    Returns:
        The Matplotlib axes.

    Raises:
        ValueError: there is not one label per row and one per column.

    Example:

    >>> axes = plt.figure().gca()
    >>> _ = heat_map([[0.0, 1.0], [0.5, 0.2]], rows=["a", "b"], columns=["x", "y"], axes=axes, numbers="{:.1f}")
    >>> [text.get_text() for text in axes.texts]
    ['0.0', '1.0', '0.5', '0.2']
    """
    values = np.asarray(values, "float64")
    if values.shape != (len(rows), len(columns)):
        raise ValueError(
            f"heat_map expected values of shape (rows, columns) = {(len(rows), len(columns))}, received {values.shape}."
        )
    axes = axes or plt.gca()
    if limits is None:
        top = np.nanmax(np.abs(values))
        limits = (-top, top) if diverging else (np.nanmin(values), np.nanmax(values))
    image = axes.imshow(
        values, cmap=DIVERGING if diverging else SEQUENTIAL, vmin=limits[0], vmax=limits[1], aspect="auto"
    )
    axes.set_xticks(range(len(columns)), columns)
    axes.set_yticks(range(len(rows)), rows)
    axes.grid(visible=False)
    if numbers:
        for (i, j), value in np.ndenumerate(values):
            red, green, blue, _ = image.cmap(image.norm(value))
            dark = 0.3 * red + 0.59 * green + 0.11 * blue < 0.5
            axes.text(j, i, numbers.format(value), ha="center", va="center", color="white" if dark else "black")
    if label:
        axes.figure.colorbar(image, ax=axes, label=label)
    return axes

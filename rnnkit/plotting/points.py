"""Points in a plane with their labels."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from rnnkit.annotations import Tensor, Tokens
from rnnkit.plotting.style import COLORS, MARKERS


def labeled_points(points: Tensor, labels: Tokens, groups: Tokens | None = None, axes: Axes | None = None) -> Axes:
    """Draws points in a plane with labels that do not overlap, and with one color and marker per group.

    Args:
        points: array `(n, 2)`.
        labels: a label for each point.
        groups: the name of each point's group. Defaults to one group for all.
        axes: where to draw. Defaults to the current axes.

    Returns:
        The Matplotlib axes.

    Example:

    >>> axes = labeled_points([[0, 0], [1, 1]], ["one", "two"], groups=["low", "high"], axes=plt.figure().gca())
    >>> [text.get_text() for text in axes.get_legend().get_texts()]
    ['low', 'high']
    """
    points, axes = np.asarray(points, "float64"), axes or plt.gca()
    groups = ["" for _ in labels] if groups is None else groups
    names = list(dict.fromkeys(groups))
    for index, name in enumerate(names):
        x, y = points[[group == name for group in groups]].T
        axes.scatter(x, y, s=22, marker=MARKERS[index % len(MARKERS)], color=_color(index), label=name)
    if len(names) > 1:
        axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    axes.margins(0.08)
    axes.figure.canvas.draw()  # fixes the layout: now labels can be measured in pixels
    taken = [_around(axes.transData.transform(point), 4) for point in points]
    for point, label, group in zip(points, labels, groups, strict=True):
        taken.append(_write_apart(axes, point, label, _color(names.index(group)), taken))
    return axes


def _color(index):
    return COLORS[index % len(COLORS)]


def _around(center, radius):
    return (center[0] - radius, center[1] - radius, center[0] + radius, center[1] + radius)


def _write_apart(axes, point, label, color, taken):
    """Writes a label next to its point, in the first place where it covers nothing; returns its box in pixels."""
    places = [
        (5, 0, "left", "center"),
        (-5, 0, "right", "center"),
        (0, 5, "center", "bottom"),
        (0, -5, "center", "top"),
    ]
    places += [(dx, dy, h, v) for dx, h in ((6, "left"), (-6, "right")) for dy, v in ((8, "bottom"), (-8, "top"))]
    best = None
    for dx, dy, horizontal, vertical in places:
        text = axes.annotate(
            label, point, (dx, dy), textcoords="offset points", ha=horizontal, va=vertical, color=color, fontsize=9
        )
        box = text.get_window_extent().extents
        overlap = sum(_overlap(box, other) for other in taken)
        if best is None or overlap < best[0]:
            if best:
                best[1].remove()
            best = (overlap, text, box)
        else:
            text.remove()
        if overlap == 0:
            break
    return best[2]


def _overlap(a, b):
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    return max(width, 0) * max(height, 0)

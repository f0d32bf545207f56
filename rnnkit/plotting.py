"""The course's pictures: one palette, one style, and the few plots that several lessons draw.

Needs Matplotlib: `pip install "rnnkit[notebooks]"`.
"""

import io

try:
    import matplotlib.pyplot as plt
    from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
except ImportError as error:
    raise ImportError('rnnkit.plotting needs Matplotlib: pip install "rnnkit[notebooks]".') from error
import numpy as np

# Apart in grey as in colour, and for every kind of colour vision; after Okabe and Ito, "Color universal design", 2008.
BLUE, ORANGE, GREEN, PURPLE, SKY, GREY = "#0072b2", "#d55e00", "#009e73", "#7b3294", "#56b4e9", "#777777"
COLOURS = [BLUE, ORANGE, GREEN, PURPLE, SKY, GREY]
MARKERS = ["o", "s", "^", "D", "v", "P"]
SEQUENTIAL, DIVERGING = "Blues", "RdBu_r"

_STYLE = {
    "figure.figsize": (7, 3.5),
    "figure.dpi": 100,
    "figure.constrained_layout.use": True,
    "font.size": 10,
    "axes.prop_cycle": plt.cycler(color=COLOURS),
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "image.cmap": SEQUENTIAL,
    "legend.frameon": False,
}


def style():
    """Makes every figure of the session look like the course's; called in a lesson's setup."""
    plt.rcParams.update(_STYLE)


def show(alt, figure=None):
    """Shows a figure, with a text for readers who cannot see it, and closes it.

    Args:
        alt: what the picture shows, in a sentence.
        figure: a Matplotlib figure; the current one if left out.
    """
    figure = figure or plt.gcf()
    try:
        from IPython import get_ipython
    except ImportError:
        get_ipython = None
    if get_ipython is None or get_ipython() is None:
        plt.show()
    else:
        _display(figure, alt)
    plt.close(figure)


def _display(figure, alt):
    """Puts the figure into the notebook as a PNG of 256 colours, a third of the size of a full one."""
    from IPython.display import Image, display
    from PIL import Image as Pixels

    full, small = io.BytesIO(), io.BytesIO()
    figure.savefig(full, format="png")
    Pixels.open(full).convert("RGB").quantize(256, dither=Pixels.Dither.NONE).save(small, format="png", optimize=True)
    display(Image(small.getvalue(), metadata={"alt": alt}))


def heat_map(values, rows, columns, axes=None, label=None, numbers=None, diverging=False, limits=None):
    """Draws a table of numbers as colours.

    Args:
        values: array `(rows, columns)`.
        rows, columns: names, one for each row and each column.
        axes: where to draw; the current axes if left out.
        label: name and unit of the values, beside the colour bar; no bar if left out.
        numbers: a format such as `"{:.2f}"` to write each value into its cell.
        diverging: whether zero is the middle of the colours.
        limits: the values of the first and the last colour; from the data if left out.

    Returns:
        The Matplotlib axes.

    Raises:
        ValueError: the names are not as many as the rows and columns.

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


def labelled_points(points, labels, groups=None, axes=None):
    """Draws points of a plane with their names, one colour and marker a group, and keeps the names apart.

    Args:
        points: array `(n, 2)`.
        labels: n names.
        groups: n group names; one group if left out.
        axes: where to draw; the current axes if left out.

    Returns:
        The Matplotlib axes.

    Example:

    >>> axes = labelled_points([[0, 0], [1, 1]], ["one", "two"], groups=["low", "high"], axes=plt.figure().gca())
    >>> [text.get_text() for text in axes.get_legend().get_texts()]
    ['low', 'high']
    """
    points, axes = np.asarray(points, "float64"), axes or plt.gca()
    groups = ["" for _ in labels] if groups is None else groups
    names = list(dict.fromkeys(groups))
    for index, name in enumerate(names):
        chosen = points[[group == name for group in groups]]
        axes.scatter(*chosen.T, s=22, marker=MARKERS[index % len(MARKERS)], color=_colour(index), label=name)
    if len(names) > 1:
        axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    axes.margins(0.08)
    axes.figure.canvas.draw()  # fixes the layout, so that the names can be measured in pixels
    taken = [_around(axes.transData.transform(point), 4) for point in points]
    for point, label, group in zip(points, labels, groups, strict=True):
        taken.append(_write_apart(axes, point, label, _colour(names.index(group)), taken))
    return axes


def draw_unrolled(inputs, outputs=None, states=None, axes=None):
    """Draws a recurrent network twice: as a loop, and unrolled over its time steps.

    Args:
        inputs: a name for each time step's input x_t, such as the letters of a word.
        outputs: a name for each time step's output y_t; x is left without output if None.
        states: a name for each time step's state; h_1, h_2, ... if left out.
        axes: where to draw; the current axes if left out.

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
    columns = [("$x_t$", "$h_t$", "$y_t$" if outputs else None)]
    columns += list(zip(inputs, states, outputs or [None] * steps, strict=True))
    for column, names in enumerate(columns):
        x = 1.8 * column + 1.2 * (column > 0)  # room for the loop and h_0
        _draw_step(axes, x, names)
        if column:
            _arrow(axes, (x - 1.4, 1.5), (x - 0.4, 1.5))
    _arrow(axes, (0.4, 1.7), (0.4, 1.3), bend=-2.2)
    axes.text(1.5, 1.5, "$h_0$", ha="right", va="center")
    _frame(axes, 1.8 * steps + 1.8, 3.6 if outputs else 2.1)
    return axes


def draw_patterns(axes=None):
    """Draws the ways to use a recurrent network: which steps take an input, which give an output.

    Args:
        axes: where to draw; the current axes if left out.

    Returns:
        The Matplotlib axes.

    Example:

    >>> [text.get_text() for text in draw_patterns(plt.figure().gca()).texts if " to " in text.get_text()]
    ['one to one', 'one to many', 'many to one', 'many to many', 'many to many,\\nsynced']

    References:
        Huang, "Recurrent Neural Networks" (deck).
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
                _arrow(axes, (x - 0.8, 1.5), (x - 0.4, 1.5))
        axes.text(left + 0.6 * (len(inputs) - 1), 3.8, name, ha="center", va="bottom", fontsize=9)
        left += 1.2 * len(inputs) + 1.3
    _frame(axes, left - 1.8, 5.0)
    return axes


def _draw_step(axes, x, names):
    """One column of an unrolled network: input, state and output, each only where it has a name."""
    for level, name in enumerate(names):
        if name:
            _box(axes, x, 1.5 * level, name, (SKY, ORANGE, GREEN)[level])
    for level in (1, 2):
        if names[level] and names[level - 1]:
            _arrow(axes, (x, 1.5 * level - 1.1), (x, 1.5 * level - 0.4))


def _frame(axes, right, top):
    axes.set_xlim(-0.6, right)
    axes.set_ylim(-0.6, top)
    axes.set_aspect("equal")
    axes.axis("off")


def _colour(index):
    return COLOURS[index % len(COLOURS)]


def _box(axes, x, y, text, colour, size=0.8):
    axes.add_patch(
        FancyBboxPatch(
            (x - size / 2, y - size / 2),
            size,
            size,
            boxstyle="round,pad=0,rounding_size=0.1",
            fc=colour,
            ec="black",
            alpha=0.35,
        )
    )
    axes.text(x, y, text, ha="center", va="center", fontsize=11)


def _arrow(axes, start, end, bend=0.0):
    axes.add_patch(
        FancyArrowPatch(
            start, end, arrowstyle="-|>", mutation_scale=10, connectionstyle=f"arc3,rad={bend}", color="black"
        )
    )


def _around(centre, radius):
    return (centre[0] - radius, centre[1] - radius, centre[0] + radius, centre[1] + radius)


def _write_apart(axes, point, label, colour, taken):
    """Writes a name beside its point, at the first place where it covers nothing; returns its box in pixels."""
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
            label, point, (dx, dy), textcoords="offset points", ha=horizontal, va=vertical, color=colour, fontsize=9
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

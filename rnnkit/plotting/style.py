"""One palette, one style, and one way to show a figure."""

import io
from typing import Any

try:
    import matplotlib.pyplot as plt
    from matplotlib.figure import Figure
except ImportError as error:
    raise ImportError('rnnkit.plotting needs Matplotlib: pip install "rnnkit[course]".') from error

# Distinct in color, in gray and for every kind of color vision; after Okabe and Ito, "Color universal design", 2008.
BLUE, ORANGE, GREEN, PURPLE, SKY, GRAY = "#0072b2", "#d55e00", "#009e73", "#7b3294", "#56b4e9", "#777777"
COLORS = [BLUE, ORANGE, GREEN, PURPLE, SKY, GRAY]
MARKERS = ["o", "s", "^", "D", "v", "P"]
SEQUENTIAL, DIVERGING = "Blues", "RdBu_r"

_STYLE: Any = {
    "figure.figsize": (7, 3.5),
    "figure.dpi": 100,
    "figure.constrained_layout.use": True,
    "font.size": 10,
    "axes.prop_cycle": plt.cycler(color=COLORS),
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "image.cmap": SEQUENTIAL,
    "legend.frameon": False,
}


def style() -> None:
    """Gives every figure of the session the look of the course; a lesson calls it in its setup."""
    plt.rcParams.update(_STYLE)


def show(alt: str, figure: Figure | None = None) -> None:
    """Shows a figure, with a text for readers who cannot see it, and closes it.

    Args:
        alt: one sentence that says what the picture shows.
        figure: a Matplotlib figure. Defaults to the current one.
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
    """Puts the figure into the notebook as a PNG of 48 colors, a fifth of the size of one with all colors.

    It has twice as many pixels as it is wide on the page, for screens that can show them.
    """
    from IPython.display import Image, display
    from PIL import Image as Pixels

    full, small = io.BytesIO(), io.BytesIO()
    figure.savefig(full, format="png", dpi=2 * figure.dpi)
    Pixels.open(full).convert("RGB").quantize(48, dither=Pixels.Dither.NONE).save(small, format="png", optimize=True)
    display(Image(small.getvalue(), retina=True, metadata={"alt": alt}))

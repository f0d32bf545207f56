"""One palette, one style, and how a figure is shown."""

import io

try:
    import matplotlib.pyplot as plt
except ImportError as error:
    raise ImportError('rnnkit.plotting needs Matplotlib: pip install "rnnkit[course]".') from error

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

"""The parts of drawings of networks."""

from matplotlib.patches import FancyArrowPatch, FancyBboxPatch


def frame(axes, right, top):
    axes.set_xlim(-0.6, right)
    axes.set_ylim(-0.6, top)
    axes.set_aspect("equal")
    axes.axis("off")


def box(axes, x, y, text, color, size=0.8):
    axes.add_patch(
        FancyBboxPatch(
            (x - size / 2, y - size / 2),
            size,
            size,
            boxstyle="round,pad=0,rounding_size=0.1",
            fc=color,
            ec="black",
            alpha=0.35,
        )
    )
    axes.text(x, y, text, ha="center", va="center", fontsize=11)


def arrow(axes, start, end, bend=0.0):
    axes.add_patch(
        FancyArrowPatch(
            start, end, arrowstyle="-|>", mutation_scale=10, connectionstyle=f"arc3,rad={bend}", color="black"
        )
    )

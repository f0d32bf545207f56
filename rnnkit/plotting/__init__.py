"""The course's pictures: one palette, one style, the plots that several lessons draw. One kind of plot a file."""

from rnnkit.plotting.diagrams import draw_patterns, draw_unrolled
from rnnkit.plotting.heat_map import heat_map
from rnnkit.plotting.points import labelled_points
from rnnkit.plotting.style import (
    BLUE,
    COLOURS,
    DIVERGING,
    GREEN,
    GREY,
    MARKERS,
    ORANGE,
    PURPLE,
    SEQUENTIAL,
    SKY,
    show,
    style,
)

__all__ = [
    "BLUE",
    "COLOURS",
    "DIVERGING",
    "GREEN",
    "GREY",
    "MARKERS",
    "ORANGE",
    "PURPLE",
    "SEQUENTIAL",
    "SKY",
    "draw_patterns",
    "draw_unrolled",
    "heat_map",
    "labelled_points",
    "show",
    "style",
]

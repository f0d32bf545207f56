"""The pictures of the course: one palette, one style, and the plots that several lessons draw, one per file."""

from rnnkit.plotting.alignment import plot_alignment
from rnnkit.plotting.bidirectional import draw_bidirectional
from rnnkit.plotting.conveyor_belt import conveyor_belt
from rnnkit.plotting.diagrams import draw_patterns, draw_unrolled
from rnnkit.plotting.entities import draw_entities
from rnnkit.plotting.forecasts import forecasts
from rnnkit.plotting.gates import gate_histograms, gates_over_text
from rnnkit.plotting.gradient_flow import gradient_flow
from rnnkit.plotting.heat_map import heat_map
from rnnkit.plotting.points import labeled_points
from rnnkit.plotting.stack import draw_stack
from rnnkit.plotting.style import (
    BLUE,
    COLORS,
    DIVERGING,
    GRAY,
    GREEN,
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
    "COLORS",
    "DIVERGING",
    "GREEN",
    "GRAY",
    "MARKERS",
    "ORANGE",
    "PURPLE",
    "SEQUENTIAL",
    "SKY",
    "conveyor_belt",
    "draw_bidirectional",
    "draw_entities",
    "draw_patterns",
    "draw_stack",
    "draw_unrolled",
    "forecasts",
    "gate_histograms",
    "gates_over_text",
    "gradient_flow",
    "heat_map",
    "labeled_points",
    "plot_alignment",
    "show",
    "style",
]

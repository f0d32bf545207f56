"""The pictures of the course: one palette, one style, and the plots that several lessons draw, one per file."""

from rnnkit.plotting.alignment import plot_alignment
from rnnkit.plotting.bidirectional import draw_bidirectional
from rnnkit.plotting.cells import draw_cell
from rnnkit.plotting.conveyor_belt import conveyor_belt
from rnnkit.plotting.diagrams import draw_patterns, draw_unrolled
from rnnkit.plotting.entities import draw_entities
from rnnkit.plotting.forecasts import forecasts
from rnnkit.plotting.gates import gate_histograms, gates_over_text
from rnnkit.plotting.gradient_flow import gradient_flow
from rnnkit.plotting.heat_map import heat_map
from rnnkit.plotting.interactive import Answering, look_up, step_through
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
from rnnkit.plotting.svg import Drawing

__all__ = [
    "Answering",
    "BLUE",
    "COLORS",
    "DIVERGING",
    "Drawing",
    "GREEN",
    "GRAY",
    "MARKERS",
    "ORANGE",
    "PURPLE",
    "SEQUENTIAL",
    "SKY",
    "conveyor_belt",
    "draw_bidirectional",
    "draw_cell",
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
    "look_up",
    "plot_alignment",
    "show",
    "step_through",
    "style",
]

"""What happens inside a recurrent cell, gate by gate."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from rnnkit.plotting.style import BLUE, GRAY, ORANGE
from rnnkit.plotting.svg import Drawing

_LAYER, _POINT, _FADED, _PALE = "#f6d5b8", "#cde6f7", "#c8c8c8", "#f4f4f4"

# Of each cell: what is computed in each stage.
_STAGES = {
    "elman": ["[h_{t-1}, x_t]", "h_t = tanh(W [h_{t-1}, x_t] + b)"],
    "lstm": [
        "f_t = σ(W_f [h_{t-1}, x_t] + b_f)",
        "i_t = σ(W_i [h_{t-1}, x_t] + b_i),   C̃_t = tanh(W_C [h_{t-1}, x_t] + b_C)",
        "C_t = f_t * C_{t-1} + i_t * C̃_t",
        "o_t = σ(W_o [h_{t-1}, x_t] + b_o),   h_t = o_t * tanh(C_t)",
    ],
    "peephole_lstm": [
        "f_t = σ(W_f [C_{t-1}, h_{t-1}, x_t] + b_f)",
        "i_t = σ(W_i [C_{t-1}, h_{t-1}, x_t] + b_i),   C̃_t = tanh(W_C [h_{t-1}, x_t] + b_C)",
        "C_t = f_t * C_{t-1} + i_t * C̃_t",
        "o_t = σ(W_o [C_t, h_{t-1}, x_t] + b_o),   h_t = o_t * tanh(C_t)",
    ],
    "gru": [
        "r_t = σ(W_r [h_{t-1}, x_t] + b_r)",
        "h̃_t = tanh(W [r_t * h_{t-1}, x_t] + b)",
        "z_t = σ(W_z [h_{t-1}, x_t] + b_z)",
        "h_t = (1 - z_t) * h_{t-1} + z_t * h̃_t",
    ],
}
_VALUES = {
    "elman": ("x", "h_prev", "h"),
    "lstm": ("x", "h_prev", "C_prev", "f", "i", "candidate", "o", "C", "h"),
    "gru": ("x", "h_prev", "r", "candidate", "z", "h"),
}
_VALUES["peephole_lstm"] = _VALUES["lstm"]


def draw_cell(cell: str, stage: int | None = None, values: Mapping[str, Any] | None = None) -> Drawing:
    """Draws one step of a recurrent cell: what it learns, what it computes, and where the vectors go.

    A line carries a vector, a rectangle is a learned layer, and a circle is an operation element by element. A line
    that forks is copied; lines that meet are concatenated. The GRU is the lecture's, `convention="chung"`.

    Args:
        cell: `"elman"`, `"lstm"`, `"peephole_lstm"` or `"gru"`.
        stage: which computation to highlight, with its equation; 1 is the first one. Defaults to `None`, all of them,
            with a legend.
        values: numbers to write on the lines: a dict from some of `x`, `h_prev`, `C_prev`, `f`, `i`, `o`, `r`, `z`,
            `candidate`, `C` and `h` to a number, as of a cell with one unit. Defaults to `None`, no numbers.

    Returns:
        A `Drawing`, which a notebook shows.

    Raises:
        ValueError: there is no such cell or stage, the cell has no such value, or a value is not one number.

    Example:

    >>> draw_cell("lstm", stage=1, values={"f": 0.73})
    <Drawing: One step of an LSTM, stage 1 of 4: f_t = σ(W_f [h_{t-1}, x_t] + b_f). f_t = 0.73.>

    References:
        Elman, "Finding structure in time", 1990. Hochreiter and Schmidhuber, "Long short-term memory", 1997. Gers and
        Schmidhuber, "Recurrent nets that time and count", 2000. Chung, Gulcehre, Cho and Bengio, "Empirical evaluation
        of gated recurrent neural networks on sequence modeling", 2014.
    """
    if cell not in _STAGES:
        raise ValueError(f"draw_cell expected a cell among {sorted(_STAGES)}, received {cell!r}.")
    stages = _STAGES[cell]
    if stage is not None and stage not in range(1, len(stages) + 1):
        raise ValueError(f"draw_cell expected a stage of {cell!r} from 1 to {len(stages)} or None, received {stage!r}.")
    if unknown := sorted(set(values or {}) - set(_VALUES[cell])):
        raise ValueError(f"draw_cell expected values of {cell!r} among {_VALUES[cell]}, received {unknown}.")
    texts = {name: _text(name, value) for name, value in (values or {}).items()}
    title = {"elman": "Elman network", "lstm": "LSTM", "peephole_lstm": "LSTM with peepholes", "gru": "GRU"}[cell]
    alt = f"One step of {'a' if cell == 'gru' else 'an'} {title}"
    alt += f", stage {stage} of {len(stages)}: {stages[stage - 1]}." if stage else f": {'; '.join(stages)}."
    alt += "".join(f" {_NAMES[name]} = {text}." for name, text in texts.items())
    board = _Board(Drawing(620, 400 if cell != "elman" else 250, alt), stage, texts)
    _LAYOUTS[cell](board)
    if stage:
        board.drawing.text(board.drawing.width / 2, board.drawing.height - 12, stages[stage - 1], 15, BLUE)
    else:
        _legend(board.drawing)
    return board.drawing


_NAMES = {"x": "x_t", "h_prev": "h_{t-1}", "C_prev": "C_{t-1}", "C": "C_t", "h": "h_t"}
_NAMES |= {gate: f"{gate}_t" for gate in "fiorz"} | {"candidate": "candidate"}


def _text(name, value):
    if np.size(value) != 1:
        raise ValueError(f"draw_cell expected one number for {name!r}, received an array of shape {np.shape(value)}.")
    return f"{float(np.ravel(value)[0]):.2f}".replace("-", "−")


class _Board:
    """Draws parts that belong to stages: those of other stages than the highlighted one are faded."""

    def __init__(self, drawing, stage, texts):
        self.drawing, self.stage, self.texts = drawing, stage, texts

    def active(self, stages):
        return self.stage is None or self.stage in stages

    def line(self, stages, *points, arrow=True, halo=False):
        active = self.active(stages)
        self.drawing.line(points, "black" if active else _FADED, 1.8 if active else 1.5, arrow, halo)

    def copy(self, stages, x, y):
        color = "black" if self.active(stages) else _FADED
        self.drawing.circle(x, y, 3, color, color)

    def layer(self, stages, x, y, text):
        active = self.active(stages)
        self.drawing.rectangle(x - 22, y - 15, 44, 30, _LAYER if active else _PALE, ORANGE if active else _FADED)
        self.drawing.text(x, y + 5, text, 14, "black" if active else _FADED)

    def point(self, stages, x, y, text):
        active = self.active(stages)
        self.drawing.circle(x, y, 13 if len(text) < 3 else 19, _POINT if active else _PALE, BLUE if active else _FADED)
        self.drawing.text(x, y + 5, text, 15 if len(text) < 3 else 13, "black" if active else _FADED)

    def name(self, stages, x, y, name, key, anchor="start"):
        """The name of a vector, and its number below the name."""
        active = self.active(stages)
        self.drawing.text(x, y, name, 15, "black" if active else GRAY, anchor)
        if key in self.texts:
            self.drawing.text(x, y + 16, self.texts[key], 13, BLUE if active else GRAY, anchor)


def _legend(drawing):
    y, color = drawing.height - 16, "#444444"
    step = drawing.width / 5
    for index, name in enumerate(["vector", "learned layer", "pointwise", "copy", "concatenate"]):
        x = index * step + 8
        if name == "vector":
            drawing.line([(x, y), (x + 28, y)], "black", 1.8, arrow=True)
        elif name == "learned layer":
            drawing.rectangle(x - 10, y - 8, 24, 16, _LAYER, ORANGE)
        elif name == "pointwise":
            drawing.circle(x + 16, y, 8, _POINT, BLUE)
        elif name == "copy":
            drawing.line([(x, y), (x + 28, y)], arrow=True)
            drawing.line([(x + 10, y), (x + 10, y - 9), (x + 28, y - 9)], arrow=True)
            drawing.circle(x + 10, y, 3, "black", "black")
        else:
            drawing.line([(x - 6, y), (x + 22, y)], arrow=True)
            drawing.line([(x - 6, y + 9), (x + 8, y + 9), (x + 8, y)])
        shift = {"learned layer": 20, "concatenate": 28}.get(name, 34)
        drawing.text(x + shift, y + 4, name, 12, color, "start")


def _draw_elman(board):
    line = 95
    board.line({1, 2}, (145, line), (318, line))
    board.line({1, 2}, (220, 170), (220, line), arrow=False)
    board.layer({2}, 340, line, "tanh")
    board.line({2}, (362, line), (470, line))
    board.copy({2}, 410, line)
    board.line({2}, (410, line), (410, 35))
    board.name({1, 2}, 138, line + 5, "h_{t-1}", "h_prev", "end")
    board.name({1, 2}, 230, 150, "x_t", "x")
    board.name({2}, 478, line + 5, "h_t", "h")


def _draw_lstm(board, peephole=False):
    belt, gates, trunk = 60, 230, 290
    f, i, c, o, out = 190, 275, 360, 445, 525
    # C_{t-1} to C_t
    board.line({3}, (88, belt), (f - 13, belt))
    board.line({3}, (f + 13, belt), (c - 13, belt))
    board.line({3, 4}, (c + 13, belt), (572, belt))
    # [h_{t-1}, x_t] into the layers
    everywhere = {1, 2, 4}
    board.line(everywhere, (88, trunk), (f, trunk), arrow=False)
    board.line(everywhere, (115, 345), (115, trunk), arrow=False)
    board.line({2, 4}, (f, trunk), (c, trunk), arrow=False)
    board.line({4}, (c, trunk), (o, trunk), (o, gates + 15))
    for x, stages in ((f, {1}), (i, {2}), (c, {2})):
        board.line(stages, (x, trunk), (x, gates + 15))
        board.copy({2, 4}, x, trunk)
    if peephole:
        rail = 268
        board.line({1, 2}, (140, belt), (140, rail), (f - 13, rail), (f - 13, gates + 15), halo=True)
        board.line({2}, (f - 13, rail), (i - 13, rail), (i - 13, gates + 15), halo=True)
        board.line({1}, (f, trunk), (f, gates + 15), halo=True)
        board.copy({1, 2}, 140, belt)
        board.copy({1, 2}, f - 13, rail)
        board.line({4}, (490, belt), (490, gates), (o + 22, gates))
        board.copy({4}, 490, belt)
    # the gates
    board.line({1, 3}, (f, gates - 15), (f, belt + 13))
    board.line({2, 3}, (i, gates - 15), (i, 140), (c - 13, 140))
    board.line({2, 3}, (c, gates - 15), (c, 153))
    board.line({3}, (c, 127), (c, belt + 13))
    board.line({4}, (o, gates - 15), (o, 175), (out - 13, 175), halo=peephole)
    board.line({4}, (out, belt), (out, 89))
    board.line({4}, (out, 127), (out, 162))
    board.copy({4}, out, belt)
    board.line({4}, (out, 188), (out, trunk), (572, trunk))
    for x, text, stages in ((f, "σ", {1}), (i, "σ", {2}), (c, "tanh", {2}), (o, "σ", {4})):
        board.layer(stages, x, gates, text)
    for x, y, text, stages in ((f, belt, "×", {3}), (c, 140, "×", {3}), (c, belt, "+", {3}), (out, 175, "×", {4})):
        board.point(stages, x, y, text)
    board.point({4}, out, 108, "tanh")
    board.name({3}, 80, belt + 5, "C_{t-1}", "C_prev", "end")
    board.name({3, 4}, 578, belt + 5, "C_t", "C")
    board.name(everywhere, 80, trunk + 5, "h_{t-1}", "h_prev", "end")
    board.name(everywhere, 123, 328, "x_t", "x")
    board.name({4}, 578, trunk + 5, "h_t", "h")
    board.name({1, 3}, f + 8, 180, "f_t", "f")
    board.name({2, 3}, i + 8, 180, "i_t", "i")
    board.name({2, 3}, c + 8, 180, "C̃_t", "candidate")
    board.name({4}, o + 4, 150, "o_t", "o")


def _draw_gru(board):
    top, middle, gates, trunk = 60, 165, 245, 300
    r, joint, candidate, z = 200, 270, 330, 500
    # h_{t-1} to h_t
    board.line({4}, (88, top), (407, top))
    board.line({4}, (433, top), (z - 13, top))
    board.line({4}, (z + 13, top), (572, top))
    # [h_{t-1}, x_t] into the gates
    board.line({1, 3}, (110, top), (110, trunk), (r, trunk), arrow=False)
    board.copy({1, 3}, 110, top)
    board.line({1, 2, 3}, (145, 350), (145, 330), arrow=False)
    board.line({1, 3}, (145, 330), (145, trunk), arrow=False)
    board.line({1}, (r, trunk), (r, gates + 15))
    board.copy({1, 3}, r, trunk)
    board.line({3}, (r, trunk), (z, trunk), (z, gates + 15))
    # the candidate
    board.line({2}, (r, top), (r, middle - 13))
    board.copy({2}, r, top)
    board.line({1, 2}, (r, gates - 15), (r, middle + 13))
    board.line({2}, (r + 13, middle), (candidate - 22, middle))
    board.line({2}, (145, 330), (joint, 330), (joint, middle), arrow=False, halo=True)
    board.copy({2}, 145, 330)
    board.line({2, 4}, (candidate + 22, middle), (z - 13, middle))
    # the new state
    board.line({3, 4}, (z, gates - 15), (z, middle + 13))
    board.line({4}, (z, 205), (420, 205), (420, 123), halo=True)
    board.copy({4}, z, 205)
    board.line({4}, (420, 97), (420, top + 13))
    board.line({4}, (z, middle - 13), (z, top + 13))
    for x, y, text, stages in ((r, gates, "σ", {1}), (z, gates, "σ", {3}), (candidate, middle, "tanh", {2})):
        board.layer(stages, x, y, text)
    for x, y, text, stages in ((r, middle, "×", {2}), (420, top, "×", {4}), (z, middle, "×", {4}), (z, top, "+", {4})):
        board.point(stages, x, y, text)
    board.point({4}, 420, 110, "1−")
    board.name({1, 2, 3, 4}, 80, top + 5, "h_{t-1}", "h_prev", "end")
    board.name({4}, 578, top + 5, "h_t", "h")
    board.name({1, 2, 3}, 136, 338, "x_t", "x", "end")
    board.name({1, 2}, r + 8, 205, "r_t", "r")
    board.name({2, 4}, candidate + 30, middle - 24, "h̃_t", "candidate")
    board.name({3, 4}, z + 10, 205, "z_t", "z")


_LAYOUTS = {
    "elman": _draw_elman,
    "lstm": _draw_lstm,
    "gru": _draw_gru,
    "peephole_lstm": lambda board: _draw_lstm(board, peephole=True),
}

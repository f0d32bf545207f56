"""Pictures in SVG: sharp at every size, a few kilobytes, and the same text on every machine."""

import re
from collections.abc import Sequence
from html import escape

Point = tuple[float, float]


class Drawing:
    """An SVG picture with a description, drawn part by part; a notebook shows it.

    The coordinates are pixels from the top left corner. Texts may have indices as in formulas: `"C_{t-1}"` or `"x_t"`.

    Args:
        width: width in pixels.
        height: height in pixels.
        alt: one sentence that says what the picture shows, for readers who cannot see it.

    Example:

    >>> drawing = Drawing(100, 40, alt="An arrow from x to h.")
    >>> drawing.text(10, 25, "x_t")
    >>> drawing.line([(20, 20), (80, 20)], arrow=True)
    >>> drawing
    <Drawing: An arrow from x to h.>
    """

    def __init__(self, width: float, height: float, alt: str) -> None:
        self.width, self.height, self.alt = width, height, alt
        self._parts: list[str] = []

    def line(
        self,
        points: Sequence[Point],
        color: str = "black",
        width: float = 1.5,
        arrow: bool = False,
        halo: bool = False,
    ) -> None:
        """Draws straight lines from point to point.

        Args:
            points: list of pairs (x, y).
            color: color of the line. Defaults to `"black"`.
            width: width of the line. Defaults to `1.5`.
            arrow: whether the line ends in an arrowhead. Defaults to `False`.
            halo: whether lines below it are interrupted where it crosses them. Defaults to `False`.
        """
        points = list(points)
        if arrow:
            tip, points[-1] = points[-1], _towards(points[-1], points[-2], 6)
        path = " ".join(f"{_number(x)},{_number(y)}" for x, y in points)
        if halo:
            inner = [_towards(points[0], points[1], 6), *points[1:-1], _towards(points[-1], points[-2], 6)]
            below = " ".join(f"{_number(x)},{_number(y)}" for x, y in inner)
            self._add("polyline", points=below, fill="none", stroke="white", stroke_width=width + 5)
        self._add("polyline", points=path, fill="none", stroke=color, stroke_width=width)
        if arrow:
            (x, y), (dx, dy) = points[-1], _direction(points[-1], tip)
            corners = [tip, (x - 2 * dx + 4 * dy, y - 2 * dy - 4 * dx), (x - 2 * dx - 4 * dy, y - 2 * dy + 4 * dx)]
            self._add("polygon", points=" ".join(f"{_number(x)},{_number(y)}" for x, y in corners), fill=color)

    def rectangle(
        self,
        x: float,
        y: float,
        width: float,
        height: float,
        fill: str = "none",
        color: str = "black",
        corner: float = 0,
    ) -> None:
        """Draws a rectangle.

        Args:
            x: left side.
            y: upper side.
            width: width in pixels.
            height: height in pixels.
            fill: color of the inside. Defaults to `"none"`.
            color: color of the outline, or `"none"`. Defaults to `"black"`.
            corner: radius of the corners. Defaults to `0`.
        """
        self._add("rect", x=x, y=y, width=width, height=height, rx=corner, fill=fill, stroke=color)

    def circle(self, x: float, y: float, radius: float, fill: str = "none", color: str = "black") -> None:
        """Draws a circle.

        Args:
            x: center.
            y: center.
            radius: radius in pixels.
            fill: color of the inside. Defaults to `"none"`.
            color: color of the outline, or `"none"`. Defaults to `"black"`.
        """
        self._add("circle", cx=x, cy=y, r=radius, fill=fill, stroke=color)

    def text(
        self, x: float, y: float, text: str, size: float = 14, color: str = "black", anchor: str = "middle"
    ) -> None:
        """Writes a text.

        Args:
            x: where the text is anchored.
            y: the line on which the text stands.
            text: the text; `_a` and `_{abc}` are indices.
            size: height of the letters in pixels. Defaults to `14`.
            color: color of the letters. Defaults to `"black"`.
            anchor: the point of the text at x: `"start"`, `"middle"` or `"end"`. Defaults to `"middle"`.
        """
        spans = ""
        for plain, index in re.findall(r"((?:[^_]|_(?![\w{]))+)?(?:_(\{[^}]*\}|\w))?", text):
            spans += escape(plain)
            if index:
                down, small = _number(size * 0.25), _number(size * 0.75)
                # the line of what follows is higher again: a zero-width space takes it back
                spans += f'<tspan dy="{down}" font-size="{small}">{escape(index.strip("{}"))}</tspan>'
                spans += f'<tspan dy="-{down}">\u200b</tspan>'
        self._parts.append(
            f'<text x="{_number(x)}" y="{_number(y)}" font-size="{_number(size)}" fill="{escape(color)}" '
            f'text-anchor="{escape(anchor)}">{spans}</text>'
        )

    def _add(self, tag, **attributes):
        texts = {name: value if isinstance(value, str) else _number(value) for name, value in attributes.items()}
        self._parts.append(
            f"<{tag} " + " ".join(f'{k.replace("_", "-")}="{escape(v)}"' for k, v in texts.items()) + "/>"
        )

    @property
    def svg(self) -> str:
        """The picture as an SVG element."""
        width, height = _number(self.width), _number(self.height)
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
            f'role="img" aria-label="{escape(self.alt)}" font-family="DejaVu Sans, Verdana, sans-serif" '
            f'style="max-width:100%;height:auto;background:#fff">{"".join(self._parts)}</svg>'
        )

    def _repr_html_(self) -> str:
        return self.svg

    def __repr__(self) -> str:
        return f"<Drawing: {self.alt}>"


def _number(value):
    return f"{value:.2f}".rstrip("0").rstrip(".")


def _direction(start, end):
    length = ((end[0] - start[0]) ** 2 + (end[1] - start[1]) ** 2) ** 0.5 or 1
    return (end[0] - start[0]) / length, (end[1] - start[1]) / length


def _towards(start, end, distance):
    dx, dy = _direction(start, end)
    return start[0] + dx * distance, start[1] + dy * distance

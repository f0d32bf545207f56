"""Pictures that answer: a slider or a text field, a few kilobytes of SVG and script, and no network.

They work in JupyterLab, in Colab and on a plain page. Where no script runs, as on GitHub or on paper, the first picture
stands still and the control is not shown.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any
from xml.etree import ElementTree

from rnnkit.plotting.style import BLUE
from rnnkit.plotting.svg import Drawing

Frame = str | Drawing

# Each script works on all pictures of its name: an output may be on the page twice. It has no "<" and no "&", so that
# the page is valid XML, too.
_STEPS = """\
for (const figure of document.querySelectorAll('[data-rnnkit="NAME"]')) {
  const input = figure.querySelector("input"), output = figure.querySelector("output");
  const frames = Array.from(figure.querySelectorAll("[data-frame]"));
  const show = () => {
    frames.forEach((frame, k) => { frame.hidden = String(k) !== input.value; });
    output.textContent = frames[input.value].dataset.frame;
    input.setAttribute("aria-valuetext", output.textContent);
  };
  input.addEventListener("input", show);
  figure.querySelector("[data-control]").hidden = false;
  show();
}"""
_ANSWERS = """\
for (const figure of document.querySelectorAll('[data-rnnkit="NAME"]')) {
  const table = new Map(TABLE), names = NAMES;
  const input = figure.querySelector("input"), output = figure.querySelector("output");
  const rows = Array.from(figure.querySelectorAll("[data-row]"));
  const show = () => {
    let known = input.value;
    if (!table.has(known)) known = known.toLowerCase();
    while (known !== "" ? !table.has(known) : false) known = known.slice(0, -1);
    const shares = table.get(known) || [];
    rows.forEach((row, k) => {
      const [name, share] = shares[k] || [-1, 0], texts = row.querySelectorAll("text");
      texts[0].textContent = name === -1 ? "" : names[name];
      texts[1].textContent = name === -1 ? "" : share + " %";
      row.querySelector("rect").setAttribute("width", share * SCALE);
    });
    const answer = shares.map(([name, share]) => names[name] + " " + share + " %").join(", ");
    const read = known.length === input.value.length ? "" : "not in the table; shown for: " + known;
    output.textContent = read;
    figure.querySelector("svg").setAttribute("aria-label", "After " + known + ": " + answer);
  };
  input.addEventListener("input", show);
  figure.querySelector("[data-control]").hidden = false;
  show();
}"""


class Answering:
    """A picture that answers to a slider or to a text; `step_through` and `look_up` make it, and a notebook shows it.

    Args:
        name: its name on the page.
        caption: the sentence below it.
        html: the picture, its control and its script.

    Example:

    >>> look_up("rest", {"": {"yes": 0.5, "no": 0.5}}, caption="Nothing is known yet.", prompt="Type:")
    <Answering 'rest': Nothing is known yet.>
    """

    def __init__(self, name: str, caption: str, html: str) -> None:
        self.name, self.caption, self.html = name, caption, html

    def _repr_html_(self) -> str:
        return self.html

    def __repr__(self) -> str:
        return f"<Answering {self.name!r}: {self.caption}>"


def step_through(
    name: str,
    frames: Sequence[Frame] | Callable[[Any], Frame],
    labels: Sequence[Any],
    caption: str,
    prompt: str = "step",
    start: int = 0,
) -> Answering:
    """Shows one of several pictures, which a slider chooses. The arrow keys move it.

    Args:
        name: a name that no other picture of the notebook has: small letters, digits and hyphens.
        frames: list of pictures, each a `Drawing` or a text `<svg ...>...</svg>`; or a function that returns one, which
            is called with each label.
        labels: for each picture, what it shows: a short text or a number, shown next to the slider and read aloud.
        caption: one sentence below the picture: what can be seen if the slider is moved.
        prompt: what the slider changes, such as `"temperature"`. Defaults to `"step"`.
        start: number of the picture that is shown first, or alone where no script runs. Defaults to `0`.

    Returns:
        An `Answering` picture, which a notebook shows.

    Raises:
        ValueError: the name has other characters, there is not one picture per label, or a picture is no valid SVG, has
            no description, or needs a script or an address outside the page.

    Example:

    >>> def ball(x):
    ...     drawing = Drawing(100, 20, alt=f"A ball at {x}.")
    ...     drawing.circle(x, 10, 5)
    ...     return drawing
    >>> step_through("ball", ball, labels=[10, 50, 90], caption="The ball rolls.", prompt="x")
    <Answering 'ball': The ball rolls.>
    """
    if callable(frames):
        frames = [frames(label) for label in labels]
    if len(frames) != len(labels) or not frames or not 0 <= start < len(frames):
        raise ValueError(
            f"step_through expected one label for each picture and a start among them, received {len(frames)} "
            f"pictures, {len(labels)} labels and start={start}."
        )
    pictures = "".join(
        f'<div data-frame="{escape(str(label))}"{"" if k == start else _HIDDEN}>{_checked(frame, f"{name}-{k}")}</div>'
        for k, (label, frame) in enumerate(zip(labels, frames, strict=True))
    )
    slider = f'<input type="range" {_KEYS} min="0" max="{len(frames) - 1}" step="1" value="{start}"/>'
    return Answering(name, caption, _page(name, pictures, prompt, slider, caption, _STEPS))


def look_up(
    name: str, table: Mapping[str, Mapping[str, float]], caption: str, prompt: str, start: str = "", rows: int = 5
) -> Answering:
    """Shows shares as bars for a text that the reader types: what a network believes after the letters so far.

    The answers are computed before, for all the texts in the table. A text that is not in it gets the answer of its
    longest beginning that is.

    Args:
        name: a name that no other picture of the notebook has: small letters, digits and hyphens.
        table: dict from a text to its shares, a dict from names to numbers from 0 to 1. It must have the empty text.
        caption: one sentence below the picture: what to type, and what can be seen.
        prompt: what to type, next to the field.
        start: the text in the field at first, whose bars are shown where no script runs. Defaults to `""`.
        rows: number of bars: the largest shares. Defaults to `5`.

    Returns:
        An `Answering` picture, which a notebook shows.

    Raises:
        ValueError: the name has other characters, the table lacks the empty text or `start`, or a share is not
            from 0 to 1.

    Example:

    >>> beliefs = {"": {"Peru": 0.5, "Japan": 0.5}, "l": {"Peru": 0.8, "Japan": 0.2}}
    >>> look_up("place", beliefs, caption="A place in two countries.", prompt="A place:", start="l")
    <Answering 'place': A place in two countries.>
    """
    if missing := [text for text in ("", start) if text not in table]:
        raise ValueError(f"look_up expected a table with the texts '' and start={start!r}, it lacks {missing[0]!r}.")
    if bad := [share for shares in table.values() for share in shares.values() if not 0 <= share <= 1]:
        raise ValueError(f"look_up expected shares from 0 to 1, received {bad[0]}.")
    names = sorted({label for shares in table.values() for label in shares})
    places = {label: place for place, label in enumerate(names)}
    answers = {
        text: [
            (places[label], round(100 * float(share)))
            for label, share in sorted(shares.items(), key=lambda pair: (-pair[1], pair[0]))[:rows]
        ]
        for text, shares in table.items()
    }
    wide = max(map(len, names), default=0) * 8 + 16  # room for the names
    scale = 3
    shown = [(names[place], share) for place, share in answers[start]]
    shown += [("", 0)] * (rows - len(shown))
    alt = f"After {start!r}: " + ", ".join(f"{label} {share} %" for label, share in shown if label) + "."
    bars = "".join(
        f'<g data-row="{k}"><text x="{wide - 8}" y="{22 * k + 18}" text-anchor="end">{escape(label)}</text>'
        f'<rect x="{wide}" y="{22 * k + 5}" width="{share * scale}" height="17" fill="{BLUE}"/>'
        f'<text x="{wide + 100 * scale + 8}" y="{22 * k + 18}">{f"{share} %" if label else ""}</text></g>'
        for k, (label, share) in enumerate(shown)
    )
    width, height = wide + 100 * scale + 60, 22 * rows + 6
    picture = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" role="img" '
        f'aria-label="{escape(alt)}" font-size="14" font-family="DejaVu Sans, Verdana, sans-serif" '
        f'style="max-width:100%;height:auto;background:#fff">{bars}</svg>'
    )
    field = f'<input type="text" {_KEYS} value="{escape(start)}" size="24" autocomplete="off" spellcheck="false"/>'
    data = {"SCALE": scale, "NAMES": names, "TABLE": list(answers.items())}
    return Answering(name, caption, _page(name, picture, prompt, field, caption, _ANSWERS, data))


_HIDDEN = ' hidden="hidden"'
_KEYS = 'data-lm-suppress-shortcuts="true"'  # else JupyterLab takes the arrow keys for itself


def _page(name, picture, prompt, control, caption, script, data=None):
    if not re.fullmatch(r"[a-z][a-z0-9-]*", name):
        raise ValueError(f"expected a name of small letters, digits and hyphens, received {name!r}.")
    values = {key: _data(value) for key, value in (data or {}).items()} | {"NAME": name}
    script = re.sub(r"\b(?:NAMES?|TABLE|SCALE)\b", lambda match: values[match[0]], script)
    return (
        f'<figure data-rnnkit="{name}" style="margin:0">{picture}'
        f'<div data-control="{name}"{_HIDDEN}><label>{escape(prompt)} {control}</label> <output></output></div>'
        f"<figcaption>{escape(caption)}</figcaption>"
        f"<script>{script}</script></figure>"
    )


def _data(value):
    """JSON without the characters that mean something in HTML."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _checked(frame, name):
    """The picture as valid SVG that needs nothing else, with ids that no other picture has."""
    svg = frame.svg if isinstance(frame, Drawing) else frame
    try:
        root = ElementTree.fromstring(svg)
    except ElementTree.ParseError as error:
        raise ValueError(
            f"expected a picture <svg ...>...</svg> that is valid XML, received an error: {error}."
        ) from error
    if root.tag.rpartition("}")[2] != "svg":
        raise ValueError(f"expected a picture <svg ...>...</svg>, received <{root.tag}>.")
    if not root.get("aria-label"):
        raise ValueError('expected a picture with a description, <svg role="img" aria-label="...">, received none.')
    for element in root.iter():
        outside = [value for value in element.attrib.values() if re.search(r"//|@import|javascript:", value)]
        if element.tag.rpartition("}")[2] in ("script", "foreignObject", "style") or outside:
            raise ValueError(
                f"expected a picture without scripts, styles and addresses, received {element.tag} {outside}."
            )
    for identity in sorted({element.get("id") for element in root.iter()} - {None}, key=len, reverse=True):
        svg = re.sub(rf'((?:id="|#)){re.escape(identity)}(?=["\)])', rf"\g<1>{name}-{identity}", svg)
    return svg

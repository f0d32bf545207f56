"""Drawings, cells and pictures that answer: valid, small, the same each time, described, and alone on their page."""

import json
import re
import shutil
import subprocess
from xml.etree import ElementTree

import pytest

from rnnkit import plotting
from rnnkit.plotting.cells import _STAGES

SVG = '<svg xmlns="http://www.w3.org/2000/svg" aria-label="A.">{}</svg>'
BELIEFS = {"": {"Peru": 0.5, "Japan": 0.5}, "l": {"Peru": 0.8, "Japan": 0.2}, "li": {"Peru": 0.9, "<&>": 0.104}}


def ball(x):
    drawing = plotting.Drawing(100, 20, alt=f"A ball at {x}.")
    drawing.circle(x, 10, 5)
    return drawing


def slider():
    return plotting.step_through("ball", ball, labels=[10, 50, 90], caption="It <rolls>.", prompt="x")


def field():
    return plotting.look_up("place", BELIEFS, caption="Type.", prompt="A place:", start="l", rows=3)


def texts(svg):
    root = ElementTree.fromstring(svg)
    return ["".join(text.itertext()).replace("\u200b", "") for text in root.iter("{http://www.w3.org/2000/svg}text")]


# ----------------------------------------------------------------------------------------------------------- drawings


def test_a_drawing_is_valid_and_escapes_what_it_is_given():
    drawing = plotting.Drawing(100.5, 40, alt='"a" < b & c')
    drawing.text(10, 20, "h_{t-1} < x_t & snake_case_")
    drawing.rectangle(0, 0, 10, 10, corner=2)
    drawing.line([(0, 0), (0, 0)], arrow=True, halo=True)
    root = ElementTree.fromstring(drawing.svg)
    assert root.get("aria-label") == '"a" < b & c' and root.get("role") == "img"
    assert root.get("viewBox") == "0 0 100.5 40"
    assert texts(drawing.svg) == ["ht-1 < xt & snakecase_"]
    assert "nan" not in drawing.svg


@pytest.mark.parametrize("cell", sorted(_STAGES))
def test_a_cell_in_stages(cell):
    stages = [None, *range(1, len(_STAGES[cell]) + 1)]
    pictures = [plotting.draw_cell(cell, stage) for stage in stages]
    assert len({picture.svg for picture in pictures}) == len(stages)
    for stage, picture in zip(stages, pictures, strict=True):
        assert picture.svg == plotting.draw_cell(cell, stage).svg
        assert len(picture.svg) < 10_000
        assert (_STAGES[cell][(stage or 1) - 1]) in picture.alt
        places = re.findall(r'<text x="([\d.]+)" y="([\d.]+)"', picture.svg)
        assert all(0 <= float(x) <= picture.width and 0 <= float(y) <= picture.height for x, y in places)
        assert len(set(places)) == len(places)  # nothing is written over something else


def test_a_cell_carries_its_numbers():
    values = {
        "x": 0.5,
        "h_prev": -0.25,
        "C_prev": 1.2,
        "f": 0.734,
        "i": [[0.4]],
        "candidate": 0,
        "o": 1,
        "C": 2,
        "h": 3,
    }
    picture = plotting.draw_cell("lstm", values=values)
    numbers = [text for text in texts(picture.svg) if re.fullmatch(r"−?\d\.\d\d", text)]
    assert sorted(numbers) == sorted(["0.50", "−0.25", "1.20", "0.73", "0.40", "0.00", "1.00", "2.00", "3.00"])
    assert "f_t = 0.73." in picture.alt


@pytest.mark.parametrize(
    "arguments, message",
    [
        (("rnn",), "expected a cell among .*'elman'.*received 'rnn'"),
        (("lstm", 5), "expected a stage of 'lstm' from 1 to 4 or None, received 5"),
        (("lstm", 0), "received 0"),
        (("gru", None, {"C": 1}), r"expected values of 'gru' among .*received \['C'\]"),
        (("gru", None, {"z": [1, 2]}), r"one number for 'z', received an array of shape \(2,\)"),
    ],
)
def test_a_cell_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        plotting.draw_cell(*arguments)


# ------------------------------------------------------------------------------------------------ pictures that answer


@pytest.mark.parametrize("make", [slider, field])
def test_an_answering_picture_is_small_fixed_described_and_needs_no_network(make):
    picture, again = make(), make()
    html = picture._repr_html_()
    assert html == again._repr_html_() and repr(picture) == repr(again)
    assert len(html) < 4_000
    assert not re.search(r"(?:https?:)?//(?!www\.w3\.org/2000/svg\")\w", html)
    page = ElementTree.fromstring(html)  # valid XML, and so valid HTML: no element here closes itself
    pictures = [one for one in page.iter() if one.tag.endswith("}svg")]
    assert pictures and all(one.get("role") == "img" and one.get("aria-label") for one in pictures)
    assert len(page.findall(".//label/input")) == 1
    assert page.find("div[@data-control]").get("hidden"), "a control that does nothing is shown where no script runs"
    assert page.find(".//input[@data-lm-suppress-shortcuts='true']") is not None  # JupyterLab leaves it the keys
    assert not any(element.get("id") for element in page.iter())


def test_without_a_script_the_first_picture_stands_still():
    frames = ElementTree.fromstring(slider().html).findall("div[@data-frame]")
    assert [(frame.get("data-frame"), frame.get("hidden")) for frame in frames] == [
        ("10", None),
        ("50", "hidden"),
        ("90", "hidden"),
    ]
    assert "A ball at 50." in slider().html
    svg = re.search(r"<svg.*?</svg>", field().html)[0]
    assert texts(svg) == ["Peru", "80 %", "Japan", "20 %", "", ""]


def test_ids_of_frames_differ_and_still_point_at_each_other():
    svg = SVG.format('<g id="a"/><g id="ab"/><use href="#a" fill="url(#ab)"/>')
    html = plotting.step_through("x", [svg, svg], labels=["p", "q"], caption="c").html
    for k in (0, 1):
        assert f'<g id="x-{k}-a"/><g id="x-{k}-ab"/><use href="#x-{k}-a" fill="url(#x-{k}-ab)"/>' in html


@pytest.mark.parametrize(
    "name, frames, message",
    [
        ("A b", [SVG], "a name of small letters"),
        ("a", [SVG, SVG], "one label for each picture.*received 2"),
        ("a", ["<svg>"], "valid XML"),
        ("a", ["<p/>"], "received <p>"),
        ("a", ["<svg/>"], "with a description"),
        ("a", [SVG.format("<script>1</script>")], "without scripts"),
        ("a", [SVG.format('<image href="https://example.org/x.png"/>')], "without scripts, styles and addresses"),
        ("a", [SVG.format('<image href="//example.org/x.png"/>')], "without scripts, styles and addresses"),
    ],
)
def test_step_through_refuses(name, frames, message):
    with pytest.raises(ValueError, match=message):
        plotting.step_through(name, frames, labels=["one"], caption="c")


@pytest.mark.parametrize(
    "table, start, message",
    [
        ({"a": {"x": 1}}, "a", "it lacks ''"),
        ({"": {"x": 1}}, "a", "start='a'"),
        ({"": {"x": 1.5}}, "", "received 1.5"),
        ({"": {"x": float("nan")}}, "", "received nan"),
    ],
)
def test_look_up_refuses(table, start, message):
    with pytest.raises(ValueError, match=message):
        plotting.look_up("a", table, caption="c", prompt="p", start=start)


PAGE = """\
const node = (values = {}) => Object.assign({listeners: {}, dataset: {}, attributes: {}, textContent: "",
  addEventListener(kind, run) { this.listeners[kind] = run; },
  setAttribute(key, value) { this.attributes[key] = String(value); }}, values);
const input = node({value: START}), output = node(), control = node({hidden: true}), svg = node();
const frames = FRAMES.map((label) => node({dataset: {frame: label}}));
const rows = [0, 1, 2].map(() => { const parts = [node(), node(), node()];
  return node({parts, querySelector: () => parts[2], querySelectorAll: () => parts.slice(0, 2)}); });
const figure = {querySelector: (what) => ({input, output, svg, "[data-control]": control})[what],
  querySelectorAll: (what) => what === "[data-row]" ? rows : frames};
globalThis.document = {querySelectorAll: () => [figure]};
SCRIPT
const said = [];
for (const value of VALUES) {
  input.value = value;
  input.listeners.input();
  said.push({output: output.textContent, hidden: frames.map((frame) => frame.hidden),
    label: svg.attributes["aria-label"],
    rows: rows.map(({parts: [name, share, bar]}) => [name.textContent, share.textContent, bar.attributes.width])});
}
console.log(JSON.stringify({control: control.hidden, said}));
"""


def played(picture, values, start, frames=()):
    """What the picture shows in Node after each of the values, on a page of stubs."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("needs Node")
    script = re.search(r"<script>(.*)</script>", picture.html, re.DOTALL)[1]
    parts = {"START": start, "FRAMES": list(frames), "VALUES": values}
    parts = {key: json.dumps(value) for key, value in parts.items()} | {"SCRIPT": script}
    page = re.sub(r"\b(START|FRAMES|VALUES|SCRIPT)\b", lambda match: parts[match[0]], PAGE)
    run = subprocess.run([node, "-"], input=page, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


def test_the_slider_chooses_a_picture():
    shown = played(slider(), ["2", "0"], start="0", frames=["10", "50", "90"])
    assert shown["control"] is False
    assert [(one["output"], one["hidden"]) for one in shown["said"]] == [
        ("90", [True, True, False]),
        ("10", [False, True, True]),
    ]


def test_the_field_answers_and_says_what_it_does_not_know():
    known, large, unknown, empty = played(field(), ["li", "LI", "lima", ""], start="l")["said"]
    assert (
        known["rows"] == [["Peru", "90 %", "270"], ["<&>", "10 %", "30"], ["", "0 %", "0"]] or known["rows"][2][0] == ""
    )
    assert known["output"] == "" and "Peru 90 %" in known["label"]
    assert large["rows"] == known["rows"]
    assert unknown["rows"] == known["rows"] and unknown["output"] == "not in the table; shown for: li"
    assert empty["rows"][:2] == [["Japan", "50 %", "150"], ["Peru", "50 %", "150"]] and empty["output"] == ""

"""Lint of the lessons: one canonical form, one order of sections, executed from top to bottom, clean outputs.

A rule takes a `Lesson` and yields what is wrong with it. `BADGE` and `COLAB_CELL` are in every lesson.
"""

import ast
import copy
import re
import statistics
import tomllib
from pathlib import Path

import nbformat
import pytest

from tests import lesson_numbers

ROOT = Path(__file__).resolve().parent.parent
ADDRESS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["urls"]["Repository"]
REPOSITORY = ADDRESS.removeprefix("https://github.com/")

BADGE = (
    "[![Open In Colab](https://colab.research.google.com/assets/colab-badge.svg)]"
    f"(https://colab.research.google.com/github/{REPOSITORY}/blob/main/student/{{name}})"
)
COLAB_CELL = f"""\
import importlib.util
import sys

if "google.colab" in sys.modules and importlib.util.find_spec("rnnkit") is None:
    %pip install -q "rnnkit[course] @ git+{ADDRESS}"
"""

SETUP_CELL = (
    r"from rnnkit import course\n\ncourse\.setup\(seed=\d+\)"  # alone: the backend's import is quiet only there
)

SECTIONS = [
    "What you will learn",
    "Setup",
    "The task and a baseline",
    "The idea",
    "From scratch",
    "The rnnkit layer",
    "Train",
    "Look inside",
    "What can go wrong",
    "Summary",
    "Exercises",
    "References",
]
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
LARGEST = 500 * 1024  # bytes
LONGEST, MEDIAN = 25, 6  # lines of a code cell
WIDEST = 100  # characters in a line of code
HIDDEN = {"jupyter": {"source_hidden": True}, "cellView": "form"}  # what make outputs adds to the tag hide-input

# Lessons that were written before the rules of `NEW_RULES`, and are not held to them yet. A lesson that is rewritten
# leaves this list, and the list goes when it is empty. A lesson on it that keeps the rules is reported.
NOT_YET = [
    "01_word2vec.ipynb",
    "05_bidirectional.ipynb",
    "07_attention_seq2seq.ipynb",
]


class Lesson:
    """A notebook as text and as cells; `code` is the code cells after the Colab cell."""

    def __init__(self, name, text):
        self.name, self.text = name, text
        self.notebook = nbformat.v4.reads(text)  # nbformat.reads would repair it
        self.cells = self.notebook.cells
        self.all_code = [cell for cell in self.cells if cell.cell_type == "code"]
        self.code = self.all_code[1:]

    def headings(self, level):
        for cell in self.cells:
            if cell.cell_type == "markdown":
                prose = re.sub(r"^```.*?^```", "", cell.source, flags=re.MULTILINE | re.DOTALL)
                yield from re.findall(rf"^{'#' * level} (.*)$", prose, re.MULTILINE)

    def calls(self):
        """Every call in the code, with its cell."""
        for cell in self.code:
            for node in ast.walk(parsed(cell)):
                if isinstance(node, ast.Call):
                    yield cell, node

    def texts(self):
        """Every text of every output, with its cell."""
        for cell in self.all_code:
            for output in cell.outputs:
                data = output.get("data", {})
                yield (
                    cell,
                    "".join([output.get("text", ""), *(data.get(f"text/{kind}", "") for kind in ("plain", "html"))]),
                )


def parsed(cell):
    try:
        return ast.parse(cell.source)
    except SyntaxError:  # is_plain_python reports it
        return ast.Module([], [])


def where(cell):
    return f"cell [{cell.execution_count}]"


# ---------------------------------------------------------------------------------------------------------- the rules


def is_canonical(lesson):
    if lesson.text != nbformat.v4.writes(lesson.notebook) + "\n":
        yield "not in the form that nbformat writes: run make outputs"


def is_valid(lesson):
    if (lesson.notebook.nbformat, lesson.notebook.nbformat_minor) != (4, 5):
        yield "not in nbformat 4.5"
    ids = [cell.get("id") for cell in lesson.cells]
    if None in ids or len(set(ids)) != len(ids):
        yield "a cell id is missing or used twice"
        return
    try:
        nbformat.validate(lesson.notebook)
    except nbformat.ValidationError as problem:
        yield f"not valid: {str(problem).splitlines()[0]}"


def has_clean_metadata(lesson):
    if lesson.notebook.metadata != METADATA:
        yield f"the metadata should be {METADATA}"
    for cell in lesson.cells:
        expected = HIDDEN if "hide-input" in cell.metadata.get("tags", []) else {}
        if {key: value for key, value in cell.metadata.items() if key != "tags"} != expected:
            yield f"a cell has metadata {dict(cell.metadata)}: expected tags and {expected}: run make outputs"


def is_executed_in_order(lesson):
    counts = [cell.execution_count for cell in lesson.all_code]
    if counts != list(range(1, len(counts) + 1)):
        yield f"the execution counts are {counts}: expected 1 to {len(counts)}"


def has_clean_outputs(lesson):
    for cell in lesson.all_code:
        for output in cell.outputs:
            if output.output_type == "error":
                yield f"{where(cell)} stores an error"
            if output.get("name") == "stderr":
                yield f"{where(cell)} stores stderr"


def names_no_machine(lesson):
    for cell, text in lesson.texts():
        if path := re.search(r"(/home/|/root/|/tmp/|/Users/|/content/|[A-Z]:\\)\S*", text):
            yield f"{where(cell)} shows a path of one machine: {path[0]}"


def is_small(lesson):
    if (size := len(lesson.text.encode())) > LARGEST:
        yield f"{size} bytes, at most {LARGEST}"


def has_title_badge_and_minutes(lesson):
    title = lesson.cells[0].source
    if not title.startswith("# ") or len(list(lesson.headings(1))) != 1:
        yield "expected one title (#), in the first cell"
    if BADGE.format(name=lesson.name) not in title.splitlines():
        yield f"the first cell lacks the line {BADGE.format(name=lesson.name)}"
    if not re.search(r"\d (second|minute)s?\b", title):
        yield "the first cell does not say how many minutes the notebook takes"


def has_colab_cell(lesson):
    first = lesson.all_code[0]
    if first.source != COLAB_CELL.strip() or first.metadata.get("tags") != ["colab"]:
        yield f"the first code cell should be this one, tagged colab:\n{COLAB_CELL}"


def starts_quietly(lesson):
    if not lesson.code or not re.fullmatch(SETUP_CELL, lesson.code[0].source):
        yield "the code cell after the Colab cell should be two lines: from rnnkit import course; course.setup(seed=1)"


def has_sections_in_order(lesson):
    if (found := list(lesson.headings(2))) != SECTIONS:
        yield f"the sections (##) are {found}: expected {SECTIONS}"


def has_short_cells(lesson):
    lengths = [len(cell.source.splitlines()) for cell in lesson.code]
    for cell, length in zip(lesson.code, lengths, strict=True):
        if not 1 <= length <= LONGEST:
            yield f"{where(cell)} has {length} lines: expected 1 to {LONGEST}"
    if lengths and statistics.median(lengths) > MEDIAN:
        yield f"the median code cell has {statistics.median(lengths)} lines, at most {MEDIAN}"


def is_plain_python(lesson):
    for cell in lesson.code:
        try:
            ast.parse(cell.source)
        except SyntaxError:
            yield f"{where(cell)} is not plain Python: no magics and no shell lines"
        if cell.source.rstrip().endswith(";"):
            yield f"{where(cell)} hides its output with a semicolon: end a plot with plt.show()"


def has_no_star_import(lesson):
    for cell in lesson.code:
        for node in ast.walk(parsed(cell)):
            if isinstance(node, ast.ImportFrom) and any(name.name == "*" for name in node.names):
                yield f"{where(cell)} imports *"


def uses_keras_itself(lesson):
    for cell in lesson.code:
        if re.search(r"\btf\.keras\b|\btensorflow\.keras\b", cell.source):
            yield f"{where(cell)} uses tf.keras: import keras"


def validates_while_it_trains(lesson):
    for cell, call in lesson.calls():
        keywords = {keyword.arg for keyword in call.keywords}
        if isinstance(call.func, ast.Attribute) and call.func.attr == "fit" and "epochs" in keywords:
            if not {"validation_data", "validation_split"} & keywords and "no-validation" not in cell.metadata.get(
                "tags", []
            ):
                yield f"{where(cell)} fits without validation data: give some, or tag the cell no-validation"


def describes_its_pictures(lesson):
    for cell in lesson.all_code:
        for output in cell.outputs:
            if "image/png" in output.get("data", {}) and not output.metadata.get("image/png", {}).get("alt"):
                yield f"{where(cell)} shows a picture without a description: plotting.show(alt) takes one"


def is_in_readme(lesson):
    if f"notebooks/{lesson.name}" not in (ROOT / "README.md").read_text():
        yield "the table of README.md does not link it"


def shows_its_numbers(lesson):
    yield from lesson_numbers.problems(lesson.name, lesson.notebook)


def hides_what_only_asserts(lesson):
    for cell in lesson.code:
        body = parsed(cell).body
        if body and all(isinstance(node, ast.Assert) for node in body):
            if "hide-input" not in cell.metadata.get("tags", []):
                yield f"{where(cell)} has nothing but asserts: tag it hide-input, or join it to another cell"


def has_short_lines(lesson):
    for cell in lesson.code:
        for line in cell.source.splitlines():
            if len(line) > WIDEST:
                yield f"{where(cell)} has a line of {len(line)} characters, at most {WIDEST}: {line.strip()[:40]}..."


NEW_RULES = [shows_its_numbers, hides_what_only_asserts, has_short_lines]
RULES = [
    is_canonical,
    is_valid,
    has_clean_metadata,
    is_executed_in_order,
    has_clean_outputs,
    names_no_machine,
    is_small,
    has_title_badge_and_minutes,
    has_colab_cell,
    starts_quietly,
    has_sections_in_order,
    has_short_cells,
    is_plain_python,
    has_no_star_import,
    uses_keras_itself,
    validates_while_it_trains,
    describes_its_pictures,
    is_in_readme,
]


@pytest.mark.parametrize("path", sorted((ROOT / "notebooks").glob("*.ipynb")), ids=lambda path: path.stem)
def test_lesson(path):
    lesson = Lesson(path.name, path.read_text(encoding="utf-8"))
    rules = RULES if path.name in NOT_YET else RULES + NEW_RULES
    problems = [f"{rule.__name__}: {problem}" for rule in rules for problem in rule(lesson)]
    assert not problems, "\n".join([path.name, *problems])


@pytest.mark.parametrize("name", NOT_YET)
def test_a_lesson_that_keeps_the_new_rules_leaves_the_list(name):
    lesson = Lesson(name, (ROOT / "notebooks" / name).read_text(encoding="utf-8"))
    assert any(problem for rule in NEW_RULES for problem in rule(lesson)), f"{name}: take it off NOT_YET"


# ------------------------------------------------------------------------------------------------ the rules can fail


def good_notebook():
    """A lesson that breaks no rule except the one on the README."""
    v4 = nbformat.v4
    png = v4.new_output("display_data", {"image/png": "aGVsbG8="}, metadata={"image/png": {"alt": "A line."}})
    colab = v4.new_code_cell(COLAB_CELL.strip(), metadata={"tags": ["colab"]}, execution_count=1)
    cells = [v4.new_markdown_cell(f"# Good\n\n{BADGE.format(name='good.ipynb')}\n\nIt takes 1 minute."), colab]
    cells += [v4.new_markdown_cell(f"## {section}\n\n```\n# a comment, no heading\n```") for section in SECTIONS]
    line = [v4.new_output("stream", text="TensorFlow 2.21.0\n")]
    cells.append(v4.new_code_cell("from rnnkit import course\n\ncourse.setup(seed=1)", outputs=line, execution_count=2))
    cells.append(v4.new_code_cell("plt.show()", outputs=[png], execution_count=3))
    cells.append(v4.new_code_cell("model.fit(x, y, epochs=2, validation_data=(u, v))", execution_count=4))
    return v4.new_notebook(cells=cells, metadata=copy.deepcopy(METADATA))


def problems_of(rule, notebook):
    text = nbformat.v4.writes(notebook) + "\n"
    return list(rule(Lesson("good.ipynb", text)))


@pytest.mark.parametrize("rule", [rule for rule in RULES + NEW_RULES if rule is not is_in_readme])
def test_rule_passes_a_good_notebook(rule):
    assert problems_of(rule, good_notebook()) == []


def test_canonical_form_is_required():
    text = nbformat.v4.writes(good_notebook())
    assert list(is_canonical(Lesson("good.ipynb", text + "\n"))) == []
    assert list(is_canonical(Lesson("good.ipynb", text)))
    assert list(is_canonical(Lesson("good.ipynb", text.replace("\n ", "\n  ") + "\n")))


def test_lesson_outside_the_readme_is_found():
    assert problems_of(is_in_readme, good_notebook())


def code(source, **metadata):
    """A change that replaces the last code cell."""

    def change(notebook):
        notebook.cells[-1].update(source=source, metadata=metadata)

    return change


def output(kind, *arguments, **values):
    """A change that adds an output to the last code cell."""

    def change(notebook):
        notebook.cells[-1].outputs.append(nbformat.v4.new_output(kind, *arguments, **values))

    return change


def replaced(index, old, new):
    """A change of one cell's text."""

    def change(notebook):
        assert old in notebook.cells[index].source
        notebook.cells[index].source = notebook.cells[index].source.replace(old, new)

    return change


@pytest.mark.parametrize(
    "rule, change",
    [
        (is_valid, lambda notebook: notebook.update(nbformat_minor=4)),
        (is_valid, lambda notebook: notebook.cells[1].update(id=notebook.cells[0].id)),
        (is_valid, lambda notebook: notebook.cells[1].pop("id")),
        (is_valid, lambda notebook: notebook.cells[1].update(color="red")),
        (has_clean_metadata, lambda notebook: notebook.metadata.kernelspec.update(name="my-kernel")),
        (has_clean_metadata, lambda notebook: notebook.metadata.language_info.update(version="3.11.7")),
        (has_clean_metadata, lambda notebook: notebook.cells[-1].metadata.update(execution={"start": 1})),
        (is_executed_in_order, lambda notebook: notebook.cells[-1].update(execution_count=5)),
        (is_executed_in_order, lambda notebook: notebook.cells[-1].update(execution_count=None)),
        (has_clean_outputs, output("error", ename="ValueError", evalue="", traceback=[])),
        (has_clean_outputs, output("stream", name="stderr", text="W0000 a log line\n")),
        (names_no_machine, output("stream", text="saved /home/ann/model.keras\n")),
        (names_no_machine, output("execute_result", {"text/plain": "'/tmp/x'"})),
        (is_small, output("stream", text="x" * LARGEST)),
        (has_title_badge_and_minutes, replaced(0, "# Good", "Good")),
        (has_title_badge_and_minutes, replaced(0, "good.ipynb", "other.ipynb")),
        (has_title_badge_and_minutes, replaced(0, "1 minute", "a while")),
        (has_title_badge_and_minutes, replaced(3, "## ", "# ")),
        (has_colab_cell, replaced(1, REPOSITORY, "somebody/else")),
        (has_colab_cell, lambda notebook: notebook.cells[1].update(metadata={})),
        (starts_quietly, replaced(-3, "course.setup", "import keras\n\ncourse.setup")),
        (has_sections_in_order, lambda notebook: notebook.cells.insert(3, notebook.cells.pop(5))),
        (has_sections_in_order, replaced(4, "## ", "### ")),
        (has_short_cells, code("x = 1\n" * (LONGEST + 1))),
        (has_short_cells, code("")),
        (
            has_short_cells,
            lambda notebook: [cell.update(source="x = 1\n" * (MEDIAN + 1)) for cell in notebook.cells[-3:]],
        ),
        (is_plain_python, code("%timeit f()")),
        (is_plain_python, code("!ls")),
        (is_plain_python, code("plt.plot(x);")),
        (has_no_star_import, code("from numpy import *")),
        (uses_keras_itself, code("model = tf.keras.Sequential()")),
        (validates_while_it_trains, code("model.fit(x, y, epochs=2)")),
        (describes_its_pictures, output("display_data", {"image/png": "aGVsbG8="})),
        (has_clean_metadata, code("assert x", tags=["hide-input"])),
        (has_clean_metadata, code("assert x", **HIDDEN)),
        (shows_its_numbers, replaced(4, "```", "It is right on 83 %.\n\n```")),
        (hides_what_only_asserts, code("assert x == 1\n\nassert y")),
        (has_short_lines, code(f"x = '{'x' * WIDEST}'")),
    ],
)
def test_rule_finds(rule, change):
    notebook = good_notebook()
    change(notebook)
    assert problems_of(rule, notebook)


@pytest.mark.parametrize("rule", [has_clean_metadata, hides_what_only_asserts])
def test_a_cell_of_asserts_may_be_hidden(rule):
    notebook = good_notebook()
    code("assert x == 1", tags=["hide-input"], **HIDDEN)(notebook)
    assert problems_of(rule, notebook) == []


def test_training_without_validation_data_can_be_declared():
    notebook = good_notebook()
    code("vectors.fit(documents, epochs=2)", tags=["no-validation"])(notebook)
    assert problems_of(validates_while_it_trains, notebook) == []

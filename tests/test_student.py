"""The students' copies: tasks instead of solutions, and nothing that gives the solutions away."""

import contextlib
import importlib.util
import io
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parent.parent
LESSONS = sorted((ROOT / "notebooks").glob("*.ipynb"))
TEXT = "Some words.\n\n5. Write `double(x)`: it returns\n   twice $x$. It is easy."
EXERCISE = "def double(x):\n    ### BEGIN SOLUTION\n    return 2 * x\n    ### END SOLUTION"


specification = importlib.util.spec_from_file_location("student", ROOT / "tools" / "student.py")
student = importlib.util.module_from_spec(specification)
specification.loader.exec_module(student)


def run(*arguments):
    """Runs the tool in this process; returns its exit status and what it wrote to stderr."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()) as errors:
        status = student.main(list(map(str, arguments)))
    return status, errors.getvalue()


def copied(folder, *cells):
    """Runs the tool on a notebook of (kind, source, tags); returns status, errors, and the copy's cells or `None`."""
    new = {"text": nbformat.v4.new_markdown_cell, "code": nbformat.v4.new_code_cell}
    notebook = nbformat.v4.new_notebook(
        cells=[new[kind](source, metadata={"tags": tags}) for kind, source, tags in cells]
    )
    for number, cell in enumerate(notebook.cells, 1):
        if cell.cell_type == "code":
            cell.execution_count = number
            cell.outputs = [nbformat.v4.new_output("stream", text="42\n")]
    nbformat.write(notebook, folder / "lesson.ipynb")
    status, errors = run(folder / "lesson.ipynb", "--output", folder / "out")
    path = folder / "out" / "lesson.ipynb"
    return status, errors, nbformat.read(path, as_version=4).cells if path.exists() else None


@pytest.fixture(scope="module")
def copies(tmp_path_factory):
    """All lessons, copied by the command and once more in this process."""
    folders = [tmp_path_factory.mktemp("student") for _ in range(2)]
    command = [sys.executable, ROOT / "tools" / "student.py", "--output", folders[0]]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert run("--output", folders[1]) == (0, "")
    return folders


@pytest.mark.parametrize("lesson", [path.name for path in LESSONS])
def test_a_lesson_has_tasks_and_no_answers(copies, lesson):
    once, again = [(folder / lesson).read_bytes() for folder in copies]
    assert once == again
    assert once == (ROOT / "student" / lesson).read_bytes(), "student/ has another copy: run make student"
    copy, original = (
        nbformat.reads(once.decode(), as_version=4),
        nbformat.read(ROOT / "notebooks" / lesson, as_version=4),
    )
    nbformat.validate(copy)
    assert all(not cell.get("outputs") and cell.get("execution_count") is None for cell in copy.cells)
    assert len(copy.cells) == len(original.cells)
    exercises = [
        pair for pair in zip(original.cells, copy.cells, strict=True) if "exercise" in pair[0].metadata.get("tags", [])
    ]
    assert exercises, "no exercise"
    for before, after in exercises:
        answer = re.search(r"### BEGIN SOLUTION\n(.*?)\n\s*### END SOLUTION", before.source, re.DOTALL)[1]
        assert not any(answer in cell.source for cell in copy.cells)
        names = {}
        exec(after.source, names)
        name = re.match(r"(?:def|class) (\w+)", after.source)[1]
        count = names[name].__code__.co_argcount
        with pytest.raises(NotImplementedError, match=rf"^Write `{name}\(.{{20,}}"):
            names[name](*range(count))


def test_the_folder_of_the_badges_has_the_lessons_and_nothing_else():
    assert sorted(path.name for path in (ROOT / "student").iterdir()) == [path.name for path in LESSONS]


def test_stubs_hidden_parts_outputs_and_the_badge(tmp_path):
    hidden = "assert double(1) == 2\n### BEGIN HIDDEN TESTS\nassert double(-3) == -6\n### END HIDDEN TESTS"
    badge = "# Title\n\n[![Open In Colab](https://example.org/badge.svg)](https://example.org)\n\nWords."
    status, errors, cells = copied(
        tmp_path,
        ("text", badge, []),
        ("text", TEXT, []),
        ("code", EXERCISE, ["exercise"]),
        ("code", hidden, []),
        ("code", "assert double(7) == 14", ["hidden"]),
    )
    assert status == 0, errors
    sources = [cell.source for cell in cells]
    assert sources[0] == "# Title\n\nWords."
    assert sources[2:] == [
        "def double(x):\n    raise NotImplementedError('Write `double(x)`: it returns twice $x$.')",
        "assert double(1) == 2",
    ]
    assert not any(cell.get("outputs") for cell in cells)


@pytest.mark.parametrize(
    ("text", "source", "tags", "message"),
    [
        ("Do it.", EXERCISE, ["exercise"], "expected a text before the cell that says 'Write `double(...)`: ...'"),
        (TEXT, EXERCISE, [], "expected a solution between its marks in cells tagged exercise, and only there"),
        (TEXT, "def double(x):\n    return 2 * x", ["exercise"], "expected a solution between its marks"),
        (TEXT, EXERCISE.replace("### END SOLUTION", ""), ["exercise"], "each BEGIN to be followed by its END"),
        (TEXT, "x = 1\n### BEGIN SOLUTION\n### END SOLUTION", ["exercise"], "inside a function or class"),
    ],
)
def test_what_is_wrong_is_reported_and_nothing_is_written(tmp_path, text, source, tags, message):
    status, errors, cells = copied(tmp_path, ("text", text, []), ("code", source, tags))
    assert status == 1 and cells is None
    assert "lesson.ipynb: cell [2]: " in errors and message in errors

"""Writes the students' copies of the lessons: tasks instead of solutions, and no outputs.

python tools/student.py             every notebook, into student/
python tools/student.py FILE ...    only these

In a cell tagged `exercise`, the lines between `### BEGIN SOLUTION` and `### END SOLUTION` become a stub that raises
`NotImplementedError` with the task, taken from the text above: the sentence that begins "Write `name(...)`". Cells
tagged `hidden`, and the lines between `### BEGIN HIDDEN TESTS` and `### END HIDDEN TESTS`, are left out, and so is the
badge: it opens the copy in Colab. The same notebook gives the same copy, byte for byte, and a test compares.
"""

import argparse
import re
import sys
import textwrap
from pathlib import Path

import nbformat

ROOT = Path(__file__).resolve().parent.parent
KEPT = ("tags", "jupyter", "cellView")  # metadata of cells: the last two hide the source of checks
MARK = re.compile(r"^([ \t]*)### (BEGIN|END) (SOLUTION|HIDDEN TESTS)[ \t]*$", re.MULTILINE)
BADGE = re.compile(r"^\[!\[Open In Colab\].*\n\n?", re.MULTILINE)


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", type=Path, default=sorted((ROOT / "notebooks").glob("*.ipynb")))
    parser.add_argument("--output", type=Path, default=ROOT / "student", help="folder of the copies")
    options = parser.parse_args(arguments)
    errors = 0
    for path in options.files:
        try:
            copy = nbformat.v4.writes(student_copy(nbformat.read(path, as_version=4))) + "\n"
        except ValueError as problem:
            print(f"{path.name}: {problem}", file=sys.stderr)
            errors += 1
            continue
        options.output.mkdir(parents=True, exist_ok=True)
        (options.output / path.name).write_text(copy, encoding="utf-8")
        print(options.output / path.name)
    return 1 if errors else 0


def student_copy(notebook):
    """Returns the notebook without solutions, hidden tests and outputs.

    Raises:
        ValueError: a mark has no partner or is in a cell without the tag, or no text states the task. The message names
            the cell.
    """
    text, cells = "", []
    for cell in notebook.cells:
        tags = cell.metadata.get("tags", [])
        if "hidden" in tags:
            continue
        if cell.cell_type == "markdown":
            text = cell.source
            cell.source = BADGE.sub("", cell.source)
        else:
            cell.source = without_answers(cell.source, text, f"cell [{cell.execution_count}]", "exercise" in tags)
            cell.outputs, cell.execution_count = [], None
        cell.metadata = {key: cell.metadata[key] for key in KEPT if key in cell.metadata}
        cells.append(cell)
    notebook.cells = cells
    return notebook


def without_answers(source, text, where, is_exercise):
    """Returns the source of a code cell with stubs instead of solutions and without hidden tests."""
    marks = list(MARK.finditer(source))
    kinds = [f"{mark[2]} {mark[3]}" for mark in marks]
    if kinds[1::2] != [kind.replace("BEGIN", "END") for kind in kinds[::2]] or any(
        "END" in kind for kind in kinds[::2]
    ):
        raise ValueError(f"{where}: expected each BEGIN to be followed by its END, received {kinds}.")
    if is_exercise != ("BEGIN SOLUTION" in kinds):
        raise ValueError(f"{where}: expected a solution between its marks in cells tagged exercise, and only there.")
    for begin, end in reversed(list(zip(marks[::2], marks[1::2], strict=True))):
        stub = ""
        if begin[3] == "SOLUTION":
            definition = re.findall(r"^(?:def|class) (\w+)", source[: begin.start()], re.MULTILINE)
            if not definition:
                raise ValueError(f"{where}: expected the solution inside a function or class.")
            stub = textwrap.indent(stub_of(task(definition[-1], text, where)), begin[1])
        source = source[: begin.start()] + stub + source[end.end() :]
    return source.strip("\n")


def task(name, text, where):
    """Returns the sentence of the text that begins with "Write `name("."""
    text = " ".join(text.split())
    begin = re.search(rf"Write `{name}\b", text)
    if begin is None:
        raise ValueError(f"{where}: expected a text before the cell that says 'Write `{name}(...)`: ...'.")
    return re.split(r"(?<=[.?]) ", text[begin.start() :])[0]


def stub_of(sentence):
    """Returns source that raises the sentence, in lines of a readable length."""
    if len(sentence) <= 80:
        return f"raise NotImplementedError({sentence!r})"
    lines = "\n".join(repr(line) for line in textwrap.wrap(sentence, 100, drop_whitespace=False))
    return f"raise NotImplementedError(\n{textwrap.indent(lines, '    ')}\n)"


if __name__ == "__main__":
    sys.exit(main())

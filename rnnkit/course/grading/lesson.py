"""The teacher's notebook: what students are to write, and the tests."""

import ast
import dataclasses
import pathlib
import re

from rnnkit.course.grading import CHECKS, notebook

SOLUTION = re.compile(r"^[ \t]*### BEGIN SOLUTION", re.MULTILINE)
HIDDEN = re.compile(
    r"^[ \t]*### BEGIN HIDDEN TESTS[ \t]*$.*?^[ \t]*### END HIDDEN TESTS[ \t]*$\n?", re.MULTILINE | re.DOTALL
)
DEFINITION = re.compile(r"^(?:def|class) (\w+)", re.MULTILINE)
DIVISION = re.compile(r"^# ?%%.*$\n?", re.MULTILINE)


@dataclasses.dataclass(frozen=True)
class Test:
    """A cell that tests an exercise: a label for people, its source, and whether it is hidden from students."""

    label: str
    source: str
    hidden: bool


@dataclasses.dataclass
class Exercise:
    """What a student is to write.

    Args:
        name: the function or class that its cell defines.
        id: id of its cell.
        source: source of its cell, with the solution.
        points: for all tests together; each gives an equal share.
        tests: list of `Test`.
        names: every name that the cell defines.
        beside: boolean, whether the tests need the student's objects themselves and must run in the student's process.
            Defaults to `False`.
    """

    name: str
    id: str
    source: str
    points: float
    tests: list[Test]
    names: list[str]
    beside: bool = False


@dataclasses.dataclass(frozen=True)
class Lesson:
    """A teacher's notebook: its name, what runs before everything else, its exercises, and modules to import once."""

    name: str
    preamble: list[str]
    exercises: list[Exercise]
    modules: list[str]


def read_lesson(path: str | pathlib.Path, hidden: str | pathlib.Path | None = None) -> Lesson:
    """Reads a teacher's notebook.

    Cells tagged `preamble` run before everything else, and so do the import statements of the other cells. A cell
    tagged `exercise` is followed by its tests: the code cells up to the next text or exercise, except those tagged
    `ungraded`. A cell that does not use what the exercise defines prepares the test after it. A test is hidden if it
    is tagged `hidden`, is between `### BEGIN HIDDEN TESTS` and `### END HIDDEN TESTS`, or comes from the folder of
    hidden tests: `hidden/LESSON/EXERCISE.py`, where `# %%` separates one test from the next. Hidden tests run last.
    The points are in the exercise's metadata, `"rnnkit": {"points": 2}`; the default is 1.

    Args:
        path: the notebook.
        hidden: folder of hidden tests. Defaults to `None`, no hidden tests from a folder.

    Returns:
        `Lesson`.

    Raises:
        ValueError: the file is not a notebook, has no exercise, or the hidden tests are for exercises that it does not
            have.
    """
    path = pathlib.Path(path)
    try:
        cells = notebook.cells(notebook.read(path))
    except ValueError as problem:
        raise ValueError(f"{path}: {problem}") from None
    exercises, preamble, current = [], [], None
    for number, cell in enumerate(cells):
        if cell.kind == "code" and not {"exercise", "preamble", "hidden"} & set(cell.tags):
            preamble += imports_of(cell.source)
        if cell.kind != "code":
            current = None
        elif "exercise" in cell.tags:
            current = _exercise(cell, f"{path.name}, cell {number}")
            exercises.append(current)
        elif "preamble" in cell.tags:
            preamble.append(cell.source)
        elif current and "ungraded" not in cell.tags:
            current.tests += tests_of(cell, len(current.tests))
    names = [exercise.name for exercise in exercises]
    if not exercises or len(set(names)) < len(names):
        raise ValueError(f"{path.name}: expected cells tagged exercise, each with a different name, received {names}")
    if hidden is not None:
        add_hidden_tests(pathlib.Path(hidden) / path.stem, exercises)
    for exercise in exercises:
        exercise.tests.sort(key=lambda test: test.hidden)  # what code learns in a hidden test is of no use in others
        exercise.tests = with_preparations(exercise)
    sources = preamble + [test.source for exercise in exercises for test in exercise.tests]
    return Lesson(path.stem, preamble, exercises, modules_of(sources + [exercise.source for exercise in exercises]))


def _exercise(cell, where):
    begin = SOLUTION.search(cell.source)
    defined = DEFINITION.findall(cell.source[: begin.start()] if begin else cell.source)
    points = cell.settings.get("points", 1)
    if cell.id is None or not defined:
        raise ValueError(f"{where}: expected an exercise with an id, whose cell defines a function or class")
    if isinstance(points, bool) or not isinstance(points, int | float) or not 0 <= points < 1e6:
        raise ValueError(f"{where}: expected points as a number, received {points!r}")
    try:
        names = names_of(cell.source)
    except SyntaxError as problem:
        raise ValueError(f"{where}: expected an exercise in plain Python, received {problem.text!r}") from None
    return Exercise(defined[-1], cell.id, cell.source, points, [], names)


def tests_of(cell, number):
    """Returns the tests in a cell: the visible part and, if there is a hidden part, the whole cell."""
    visible = HIDDEN.sub("", cell.source)
    if "hidden" in cell.tags:
        return [Test(f"hidden test {number + 1}", cell.source, True)]
    tests = [Test(f"test {number + 1}", visible, False)] if visible.strip() else []
    if visible != cell.source:
        tests.append(Test(f"hidden test {number + len(tests) + 1}", cell.source, True))
    return tests


def add_hidden_tests(folder, exercises):
    files = {path.stem: path for path in sorted(folder.glob("*.py"))}
    unknown = sorted(set(files) - {exercise.name for exercise in exercises})
    if unknown:
        raise ValueError(
            f"{folder}: expected tests of {[one.name for one in exercises]}, received tests of {unknown} as well"
        )
    for exercise in exercises:
        if exercise.name in files:
            for source in DIVISION.split(files[exercise.name].read_text(encoding="utf-8")):
                if source.strip():
                    exercise.tests.append(Test(f"hidden test {len(exercise.tests) + 1}", source, True))


def with_preparations(exercise):
    """Returns the tests, each with the cells before it that prepare it."""
    tests, before = [], []
    for test in exercise.tests:
        before.append(test.source)
        if uses(test.source, exercise):
            tests.append(dataclasses.replace(test, source="\n".join(before)))
            before = []
    return tests


def cut_off(test: Test, line: int, exercise: Exercise) -> Test | None:
    """Returns the test up to the statement on this line; `None` if what is left does not use the exercise."""
    ends = [statement.end_lineno for statement in ast.parse(test.source).body if statement.end_lineno < line]
    source = "\n".join(test.source.splitlines()[: max(ends, default=0)])
    return dataclasses.replace(test, source=source) if uses(source, exercise) else None


def uses(source, exercise):
    """Whether the source uses a name that the exercise defines."""
    try:
        nodes = ast.walk(ast.parse(source))
    except SyntaxError as problem:
        raise ValueError(f"expected tests of {exercise.name} in plain Python, received {problem.text!r}") from None
    names = {node.id for node in nodes if isinstance(node, ast.Name)}
    return not names.isdisjoint(exercise.names)


def names_of(source):
    """Returns the names that the source defines at its top level."""
    names = []
    for statement in ast.parse(source).body:
        if isinstance(statement, ast.FunctionDef | ast.ClassDef):
            names.append(statement.name)
        for target in getattr(statement, "targets", [getattr(statement, "target", None)]):
            nodes = ast.walk(target) if target else []
            names += [node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)]
    return list(dict.fromkeys(names))


def imports_of(source):
    """Returns the import statements at the top level of a cell; none if it is not plain Python."""
    try:
        statements = ast.parse(source).body
    except SyntaxError:
        return []
    return [ast.unparse(statement) for statement in statements if isinstance(statement, ast.Import | ast.ImportFrom)]


def modules_of(sources):
    """Returns the modules that the sources import at their top level, without the checks: those hold answers."""
    modules = []
    for statement in ast.walk(ast.parse("\n".join(line for source in sources for line in imports_of(source)))):
        if isinstance(statement, ast.Import):
            modules += [alias.name for alias in statement.names]
        elif isinstance(statement, ast.ImportFrom) and statement.module:
            modules += [statement.module, *(f"{statement.module}.{alias.name}" for alias in statement.names)]
    return [module for module in dict.fromkeys(modules) if not module.startswith(CHECKS)]

"""What the tests of grading share: a small lesson, submissions for it, and the command that grades them."""

import contextlib
import csv
import functools
import io
import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from rnnkit.course.grading import command

ROOT = Path(__file__).resolve().parents[2]
SECRET = "fast" + "falcon"  # is in the solution and in the hidden tests, and in no file of the project as one word

SOLUTION = f"""
def double(x):
    ### BEGIN SOLUTION
    return 2 * x  # {SECRET}
    ### END SOLUTION
"""
TESTS = [
    "assert double(3) == 6, 'three doubled is six'\nprint('right for three')",
    "np.testing.assert_allclose(double(np.array([1.0, -2.0])), [2.0, -4.0])",
    "assert double(4) == 8\n### BEGIN HIDDEN TESTS\nassert double(-5) == -10  # " + SECRET + "\n### END HIDDEN TESTS",
]
HIDDEN = f"assert double('ab') == 'abab', '{SECRET}'\n# %% of lists\nassert double([1]) == [1, 1]\n"
SQUARE = "def square(x):\n    return x * x"
SQUARE_SOLUTION = "def square(x):\n    ### BEGIN SOLUTION\n    return x * x\n    ### END SOLUTION"
RIGHT = "def double(x):\n    return x + x"
OF_DOUBLE, OF_SQUARE = 6, 1  # points: one per test


def cell(kind, source, id, tags=(), **settings):
    metadata = {"tags": list(tags)} if tags else {}
    metadata |= {"rnnkit": settings} if settings else {}
    common = {"cell_type": kind, "id": id, "metadata": metadata, "source": textwrap.dedent(source).strip("\n")}
    return common | ({"outputs": [], "execution_count": None} if kind == "code" else {})


def written(path, *cells):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": list(cells)}))
    return path


def teacher(
    folder, double=SOLUTION, tests=TESTS, preamble="", square=SQUARE_SOLUTION, square_test="assert square(7) == 49"
):
    """A lesson of two exercises, and its folder of hidden tests."""
    hidden = folder / "hidden" / "lesson" / "double.py"
    hidden.parent.mkdir(parents=True, exist_ok=True)
    hidden.write_text(HIDDEN)
    return written(
        folder / "course" / "lesson.ipynb",
        cell("code", "import numpy as np", "imports"),
        cell("code", preamble or "OFFSET = 0", "preamble", ["preamble"]),
        cell("markdown", "5. Write `double(x)`: it returns twice $x$, whatever it is.", "task-1"),
        cell("code", double, "double", ["exercise"], points=OF_DOUBLE),
        *[cell("code", source, f"test-{number}") for number, source in enumerate(tests)],
        cell("markdown", "6. Write `square(x)`: it returns $x^2$, for numbers alone.", "task-2"),
        cell("code", square, "square", ["exercise"]),
        cell("code", square_test, "test-square"),
        cell("code", "raise RuntimeError('no test')", "ungraded", ["ungraded"]),
    )


def submitted(folder, name, double, square=SQUARE):
    cells = [cell("code", double, "double"), cell("code", square, "square")]
    return written(folder / "submissions" / f"{name}.ipynb", *cells)


def grade(folder, *options, places=None):
    """Grades in this process; returns what was printed and the exit status."""
    with contextlib.redirect_stdout(io.StringIO()) as printed, contextlib.redirect_stderr(printed):
        status = command.main(arguments(folder, options, places))
    return printed.getvalue(), status


def run_command(folder, *options, python=sys.executable, **environment):
    """Runs the command in a new process; returns what it printed and its exit status."""
    result = subprocess.run(
        [python, "-m", "rnnkit.course", "grade", *arguments(folder, options)],
        capture_output=True,
        text=True,
        env=os.environ | environment,
        cwd=folder,
    )
    return result.stdout + result.stderr, result.returncode


def arguments(folder, options, places=None):
    given = [*(places or [folder / "submissions"]), "--lesson", folder / "course" / "lesson.ipynb"]
    given += ["--hidden", folder / "hidden", "--out", folder / "out", *options]
    return list(map(str, given))


def table(folder):
    """The rows of the table, by student."""
    with open(folder / "out" / "lesson" / "grades.csv", newline="") as file:
        return {row["student"]: row for row in csv.DictReader(file)}


def points(folder):
    return {student: (float(row["double"]), float(row["square"])) for student, row in table(folder).items()}


def page(folder, student):
    return (folder / "out" / "lesson" / "pages" / f"{student}.html").read_text()


def printed_in_test(folder, student):
    """What a student's code printed in the first test of `square`."""
    result = json.loads((folder / "out" / "lesson" / "results" / f"{student}.json").read_text())
    return result["exercises"][1]["tests"][0]["printed"]


def needs_namespaces():
    """Skips a test where the machine does not let its user make namespaces."""
    if "problem" in why_no_namespaces():
        pytest.skip("this machine has no namespaces for the user who tests")


@functools.cache
def why_no_namespaces():
    program = """
from rnnkit.course.grading import sandbox, server
reason = server.why_no_namespaces(sandbox.Limits())
print("problem: " + reason if reason else "none")
"""
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout


READER = """
import importlib, json, os, sys
import rnnkit

def files_below(folder):
    return [name for _, _, files in os.walk(folder, followlinks=True) for name in files if name.endswith(".py")]

def spellings(path):
    for absolute in (path, os.path.realpath(path)):
        relative = os.path.relpath(absolute)
        yield from (absolute, relative, "/proc/self/cwd/" + relative)
        for process in ("self", "thread-self", "1", str(os.getpid())):
            yield "/proc/" + process + "/root" + absolute

def square(x):
    '''Looks for the answers, by import and by every way to spell their path.'''
    imported = [name for name in sys.modules if name.startswith("rnnkit.course.checks")]
    for name in ("engine", "engine.check", "exercises", "exercises.lstm_step"):
        try:
            imported.append(importlib.import_module("rnnkit.course.checks." + name).__name__)
        except ImportError:
            pass
    seen, answers = [], []
    for package in [*rnnkit.__path__, *{packages}]:
        for spelled in spellings(package):
            if "session.py" in files_below(spelled + "/course"):
                seen.append(spelled)
            answers += files_below(spelled + "/course/checks")
            for name in ("engine/check.py", "exercises/lstm_step.py", "__init__.py"):
                try:
                    answers.append(open(spelled + "/course/checks/" + name).name)
                except OSError:
                    pass
    for top in {tops}:
        answers += [name for name in files_below(top) if name in ("lstm_step.py", "known_mistake.py")]
    print(json.dumps({"imported": imported, "seen": seen, "answers": answers}))
    return x * x
"""


def reader(packages=(), tops=()):
    """A submission that looks for the answers, in the package as it is imported, in others, and below some folders."""
    return READER.replace("{packages}", repr([*map(str, packages)])).replace("{tops}", repr([*map(str, tops)]))

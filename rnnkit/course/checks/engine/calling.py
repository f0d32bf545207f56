"""Runs what a student wrote, and says where it stopped."""

import linecache
import traceback
from collections.abc import Callable
from typing import Any

from rnnkit.course.checks.engine.mistake import Mistake


def call(name: str, function: Callable[..., Any], arguments: dict[str, Any]) -> Any:
    """Calls a student's function.

    Args:
        name: name of the exercise.
        function: the student's function.
        arguments: dictionary from name to value, in the order of the parameters. They are passed by position: the
            student's parameters may have other names.

    Returns:
        What the function returns.

    Raises:
        Mistake: it is not a function, is not written yet, or raises an exception.
    """
    if not callable(function):
        kind = type(function).__name__
        raise Mistake(f"{name}: expected the function itself, checks.{name}({name}), received {kind}.")
    try:
        return function(*arguments.values())
    except NotImplementedError as problem:
        task = f"\n  {problem}" if str(problem) else ""
        raise Mistake(
            f"{name} is not written yet. Replace `raise NotImplementedError` with your lines, run that cell, and then "
            f"this one.{task}"
        ) from None
    except Exception as problem:
        lines = [f"{name} stops{line_of(problem, function)} with", f"{type(problem).__name__}: {problem}".rstrip(": ")]
        lines += [hint for words, hint in HINTS.items() if words in str(problem)]
        raise Mistake("\n  ".join([*lines, f"It was called with {call_of(arguments)}."])) from None


HINTS = {
    "core dimension": "(In A @ B, the last axis of A must be as long as the second-to-last axis of B.)",
    "could not be broadcast": "(Shapes are compared from the last axis backwards; [:, None] adds a missing axis.)",
}


def line_of(problem, function):
    """Where in the student's code it happened: the innermost line of the file or cell that holds the function."""
    code = getattr(function, "__code__", None)
    if code is None:
        return ""
    frames = [frame for frame in traceback.extract_tb(problem.__traceback__) if frame.filename == code.co_filename]
    if not frames:
        return " before its first line,"
    number = frames[-1].lineno
    line = linecache.getline(code.co_filename, number).strip()
    return f" in line {number}, `{line}`," if line else f" in line {number}"


def call_of(arguments: dict[str, Any]) -> str:
    """Describes the arguments, with shapes instead of arrays."""
    return ", ".join(f"{key} {described(value)}" for key, value in arguments.items()) or "no arguments"


def described(value):
    """Returns what a message shows of an argument."""
    if hasattr(value, "shape"):
        return str(tuple(value.shape))
    if value is None or isinstance(value, bool | int | float | str):
        return f"= {value!r}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(described(entry) for entry in value)}]"
    return f"({type(value).__name__})"

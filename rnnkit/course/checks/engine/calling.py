"""Runs what a student wrote, and says where it stopped."""

import linecache
import traceback

from rnnkit.course.checks.engine.mistake import Mistake


def call(name, function, arguments):
    """The function's result.

    Args:
        name: of the exercise.
        function: the student's.
        arguments: dictionary from name to value, in the order of the parameters. They are handed over by position, so
            that the parameters may have other names.

    Raises:
        Mistake: the function is none, is not written yet, or raises something.
    """
    if not callable(function):
        raise Mistake(f"{name}: expected the function itself, checks.{name}({name}), got {type(function).__name__}.")
    try:
        return function(*arguments.values())
    except NotImplementedError as problem:
        task = f"\n  {problem}" if str(problem) else ""
        raise Mistake(
            f"{name} is not written yet. Put your lines in the place of `raise NotImplementedError`, run that cell, "
            f"and then this one.{task}"
        ) from None
    except Exception as problem:
        lines = [f"{name} stops{line_of(problem, function)} with", f"{type(problem).__name__}: {problem}".rstrip(": ")]
        lines += [hint for words, hint in HINTS.items() if words in str(problem)]
        raise Mistake("\n  ".join([*lines, f"It was called with {call_of(arguments)}."])) from None


HINTS = {
    "core dimension": "(In A @ B, the last axis of A is as long as the last but one of B.)",
    "could not be broadcast": "(Shapes are compared from the last axis on; [:, None] puts in an axis that is missing.)",
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


def call_of(arguments):
    """The arguments, with shapes in the place of arrays."""
    return ", ".join(f"{key} {described(value)}" for key, value in arguments.items()) or "no arguments"


def described(value):
    """What a message shows of an argument."""
    if hasattr(value, "shape"):
        return str(tuple(value.shape))
    if value is None or isinstance(value, bool | int | float | str):
        return f"= {value!r}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(described(entry) for entry in value)}]"
    return f"({type(value).__name__})"

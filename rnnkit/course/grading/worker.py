"""The untrusted process: it runs a student's cells and answers the judge's questions, with data only.

The judge does not rely on anything here: the student's code may change all of it. That code can make answers wrong or
end the process, which costs points; it finds neither the tests nor what they expect.
"""

import builtins
import contextlib
import io
import json
import linecache
import socket
import sys
import traceback
from collections.abc import Sequence
from typing import Any

import numpy as np

from rnnkit.course.grading import wire
from rnnkit.course.grading.remote_proxy import Objects, unpickled

MOST_PRINTED = 10_000


def answer(stream: socket.socket) -> None:
    """Serves the judge until it hangs up.

    A question is a pickled tuple: the name of a method of `Answers`, and its arguments. The reply is a JSON dictionary.
    """
    printed = Printed()
    sys.stdin, sys.stdout, sys.stderr = io.StringIO(), printed, printed
    answers = Answers(stream)
    while True:
        try:
            message = wire.receive(stream)
        except EOFError:
            return
        try:
            kind, *arguments = unpickled(message, answers.objects, answers.ask)
            reply = getattr(answers, kind)(*arguments)
        except BaseException as problem:  # sys.exit() too
            kinds = [kind.__name__ for kind in type(problem).__mro__]
            reply = {"error": kinds, "message": str(problem)[:2000], "frames": frames_of(problem)}
        wire.send(stream, json.dumps({**reply, "printed": printed.taken()}).encode())


class Answers:
    """The questions that the judge may ask."""

    def __init__(self, stream: socket.socket):
        self.stream, self.objects, self.names = stream, Objects(), {"__name__": "__main__"}

    def run(self, source: str, label: str) -> dict[str, Any]:
        """Runs a cell."""
        linecache.cache[label] = (len(source), None, source.splitlines(keepends=True), label)
        exec(compile(source, label, "exec"), self.names)
        return {}

    def get(self, wanted: list[str]) -> dict[str, Any]:
        """Returns the values of those names that are defined."""
        return self.value({name: self.names[name] for name in wanted if name in self.names})

    def call(self, number: int, message: bytes) -> dict[str, Any]:
        """Calls an object with pickled arguments and keywords; reports, too, whether arrays among them changed."""
        arguments, keywords = unpickled(message, self.objects, self.ask)
        reply = self.value(self.objects.call(number, arguments, keywords))
        before = arrays_in(unpickled(message, self.objects, self.ask))
        after = arrays_in([arguments, keywords])
        changed = len(before) != len(after) or not all(map(same, before, after))
        return reply | {"changed": changed}

    def attribute(self, number: int, name: str) -> dict[str, Any]:
        """Returns a public attribute of an object."""
        return self.value(self.objects.attribute(number, name))

    def iterate(self, number: int) -> dict[str, Any]:
        """Starts to iterate over an object."""
        return self.value(self.objects.iterate(number))

    def following(self, number: int) -> dict[str, Any]:
        """Returns the next value of an iterator, in a list; an empty list at the end."""
        return self.value(self.objects.following(number))

    def value(self, value: Any) -> dict[str, Any]:
        """Returns the reply that holds a value."""
        return {"value": wire.encoded(value, self.objects.keep)}

    def ask(self, kind: str, number: int, *arguments: Any) -> Any:
        """Has the judge use an object of the tests."""
        content = wire.encoded([number, *arguments], self.objects.keep)
        wire.send(self.stream, json.dumps({"asks": kind, "arguments": content}).encode())
        kinds, value = unpickled(wire.receive(self.stream), self.objects, self.ask)
        if kinds:
            raise as_exception(kinds, value)
        return value


def as_exception(kinds: Sequence[str], message: str) -> Exception:
    """Returns an exception of the first of these kinds that Python itself has and that takes only a message."""
    for name in kinds:
        kind = getattr(builtins, name, None)
        if isinstance(kind, type) and issubclass(kind, Exception) and kind is not Exception:
            with contextlib.suppress(TypeError):  # UnicodeDecodeError has more arguments
                return kind(message)
    return RuntimeError(f"{kinds[0]}: {message}")


def arrays_in(value):
    """Lists all arrays in nested lists, tuples and dictionaries."""
    if isinstance(value, np.ndarray):
        return [value]
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else []
    return [array for part in parts for array in arrays_in(part)]


def same(before, after):
    return np.array_equal(before, after, equal_nan=before.dtype.kind in "fc")


def frames_of(problem):
    """Lists where it happened in the student's cells, and in tests beside them: label, line and its text."""
    frames = traceback.extract_tb(problem.__traceback__)
    return [[frame.filename, frame.lineno, frame.line] for frame in frames if frame.filename.startswith("<")][-5:]


class Printed(io.TextIOBase):
    """Keeps the beginning of what is printed, and forgets the rest."""

    def __init__(self):
        self.text = ""

    def writable(self):
        return True

    def write(self, text):
        self.text += text[: MOST_PRINTED - len(self.text)]
        return len(text)

    def taken(self):
        text, self.text = self.text, ""
        return text

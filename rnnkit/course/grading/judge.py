"""The trusted process: it runs the tests of one exercise, while the student's code runs in another process.

In the tests, the names that the exercise defines stand for what the student defined in that process. A call sends its
arguments there, and receives data (see `wire`), which the test compares here. The student's code sees neither the tests
nor what they expect, and cannot change how they compare. All it can do is return something.

Tests that need the student's object itself, such as a layer to train, cannot run this way. They run `beside` the
student's code, in its process, and a submission that sets out to deceive them can.
"""

import contextlib
import io
import json
import linecache
import os
import signal
import socket
import time
import traceback
from collections.abc import Iterable
from typing import Any

from rnnkit.course.grading import CHECKS, sandbox, wire, worker
from rnnkit.course.grading.remote_proxy import Objects, pickled

MOST_SHOWN = 4000  # characters of one message
TIME_IS_UP = "The time is up. Is there an endless loop?"


def judge(stream: socket.socket, limits: sandbox.Limits, namespaces: bool, beside: bool, hidden: Iterable[str]) -> None:
    """Starts the student's process, reads a job, and writes a report.

    Args:
        stream: socket to the client. It is read only after the student's process was made, which knows nothing of it.
        limits: `sandbox.Limits`.
        namespaces: boolean, whether this process is confined.
        beside: boolean, whether the tests run in the student's process.
        hidden: folders that the student's process must not see.
    """
    try:
        supervisor, ours = sandbox.start(worker.answer, limits, namespaces, [] if beside else hidden)
    except OSError as problem:
        wire.send(stream, json.dumps({"problem": str(problem)}).encode())
        return
    sandbox.limit_memory(2 * limits.memory)  # what a submission returns could make a test take a lot
    wire.send(stream, json.dumps({"process": os.getpid()}).encode())
    job = json.loads(wire.receive(stream))
    student = Student(ours, supervisor, limits)
    begin = time.monotonic()
    signal.signal(signal.SIGALRM, time_is_up)
    signal.setitimer(signal.ITIMER_REAL, job["seconds"])
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        report = judged(job, student, beside)
    signal.setitimer(signal.ITIMER_REAL, 0)
    student.end()
    wire.send(stream, json.dumps({**report, "seconds": time.monotonic() - begin}).encode())


def judged(job: dict[str, Any], student: "Student", beside: bool) -> dict[str, Any]:
    """Runs a job.

    Args:
        job: dictionary of `preamble` and `cells`, lists of (label, source) to run in the student's process, the last of
            which is judged; `names`, which those cells define, the exercise's own name last; `tests`, a list of
            (label, source); `seconds`.
        student: `Student`.
        beside: boolean, whether the tests run in the student's process.

    Returns:
        Dictionary of `error`, why the student's cell did not run, or None; `printed` by it; `results`, a list of
        dictionaries, for each test until one ended the student's process; `over`, whether the time is up.
    """
    report = {"error": None, "printed": "", "results": [], "over": False}
    names = {"__name__": "__main__"}
    try:
        for label, source in job["preamble"]:
            try:
                student.ask("run", source, label)
            except ModuleNotFoundError as problem:
                if CHECKS not in str(problem):  # these are hidden from it
                    raise
            execute(source, label, names)
        for label, source in job["cells"]:
            student.printed = ""
            student.ask("run", source, label)
        report["printed"] = student.printed
        if not beside:
            defined = student.ask("get", job["names"])
            names |= {name: value for name, value in dict(defined).items() if name in job["names"]}
            if job["names"][-1] not in defined:
                raise NameError(f"the cell does not define `{job['names'][-1]}`")
    except Exception as problem:
        report |= {"error": in_words(problem, student), "printed": student.printed}
        return report
    except (Gone, TimeUp) as problem:
        return report | {"error": str(problem), "over": isinstance(problem, TimeUp)}
    for label, source in job["tests"]:
        result = {"passed": False, "message": "", "printed": ""}
        report["results"].append(result)
        student.printed, student.frames, student.changed = "", [], False
        try:
            with contextlib.redirect_stdout(io.StringIO()) as said:
                if beside:
                    student.ask("run", source, label)
                else:
                    execute(source, label, names)
            result |= {"passed": not student.changed, "message": said.getvalue()[:MOST_SHOWN]}
            if student.changed:
                result["message"] = (
                    "The answers are right, but a function changes its arguments. The caller may still need them: "
                    "work on a copy, and watch out for `+=`."
                )
        except Exception as problem:
            result["message"] = in_words(problem, student)
            if isinstance(problem, NameError):
                result["unknown"] = unknown_line(problem, label, student)
        except (Gone, TimeUp) as problem:
            result["message"] = str(problem)
            return report | {"over": isinstance(problem, TimeUp)}
        finally:
            result["printed"] = student.printed
    return report


def execute(source, label, names):
    linecache.cache[label] = (len(source), None, source.splitlines(keepends=True), label)
    exec(compile(source, label, "exec"), names)


def in_words(problem, student):
    """Describes, for the student, what a test raised."""
    text, places = str(problem), places_of(problem, student)
    if isinstance(problem, AssertionError):
        lines = [text or f"This is not true: {places[-1][2] if places else ''}"]
    elif isinstance(problem, SyntaxError):
        lines = [f"{type(problem).__name__}: {text}", *([problem.text.rstrip()] if problem.text else [])]
    else:
        lines = [f"{type(problem).__name__}: {text}"]
    lines += [f"line {line} of {label[1:-1]}: {code}" for label, line, code in places if label.startswith("<cell ")]
    return "\n".join(lines)[:MOST_SHOWN]


def unknown_line(problem, label, student):
    """Returns the line at which a test itself stopped; `None` if it stopped in something it called."""
    places = places_of(problem, student)
    return places[0][1] if {label} == {place[0] for place in places} else None


def places_of(problem, student):
    """Lists where it happened: label, line and its text, for each cell from the outermost to the innermost."""
    frames = traceback.extract_tb(problem.__traceback__)
    places = [(frame.filename, frame.lineno, frame.line) for frame in frames if frame.filename.startswith("<")]
    in_the_test_itself = frames[-1].filename.startswith("<")
    return places if in_the_test_itself else places + student.frames


class Student:
    """The student's process, as the judge sees it.

    Args:
        stream: socket to that process.
        supervisor: process id of its supervisor.
        limits: `sandbox.Limits`, for messages.
    """

    def __init__(self, stream: socket.socket, supervisor: int, limits: sandbox.Limits):
        self.stream, self.supervisor, self.limits = stream, supervisor, limits
        self.objects = Objects()  # of the tests, which the student's code was given
        self.printed, self.frames, self.changed = "", [], False

    def ask(self, kind: str, *arguments: Any) -> Any:
        """Asks the process a question; returns the value of its answer.

        Raises:
            TypeError: the arguments cannot be sent to another process.
            Exception: what the student's code raised, if it is one of Python's own; else RuntimeError.
            Gone: the process ended, or sent something other than an answer.
        """
        if kind == "call":
            number, *rest = arguments
            arguments = number, pickled(rest, self.objects)  # pickled, which lets the other side see if they change
        question = pickled((kind, *arguments), self.objects)
        try:
            reply = self.exchange(question)
            value = wire.decoded(reply.get("value"), self.ask, self.objects)
            self.printed += str(reply["printed"])[: worker.MOST_PRINTED - len(self.printed)]
            self.changed |= bool(reply.get("changed"))
            kinds = [str(kind)[:100] for kind in reply.get("error", [])]
            message = str(reply.get("message"))[:MOST_SHOWN]
            frames = [(str(label), int(line), str(text)[:200]) for label, line, text in reply.get("frames", [])[:5]]
        except (EOFError, ConnectionError):
            raise Gone(self.why_it_ended()) from None
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError, MemoryError) as problem:
            raise Gone(f"The process of this exercise sent something unreadable: {problem}.") from None
        if kinds:
            self.frames = frames
            raise worker.as_exception(kinds, message)
        return value

    def exchange(self, question: bytes) -> dict[str, Any]:
        """Sends a question and returns the reply. In between, the student's code may use objects that it was given."""
        wire.send(self.stream, question)
        reply = json.loads(wire.receive(self.stream))
        while "asks" in reply:
            wire.send(self.stream, self.used(reply["asks"], reply["arguments"]))
            reply = json.loads(wire.receive(self.stream))
        return reply

    def used(self, kind: str, arguments: Any) -> bytes:
        """Uses an object of the tests; returns, pickled, `None` and a value, or an exception's kinds and message."""
        try:
            if kind not in ("call", "attribute", "iterate", "following"):
                raise ValueError(f"expected something that objects can do, received {kind!r:.50}")
            value = getattr(self.objects, kind)(*wire.decoded(arguments, self.ask, self.objects))
            return pickled((None, value), self.objects)
        except Exception as problem:
            kinds = [kind.__name__ for kind in type(problem).__mro__]
            return pickled((kinds, str(problem)[:MOST_SHOWN]), self.objects)

    def why_it_ended(self) -> str:
        """Ends the process; returns a sentence on why it no longer answers."""
        if self.end():
            return f"It took more than {self.limits.memory / 2**30:.3g} GB of memory."
        return "The process of this exercise ended: by os._exit(), by a crash, or for lack of memory."

    def end(self) -> bool:
        """Ends the process; returns whether its supervisor had already ended it for its memory."""
        supervisor, self.supervisor = self.supervisor, None
        return supervisor is not None and sandbox.end(supervisor)


class Gone(BaseException):
    """The student's process has ended. Not an Exception: no test can catch it by mistake."""


class TimeUp(BaseException):
    """The time for an exercise is up."""


def time_is_up(*_):
    raise TimeUp(TIME_IS_UP)

"""The grader's end of the server: starts it, and has tests judged."""

import contextlib
import dataclasses
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys

from rnnkit.course.grading import sandbox, wire
from rnnkit.course.grading.server import BESIDE, JUDGED

KEPT = ["LANG", "LC_ALL", "LD_LIBRARY_PATH", "PATH", "KERAS_BACKEND", "ONEDNN_MAX_CPU_ISA"]
SET = {"TF_CPP_MIN_LOG_LEVEL": "2", "CUDA_VISIBLE_DEVICES": "", "HOME": "/tmp", "PYTHONDONTWRITEBYTECODE": "1"}
GRACE = 30.0  # seconds that a judge may need beyond its limit


class Server:
    """Starts a server for a lesson; a context.

    Args:
        modules: list of names, to import once.
        limits: `sandbox.Limits`.
        isolation: "auto", "namespaces" or "process".

    Raises:
        RuntimeError: namespaces are asked for, and there are none; or the server does not start.
    """

    def __init__(self, modules, limits, isolation="auto"):
        self.limits = limits
        ours, theirs = socket.socketpair()
        checks = pathlib.Path(__file__).resolve().parents[1] / "checks"
        settings = {
            "modules": modules,
            "limits": dataclasses.asdict(limits),
            "isolation": isolation,
            "hidden": [str(checks)] if checks.is_dir() else [],
        }
        clean = {name: os.environ[name] for name in KEPT if name in os.environ}
        command = [sys.executable, "-P", "-W", "ignore", "-m", "rnnkit.course.grading.server", str(theirs.fileno())]
        self._process = subprocess.Popen(
            [*command, json.dumps(settings)],
            pass_fds=[theirs.fileno()],
            env=clean | SET,
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
        theirs.close()
        self._stream = ours
        try:
            ready = json.loads(wire.receive(ours))
        except EOFError:
            self.close()
            raise RuntimeError("the server of the grading did not start") from None
        self.namespaces, self.problem = ready["namespaces"], ready["problem"]
        if not ready["ready"]:
            self.close()
            raise RuntimeError(f"no isolation by namespaces: {self.problem}")
        if not self.namespaces:
            sandbox.close_to_others()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self._stream.close()
        self._process.wait()

    def judged(self, job, beside):
        """What a judge says of a job; see `judge.judged`. Threads may call it at the same time."""
        ours, theirs = socket.socketpair()
        with ours:
            ours.settimeout(job["seconds"] + GRACE)
            with theirs, contextlib.suppress(OSError):
                socket.send_fds(self._stream, [BESIDE if beside else JUDGED], [theirs.fileno()])
            process = None
            try:
                begun = json.loads(wire.receive(ours))
                if "problem" in begun:
                    raise RuntimeError(begun["problem"])
                process = begun["process"]
                wire.send(ours, json.dumps(job).encode())
                return json.loads(wire.receive(ours))
            except (EOFError, OSError) as problem:
                self._must_live()
                if process is not None and isinstance(problem, TimeoutError):
                    with contextlib.suppress(ProcessLookupError, PermissionError):
                        os.kill(process, signal.SIGKILL)
                message = "The tests took too long, or too much memory, with what the submission returned."
                return {"error": message, "printed": "", "results": [], "over": True, "seconds": job["seconds"]}

    def _must_live(self):
        """A judge that ended with the server says nothing about the submission."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=0.5)
            raise RuntimeError("the server of the grading ended. What is graded is kept: run the same command again")

"""The grader's end of the server: starts it and has tests judged."""

import contextlib
import dataclasses
import json
import os
import signal
import site
import socket
import subprocess
import sys
from typing import Any

from rnnkit.course.grading import sandbox, wire
from rnnkit.course.grading.server import BESIDE, JUDGED

KEPT = ["LANG", "LC_ALL", "LD_LIBRARY_PATH", "PATH", "TMPDIR", "KERAS_BACKEND", "ONEDNN_MAX_CPU_ISA"]
SET = {"TF_CPP_MIN_LOG_LEVEL": "2", "CUDA_VISIBLE_DEVICES": "", "PYTHONDONTWRITEBYTECODE": "1"}
GRACE = 30.0  # seconds that a judge may take beyond its limit


class Server:
    """Starts a server for a lesson; a context manager.

    Args:
        modules: list of names, to import once.
        limits: `sandbox.Limits`.
        isolation: "auto", "namespaces" or "process". Defaults to `"auto"`.

    Raises:
        RuntimeError: namespaces are asked for, and there are none; or the server does not start.
    """

    def __init__(self, modules: list[str], limits: sandbox.Limits, isolation: str = "auto"):
        self.limits = limits
        ours, theirs = socket.socketpair()
        settings = {"modules": modules, "limits": dataclasses.asdict(limits), "isolation": isolation}
        command = [sys.executable, "-P", "-W", "ignore", "-m", "rnnkit.course.grading.server", str(theirs.fileno())]
        self._process = subprocess.Popen(
            [*command, json.dumps(settings)],
            pass_fds=[theirs.fileno()],
            env=clean_environment(),
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
            raise RuntimeError(f"the grading server did not start. Is rnnkit installed in {sys.prefix}?") from None
        self.namespaces, self.problem = ready["namespaces"], ready["problem"]
        if not ready["ready"]:
            self.close()
            raise RuntimeError(f"no isolation by namespaces: {self.problem}")
        if not self.namespaces:
            sandbox.close_to_others()

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Hangs up, and waits until the server has ended."""
        self._stream.close()
        self._process.wait()

    def judged(self, job: dict[str, Any], beside: bool) -> dict[str, Any]:
        """Returns a judge's report on a job; see `judge.judged`. Several threads may call it at the same time."""
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
                message = "The tests took too long, or too much memory, on what the submission returned."
                return {"error": message, "printed": "", "results": [], "over": True, "seconds": job["seconds"]}

    def _must_live(self):
        """Raises RuntimeError if the server has ended, too: then it was not the submission's fault."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=0.5)
            raise RuntimeError("the grading server ended. Finished grades are kept: run the same command again")


def clean_environment():
    """The server's environment variables: none that submissions should not have."""
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    user = {"PYTHONUSERBASE": site.getuserbase()} if site.ENABLE_USER_SITE else {}  # the server has another HOME
    return kept | user | SET

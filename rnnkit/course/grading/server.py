"""The process that imports once what a lesson needs, and from which the judges are forked.

`client.Server` starts it as `python -m rnnkit.course.grading.server SOCKET SETTINGS`. It has a clean environment,
leaves the whole file system behind except `sandbox.visible_folders`, and never sees a lesson or a submission: they
pass through it unread, as sockets.
"""

import contextlib
import importlib
import json
import os
import signal
import socket
import sys
import tempfile
import traceback

from rnnkit.course.grading import judge, sandbox, wire
from rnnkit.course.session import quiet_native_stderr

JUDGED, BESIDE = b"j", b"b"  # the byte that comes with a socket


def main() -> None:
    """Confines this process, imports the modules, reports to the client, and serves it until it hangs up."""
    stream, settings = socket.socket(fileno=int(sys.argv[1])), json.loads(sys.argv[2])
    limits = sandbox.Limits(**settings["limits"])
    problem = "not asked for" if settings["isolation"] == "process" else why_no_namespaces(limits)
    namespaces = problem is None
    ready = namespaces or settings["isolation"] != "namespaces"
    visible = sandbox.visible_folders()
    hidden = sandbox.folders_of_answers(visible)
    if namespaces:
        sandbox.confine(visible)
    else:
        sandbox.close_to_others()
        if unreadable := sandbox.unreadable_by_nobody():
            problem += f"; and without them root cannot grade, because the user nobody cannot read {unreadable}"
            ready = False
    with tempfile.TemporaryDirectory(prefix="rnnkit-") as home:
        os.environ["HOME"] = home
        import_quietly(settings["modules"])
        wire.send(stream, json.dumps({"namespaces": namespaces, "problem": problem, "ready": ready}).encode())
        serve(stream, limits, namespaces, hidden)


def import_quietly(modules):
    with quiet_native_stderr():
        for module in modules:
            with contextlib.suppress(Exception):  # the lesson's own import will report it
                importlib.import_module(module)


def serve(stream, limits, namespaces, hidden):
    """Forks a judge for each socket that arrives, until the other side hangs up."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # no need to wait for judges that have ended
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while True:
        kind, descriptors, _, _ = socket.recv_fds(stream, 1, 1)
        if not kind:
            return
        if os.fork() == 0:
            try:
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                sandbox.end_with_parent()
                stream.close()
                with quiet_native_stderr():
                    judge.judge(socket.socket(fileno=descriptors[0]), limits, namespaces, kind == BESIDE, hidden)
            except Exception:
                traceback.print_exc()
            finally:
                os._exit(0)
        for descriptor in descriptors:
            os.close(descriptor)


def why_no_namespaces(limits):
    """Tries to confine a separate process; returns `None` if that works, or else the reason why it does not."""
    if not sandbox.LINUX:
        return f"this system, {sys.platform}, has none"
    ours, theirs = socket.socketpair()
    if os.fork() == 0:
        try:
            sandbox.confine(sandbox.visible_folders())
            sandbox.end(sandbox.start(lambda stream: None, limits, namespaces=True)[0])
            theirs.sendall(b"well")
        except Exception as problem:
            theirs.sendall(str(problem).encode())
        finally:
            os._exit(0)
    theirs.close()
    os.wait()
    said = ours.recv(1000).decode()
    return None if said == "well" else said or "it ended without a reason"


if __name__ == "__main__":
    main()

"""The process that imports once what a lesson needs, and from which the judges are forked.

`python -m rnnkit.course.grading.server SOCKET SETTINGS` is started by `client.Server`. It has a clean environment,
leaves all of the file system but `sandbox.visible_folders` behind, and never sees a lesson or a submission: those
pass through it unread, as sockets.
"""

import contextlib
import importlib
import json
import os
import signal
import socket
import sys
import traceback

from rnnkit.course.grading import judge, sandbox, wire
from rnnkit.course.session import quiet_native_stderr

JUDGED, BESIDE = b"j", b"b"  # the byte that comes with a socket


def main():
    stream, settings = socket.socket(fileno=int(sys.argv[1])), json.loads(sys.argv[2])
    limits = sandbox.Limits(**settings["limits"])
    problem = "not asked for" if settings["isolation"] == "process" else why_no_namespaces(limits)
    namespaces = problem is None
    ready = namespaces or settings["isolation"] != "namespaces"
    if namespaces:
        sandbox.confine()
    else:
        sandbox.close_to_others()
        if not sandbox.nobody_can_read_python():
            ready, problem = False, f"{problem}; and without them root cannot grade, as nobody cannot read {sys.prefix}"
    with quiet_native_stderr():
        for module in settings["modules"]:
            with contextlib.suppress(Exception):  # the lesson's own import will say it
                importlib.import_module(module)
    wire.send(stream, json.dumps({"namespaces": namespaces, "problem": problem, "ready": ready}).encode())
    serve(stream, limits, namespaces, settings["hidden"])


def serve(stream, limits, namespaces, hidden):
    """Forks a judge for each socket that comes, until the other side hangs up."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # judges that ended need no waiting for
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
    """None where a process can be confined here; else what stands against it. It is tried, in a process of its own."""
    if not sandbox.LINUX:
        return f"this system, {sys.platform}, has none"
    ours, theirs = socket.socketpair()
    if os.fork() == 0:
        try:
            sandbox.confine()
            sandbox.end(sandbox.start(lambda stream: None, limits, namespaces=True)[0])
            theirs.sendall(b"well")
        except Exception as problem:
            theirs.sendall(str(problem).encode())
        finally:
            os._exit(0)
    theirs.close()
    os.wait()
    said = ours.recv(1000).decode()
    return None if said == "well" else said or "it ended without a word"


if __name__ == "__main__":
    main()

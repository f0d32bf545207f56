"""Holds a process that nobody trusts: what it sees, what it may use, and when it ends.

`confine` is called once, in the server: from then on it and its children see the system's and Python's folders,
read-only, and nothing else of the machine. `start` runs a function in a process of its own, behind further walls: no
network, no sight of other processes, a small folder of its own, no privileges, limits. A supervisor, its parent, ends it
when all its processes together take too much memory; killing the supervisor ends them all.

Where namespaces are not available (macOS, many containers), `start` still limits and still ends the process, but it
then runs as the user who grades, among this user's files.
"""

import contextlib
import dataclasses
import os
import pathlib
import shutil
import signal
import socket
import sys
import tempfile
import time

from rnnkit.course.grading import system_calls as calls

SYSTEM = ["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/etc/ld.so.cache", "/etc/alternatives", "/etc/fonts"]
DEVICES = ["null", "zero", "full", "random", "urandom"]
SCRATCH = "/tmp"
NOBODY = 65534
OUT_OF_MEMORY = 99  # exit status of a supervisor
BEGUN = b"+"
LINUX = sys.platform == "linux"


@dataclasses.dataclass(frozen=True)
class Limits:
    """What one process may use.

    Args:
        seconds: of the wall clock, for all tests of one exercise; kept by the judge.
        memory: bytes, beyond what the imported modules take; for each process, and for all of them together.
        disk: bytes in the folder of its own, and in one file.
    """

    seconds: float = 60.0
    memory: int = 4 << 30
    disk: int = 64 << 20

    @property
    def processes(self):
        return 64 + 8 * (os.cpu_count() or 1)  # TensorFlow starts several threads for each core


def visible_folders():
    """The folders that a submission may read: the system's, Python's, and this package."""
    package = pathlib.Path(__file__).resolve().parents[2]
    python = {sys.prefix, sys.base_prefix, str(package)}
    folders = []
    for path in [*SYSTEM, *sorted(python | set(map(os.path.realpath, python)))]:
        if os.path.exists(path) and not any(pathlib.Path(path).is_relative_to(other) for other in folders):
            folders.append(path)
    return folders


def confine():
    """Leaves this process, for good, the `visible_folders`, read-only, and no privileges.

    Raises:
        OSError: the system does not allow it.
    """
    sources = {path: os.path.realpath(path) for path in visible_folders()}
    sources |= {f"/dev/{name}": f"/dev/{name}" for name in DEVICES}
    root = os.geteuid() == 0
    if root:
        calls.unshare(calls.NEW_MOUNTS)
    else:
        enter_namespaces(calls.NEW_MOUNTS)
    calls.mount("none", "/", flags=calls.RECURSIVE | calls.PRIVATE)
    calls.mount("view", SCRATCH, "tmpfs", options="size=1m,mode=0755")
    os.mkdir(f"{SCRATCH}/old")
    calls.pivot_root(SCRATCH, f"{SCRATCH}/old")
    os.chdir("/")
    for path, source in sources.items():
        attach(f"/old{source}", path)
    attach("/old/proc", "/proc")
    os.mkdir(SCRATCH)
    calls.unmount("/old")
    os.rmdir("/old")
    for path in sources:
        calls.restrict_mounts(path, calls.READ_ONLY | calls.NO_SETUID)
    calls.restrict_mounts("/", calls.READ_ONLY, below=False)
    calls.mount("scratch", SCRATCH, "tmpfs", options="size=64m,mode=1777")  # the server's and the judges'
    if root:
        become_nobody()
        calls.process_control(calls.DUMPABLE, 1)  # without it /proc/self belongs to root


def attach(source, target):
    if os.path.isdir(source):
        os.makedirs(target, exist_ok=True)
    else:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        pathlib.Path(target).touch()
    calls.mount(source, target, flags=calls.BIND | calls.RECURSIVE)


def enter_namespaces(flags):
    """Moves this process into new namespaces, in which it is privileged and remains the same user."""
    user, group = os.geteuid(), os.getegid()
    calls.unshare(calls.NEW_USERS | flags)
    for name, text in [("setgroups", "deny"), ("uid_map", f"{user} {user} 1"), ("gid_map", f"{group} {group} 1")]:
        pathlib.Path(f"/proc/self/{name}").write_text(text)


def become_nobody():
    os.setgroups([])
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)


def nobody_can_read_python():
    """Whether submissions can run where they have no namespaces: root's then run as the user nobody."""
    if os.geteuid() != 0:
        return True
    process = os.fork()
    if not process:
        become_nobody()
        files = [os.path.realpath(sys.executable), os.__file__, __file__, os.path.join(sys.prefix, "lib")]
        os._exit(not all(os.access(file, os.R_OK) for file in files))
    return os.waitpid(process, 0)[1] == 0


def start(function, limits, namespaces, hidden=()):
    """Runs `function(stream)` in a confined process.

    Args:
        function: what to run; in its process nothing is to be trusted from then on. Its stream is a socket, the only
            file that stays open there.
        limits: `Limits`.
        namespaces: boolean, whether this process called `confine`.
        hidden: folders that the function must not see; only with namespaces.

    Returns:
        The process id of its supervisor, and the other end of the socket. Ending the supervisor ends all that it guards, and
        it ends when the function's process does.

    Raises:
        OSError: the process could not be confined, so the function was not called.
    """
    ours, theirs = socket.socketpair()
    supervisor = os.fork()
    if supervisor:
        theirs.close()
        said = ours.recv(1)
        if said == BEGUN:
            return supervisor, ours
        os.waitpid(supervisor, 0)
        raise OSError(f"a submission could not be confined: {ours.recv(1000).decode() or 'no word why'}")
    status = 1
    try:
        guard(function, theirs, limits, namespaces, hidden)
        status = 0
    except OutOfMemory:
        status = OUT_OF_MEMORY
    except OSError as problem:
        theirs.sendall(b"-" + str(problem).encode())
    finally:
        os._exit(status)


def guard(function, stream, limits, namespaces, hidden):
    """What a supervisor does: makes the walls and the process behind them, and waits for its end.

    Raises:
        OutOfMemory: it ended the process, which took too much.
        OSError: the walls could not be made.
    """
    end_with_parent()
    close_all_but(stream)
    scratch = SCRATCH
    if namespaces:
        enter_namespaces(calls.NEW_MOUNTS | calls.NEW_PROCESSES | calls.NEW_NETWORK | calls.NEW_IPC | calls.NEW_NAMES)
        pathlib.Path("/proc/self/oom_score_adj").write_text("1000")  # where memory ends, this one goes first
        calls.mount("scratch", SCRATCH, "tmpfs", options=f"size={limits.disk},nr_inodes=1000,mode=0700")
        for folder in hidden:
            calls.mount("hidden", folder, "tmpfs", flags=calls.READ_ONLY, options="size=4k")
    else:
        scratch = tempfile.mkdtemp(prefix="rnnkit-")
        if LINUX:
            calls.process_control(calls.SUBREAPER, 1)
        if os.geteuid() == 0:
            os.chown(scratch, NOBODY, NOBODY)
    process = os.fork()
    if not process:
        try:
            give_up_privileges(stream, limits, namespaces, scratch)
            stream.sendall(BEGUN)
            function(stream)
        except OSError as problem:
            stream.sendall(b"-" + str(problem).encode())
        finally:
            os._exit(0)
    watch(process, limits, namespaces, scratch)


def end(supervisor):
    """Ends a supervisor and what it guards; returns whether it had ended them itself, for their memory."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(supervisor, signal.SIGTERM)
    _, status = os.waitpid(supervisor, 0)
    return os.waitstatus_to_exitcode(status) == OUT_OF_MEMORY


def end_with_parent():
    if LINUX:
        calls.process_control(calls.PARENT_DEATH_SIGNAL, signal.SIGKILL)


def give_up_privileges(stream, limits, namespaces, scratch):
    if namespaces:
        calls.mount("proc", "/proc", "proc", flags=calls.READ_ONLY | calls.NO_SETUID | calls.NO_DEVICES)
    elif os.geteuid() == 0:
        become_nobody()
    end_with_parent()
    os.setsid()  # a signal to one's group reaches all of it, in whatever namespace
    close_all_but(stream)
    os.chdir(scratch)
    os.environ.update(HOME=scratch, TMPDIR=scratch, MPLCONFIGDIR=scratch)
    tempfile.tempdir = scratch
    limit_memory(limits.memory)
    for name, most in [
        ("RLIMIT_CPU", int(limits.seconds * (os.cpu_count() or 1)) + 1),
        ("RLIMIT_FSIZE", limits.disk),
        ("RLIMIT_NOFILE", 256),
        ("RLIMIT_CORE", 0),
        ("RLIMIT_NPROC", limits.processes + (0 if namespaces else processes_of_this_user())),
    ]:
        limit(name, most)
    if namespaces:
        calls.drop_capabilities()
    if LINUX:
        calls.deny_calls(signals_to_others=namespaces)


def close_all_but(stream):
    null = os.open(os.devnull, os.O_RDWR)
    for number in range(3):
        os.dup2(null, number)
    os.closerange(3, stream.fileno())
    os.closerange(stream.fileno() + 1, 65536)


def close_to_others():
    """Forbids other processes of the same user to look into this one, and into its children."""
    if LINUX:
        calls.process_control(calls.DUMPABLE, 0)


def limit_memory(more):
    """Allows this process so many bytes beyond those that it has."""
    if LINUX:
        limit("RLIMIT_AS", memory_of("self", "size") + more)


def limit(name, most):
    import resource  # not on Windows

    with contextlib.suppress(ValueError, OSError):  # macOS refuses some, and a hard limit may be lower already
        resource.setrlimit(getattr(resource, name), (most, most))


def watch(process, limits, namespaces, scratch):
    """Waits for the process, and ends it with all its children.

    Raises:
        OutOfMemory: they took too much memory together, and were ended for that.
    """
    usual = memory_of("self", "resident")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        while os.waitpid(process, os.WNOHANG) == (0, 0):
            if sum(max(0, memory_of(one, "resident") - usual) for one in guarded(namespaces)) > limits.memory:
                raise OutOfMemory
            time.sleep(0.05)
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if not namespaces:  # with namespaces, the end of the process has ended its children, or this one's end will
            end_children(process)
            shutil.rmtree(scratch, ignore_errors=True)


class OutOfMemory(BaseException):
    """What is guarded took too much memory."""


def guarded(namespaces):
    """The process ids of all that is guarded."""
    if namespaces:  # /proc is that of the guarded ones, once they mounted it: this process is not in it
        return [] if os.path.exists("/proc/self") else [name for name in os.listdir("/proc") if name.isdigit()]
    if not LINUX:
        return []
    found = [str(os.getpid())]
    for one in found:
        with contextlib.suppress(OSError):
            for children in pathlib.Path(f"/proc/{one}/task").glob("*/children"):
                found += children.read_text().split()
    return found[1:]


def memory_of(process, kind):
    """Bytes of memory: "size", all that is addressed, or "resident". 0 for a process that has ended."""
    try:
        pages = pathlib.Path(f"/proc/{process}/statm").read_text().split()
        return int(pages[["size", "resident"].index(kind)]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        return 0


def end_children(process):
    if not LINUX:  # then those that left the process's group stay
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process, signal.SIGKILL)
        return
    with contextlib.suppress(ChildProcessError):  # there are no more
        while True:
            for one in guarded(namespaces=False):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(one), signal.SIGKILL)
            while os.waitpid(-1, os.WNOHANG) != (0, 0):
                pass
            time.sleep(0.01)


def processes_of_this_user():
    """How many processes and threads the user has already: limits count them, too."""
    count = 0
    for process in pathlib.Path("/proc").glob("[0-9]*/task"):
        with contextlib.suppress(OSError):
            if process.stat().st_uid == os.geteuid():
                count += len(os.listdir(process))
    return count

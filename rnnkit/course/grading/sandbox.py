"""Confines a process that nobody trusts: what it sees, what it may use, and when it ends.

`confine` is called once, in the server: from then on, the server and its children see the system's and Python's
folders, read-only, and nothing else of the machine. `start` runs a function in a separate process behind further walls:
no network, no sight of other processes, a small folder to write to, no privileges, limits. A supervisor, its parent,
ends it when all its processes together take too much memory; killing the supervisor ends them all.

Where namespaces are not available (macOS, many containers), `start` still limits and ends the process, but the process
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
from collections.abc import Callable, Iterable

import rnnkit
from rnnkit.course.grading import CHECKS
from rnnkit.course.grading import system_calls as calls
from rnnkit.datasets.data_file import data_file

SYSTEM = ["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/etc/ld.so.cache", "/etc/alternatives", "/etc/fonts"]
DEVICES = ["null", "zero", "full", "random", "urandom"]
VIEW = "/proc"  # where the new root is mounted at first: a folder that every Linux has
LIBRARIES = ["python*", "lib*/python*", "local/lib*/python*"]  # where Python keeps its packages, below a prefix
INSTALLED = ["*-packages", *(f"{library}/*-packages" for library in LIBRARIES)]
NOBODY = 65534
OUT_OF_MEMORY = 99  # exit status of a supervisor
BEGUN = b"+"
LINUX = sys.platform == "linux"


@dataclasses.dataclass(frozen=True)
class Limits:
    """What one process may use.

    Args:
        seconds: wall-clock time for all tests of one exercise; the judge enforces it. Defaults to `60.0`.
        memory: bytes beyond what the imported modules take, for each process and for all of them together. Defaults to
            4 GB.
        disk: bytes in the folder that it may write to, and in one file. Defaults to 64 MB.
    """

    seconds: float = 60.0
    memory: int = 4 << 30
    disk: int = 64 << 20

    @property
    def processes(self) -> int:
        return 64 + 8 * (os.cpu_count() or 1)  # TensorFlow starts several threads per core


def visible_folders() -> list[str]:
    """Lists what a submission may read: the system's folders, Python's, this package and its data.

    Returns:
        Absolute paths, none inside another: each as it is spelled here and, if that goes through links, the real one.
    """
    package = pathlib.Path(rnnkit.__file__).parent
    python = {sys.prefix, sys.base_prefix, *(path for path in sys.path if path.endswith("-packages"))}
    spelled = {*map(os.path.abspath, python), str(package), os.path.dirname(str(data_file("sentences.txt")))}
    folders = []
    for path in [*SYSTEM, *sorted(spelled | set(map(os.path.realpath, spelled)))]:
        if os.path.exists(path) and not any(pathlib.Path(path).is_relative_to(other) for other in folders):
            folders.append(path)
    return folders


def folders_of_answers(folders: Iterable[str]) -> list[str]:
    """Lists the paths at which `rnnkit.course.checks` can be found in some folders.

    Args:
        folders: as `visible_folders` lists them.

    Returns:
        Every path of the checks of this package, and those of other copies that are installed there.
    """
    checks, found = CHECKS.replace(".", "/"), []
    ours = pathlib.Path(rnnkit.__file__).resolve().parents[1] / checks
    for folder in map(pathlib.Path, folders):
        real = folder.resolve()
        if ours.is_relative_to(real):
            found.append(folder / ours.relative_to(real))
        found.append(folder / checks)
        for pattern in INSTALLED:
            found += folder.glob(f"{pattern}/{checks}")
    return sorted({str(path) for path in found if os.path.isdir(path)})


def confine(folders: Iterable[str]) -> None:
    """Leaves this process, for good, some folders, read-only, a temporary folder, and no privileges.

    Args:
        folders: as `visible_folders` lists them.

    Raises:
        OSError: the system does not allow it.
    """
    sources = {path: os.path.realpath(path) for path in folders}
    old, scratch = unused_name("old", sources), unused_name("tmp", sources)
    sources |= {f"/dev/{name}": f"/dev/{name}" for name in DEVICES}
    root = os.geteuid() == 0
    if root:
        calls.unshare(calls.NEW_MOUNTS)
    else:
        enter_namespaces(calls.NEW_MOUNTS)
    os.umask(0o022)  # root's folders are for the user nobody, too
    calls.mount("none", "/", flags=calls.RECURSIVE | calls.PRIVATE)
    calls.mount("view", VIEW, "tmpfs", options="size=1m,mode=0755")
    os.mkdir(VIEW + old)
    calls.pivot_root(VIEW, VIEW + old)
    os.chdir("/")
    for path, source in sources.items():
        attach(old + source, path)
    attach(f"{old}/proc", "/proc")
    os.mkdir(scratch)
    calls.unmount(old)
    os.rmdir(old)
    for path in sources:
        calls.restrict_mounts(path, calls.READ_ONLY | calls.NO_SETUID)
    calls.restrict_mounts("/", calls.READ_ONLY, below=False)
    calls.mount("scratch", scratch, "tmpfs", options="size=64m,mode=1777")  # the server's and the judges'
    os.environ["TMPDIR"] = tempfile.tempdir = scratch
    if root:
        become_nobody()
        calls.process_control(calls.DUMPABLE, 1)  # without it /proc/self belongs to root


def unused_name(name, paths):
    """Returns a folder at the top of the file system, of that name or a longer one, that contains none of the paths."""
    taken = {path.split("/")[1] for path in paths}
    while name in taken:
        name += "_"
    return f"/{name}"


def attach(source, target):
    if os.path.isdir(source):
        os.makedirs(target, exist_ok=True)
    else:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        pathlib.Path(target).touch()
    calls.mount(source, target, flags=calls.BIND | calls.RECURSIVE)


def enter_namespaces(flags):
    """Moves this process into new namespaces, where it has privileges and remains the same user."""
    user, group = os.geteuid(), os.getegid()
    calls.unshare(calls.NEW_USERS | flags)
    for name, text in [("setgroups", "deny"), ("uid_map", f"{user} {user} 1"), ("gid_map", f"{group} {group} 1")]:
        pathlib.Path(f"/proc/self/{name}").write_text(text)


def become_nobody():
    os.setgroups([])
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)


def unreadable_by_nobody() -> str | None:
    """Finds what keeps submissions from running without namespaces: root's then run as the user nobody.

    Returns:
        A path that nobody cannot read and a submission needs; `None` if there is none.
    """
    if os.geteuid() != 0:
        return None
    needed = [os.path.realpath(sys.executable), os.__file__, __file__, os.path.join(sys.prefix, "lib")]
    needed.append(tempfile.gettempdir())
    process = os.fork()
    if not process:
        become_nobody()
        readable = [os.access(path, os.R_OK) for path in needed]
        os._exit([*readable, False].index(False))
    number = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    return [*needed, None][number]


def start(
    function: Callable[[socket.socket], None], limits: Limits, namespaces: bool, hidden: Iterable[str] = ()
) -> tuple[int, socket.socket]:
    """Runs `function(stream)` in a confined process.

    Args:
        function: what to run; from then on, nothing in its process is to be trusted. Its stream is a socket, the only
            file that stays open there.
        limits: `Limits`.
        namespaces: boolean, whether this process called `confine`.
        hidden: folders that the function must not see; only with namespaces. Defaults to `()`.

    Returns:
        The process id of its supervisor, and the other end of the socket. Ending the supervisor ends everything that it
        guards, and it ends when the function's process does.

    Raises:
        OSError: the process could not be confined, and the function was not called.
    """
    ours, theirs = socket.socketpair()
    supervisor = os.fork()
    if supervisor:
        theirs.close()
        said = ours.recv(1)
        if said == BEGUN:
            return supervisor, ours
        os.waitpid(supervisor, 0)
        raise OSError(f"a submission could not be confined: {ours.recv(1000).decode() or 'no reason given'}")
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
    """Does a supervisor's work: builds the walls and the process behind them, and waits for its end.

    Raises:
        OutOfMemory: it ended the process, which took too much.
        OSError: the walls could not be made.
    """
    end_with_parent()
    close_all_but(stream)
    if namespaces:
        scratch = tempfile.gettempdir()
        enter_namespaces(calls.NEW_MOUNTS | calls.NEW_PROCESSES | calls.NEW_NETWORK | calls.NEW_IPC | calls.NEW_NAMES)
        pathlib.Path("/proc/self/oom_score_adj").write_text("1000")  # the first to go when memory runs out
        calls.mount("scratch", scratch, "tmpfs", options=f"size={limits.disk},nr_inodes=1000,mode=0700")
        for folder in filter(os.path.isdir, hidden):
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


def end(supervisor: int) -> bool:
    """Ends a supervisor and what it guards; returns whether it had ended them already, for their memory."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(supervisor, signal.SIGTERM)
    _, status = os.waitpid(supervisor, 0)
    return os.waitstatus_to_exitcode(status) == OUT_OF_MEMORY


def end_with_parent() -> None:
    """Has the system end this process when its parent ends, where it can."""
    if LINUX:
        calls.process_control(calls.PARENT_DEATH_SIGNAL, signal.SIGKILL)


def give_up_privileges(stream, limits, namespaces, scratch):
    if namespaces:
        calls.mount("proc", "/proc", "proc", flags=calls.READ_ONLY | calls.NO_SETUID | calls.NO_DEVICES)
    elif os.geteuid() == 0:
        become_nobody()
    end_with_parent()
    os.setsid()  # signals to a group cross namespaces
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


def close_to_others() -> None:
    """Keeps other processes of the same user from looking into this one and its children."""
    if LINUX:
        calls.process_control(calls.DUMPABLE, 0)


def limit_memory(more: int) -> None:
    """Allows this process this many bytes beyond those that it has."""
    if LINUX:
        limit("RLIMIT_AS", memory_of("self", "size") + more)


def limit(name, most):
    import resource  # not on Windows

    with contextlib.suppress(ValueError, OSError):  # macOS refuses some, and a hard limit may be lower already
        resource.setrlimit(getattr(resource, name), (most, most))


def watch(process, limits, namespaces, scratch):
    """Waits for the process, and ends it with all its children.

    Raises:
        OutOfMemory: they took too much memory together and were ended for that.
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
    """The guarded processes took too much memory."""


def guarded(namespaces):
    """Returns the ids of all guarded processes."""
    if namespaces:  # once the guarded process has mounted its own /proc, this process is not in it
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
    """Returns bytes of memory: "size", all that is addressed, or "resident"; 0 for a process that has ended."""
    try:
        pages = pathlib.Path(f"/proc/{process}/statm").read_text().split()
        return int(pages[["size", "resident"].index(kind)]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        return 0


def end_children(process):
    if not LINUX:  # processes that left the group stay
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
    """Counts the user's other processes and threads: limits include them."""
    count = 0
    for process in pathlib.Path("/proc").glob("[0-9]*/task"):
        with contextlib.suppress(OSError):
            if process.stat().st_uid == os.geteuid():
                count += len(os.listdir(process))
    return count

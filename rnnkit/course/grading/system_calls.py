"""The few Linux system calls that Python 3.11 does not offer, and the filter that denies calls to a process."""

import ctypes
import os
import platform
import struct

NEW_MOUNTS, NEW_NAMES, NEW_IPC = 0x00020000, 0x04000000, 0x08000000
NEW_USERS, NEW_PROCESSES, NEW_NETWORK = 0x10000000, 0x20000000, 0x40000000
BIND, RECURSIVE, PRIVATE = 4096, 16384, 1 << 18
READ_ONLY, NO_SETUID, NO_DEVICES = 1, 2, 4
DETACH = 2
PARENT_DEATH_SIGNAL, DUMPABLE, FILTER, SUBREAPER, NO_NEW_PRIVILEGES = 1, 4, 22, 36, 38

NUMBERS = {  # name: (x86_64, aarch64)
    "add_key": (248, 217),
    "bpf": (321, 280),
    "clone": (56, 220),
    "clone3": (435, 435),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fsopen": (430, 430),
    "fspick": (433, 433),
    "io_uring_setup": (425, 425),
    "keyctl": (250, 219),
    "kill": (62, 129),
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    "mount": (165, 40),
    "mount_setattr": (442, 442),
    "move_mount": (429, 429),
    "mq_open": (240, 180),
    "msgget": (68, 186),
    "open_by_handle_at": (304, 265),
    "open_tree": (428, 428),
    "perf_event_open": (298, 241),
    "pidfd_send_signal": (424, 424),
    "pivot_root": (155, 41),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "ptrace": (101, 117),
    "request_key": (249, 218),
    "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240),
    "semget": (64, 190),
    "setns": (308, 268),
    "shmget": (29, 194),
    "socket": (41, 198),
    "tgkill": (234, 131),
    "tkill": (200, 130),
    "umount2": (166, 39),
    "unshare": (272, 97),
    "userfaultfd": (323, 282),
}
MACHINES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}  # column of NUMBERS, name of the machine in filters
SIGNALS = ["kill", "tgkill"]  # a process may send them to itself
DENIED = sorted(set(NUMBERS) - {"clone", "clone3", *SIGNALS})
EPERM, ENOSYS = 1, 38

_libc = ctypes.CDLL(None, use_errno=True) if os.name == "posix" else None


def unshare(flags: int) -> None:
    """Moves this process into new namespaces."""
    _checked(_libc.unshare(flags), "unshare")


def mount(source: str, target: str, kind: str = "none", flags: int = 0, options: str = "") -> None:
    """Mounts a file system, or a folder or file that is there already."""
    arguments = [os.fsencode(text) for text in (source, target, kind)]
    _checked(_libc.mount(*arguments, ctypes.c_ulong(flags), options.encode()), f"mount of {target}")


def unmount(target: str) -> None:
    """Unmounts what is mounted at a path, and all below it."""
    _checked(_libc.umount2(os.fsencode(target), DETACH), f"unmounting {target}")


def pivot_root(new: str, old: str) -> None:
    """Makes `new` the root, and moves the old root to `old`."""
    _checked(_system_call("pivot_root", os.fsencode(new), os.fsencode(old)), "pivot_root")


def restrict_mounts(target: str, attributes: int, below: bool = True) -> None:
    """Adds attributes, such as READ_ONLY, to a mount and, by default, to those below it (Linux 5.12)."""
    here, recursive = -100, 0x8000 if below else 0
    wanted = struct.pack("QQQQ", attributes, 0, 0, 0)
    _checked(
        _system_call("mount_setattr", here, os.fsencode(target), recursive, wanted, ctypes.c_size_t(len(wanted))),
        f"mount_setattr of {target}",
    )


def process_control(option: int, value: int, pointer: ctypes.Array | None = None) -> None:
    """Calls prctl."""
    zero = ctypes.c_ulong(0)
    _checked(_libc.prctl(option, ctypes.c_ulong(value), pointer if pointer is not None else zero, zero, zero), "prctl")


def drop_capabilities() -> None:
    """Gives up all privileges of this process."""
    header, none = struct.pack("Ii", 0x20080522, 0), bytes(24)
    _checked(_libc.capset(header, none), "capset")


def deny_calls(*, signals_to_others: bool) -> None:
    """Denies this process and its children, for good, what code that computes does not need.

    These are sockets, other namespaces, mounts, looking into other processes, memory that no limit counts, and a few
    calls that are known for their holes. A denied call fails with EPERM; the process continues.

    Args:
        signals_to_others: boolean; `False` denies signals to other processes, too.
    """
    column, machine = MACHINES[platform.machine()]
    number = {name: numbers[column] for name, numbers in NUMBERS.items()}
    load, equal, any_bit, at_least, give = 0x20, 0x15, 0x45, 0x35, 0x06
    deny, unknown, allow = 0x00050000 | EPERM, 0x00050000 | ENOSYS, 0x7FFF0000
    # (code, value, instructions to skip if true, if false)
    program = [(load, 4, 0, 0), (equal, machine, 1, 0), (give, deny, 0, 0), (load, 0, 0, 0)]
    if column == 0:
        program += [(at_least, 0x40000000, 0, 1), (give, deny, 0, 0)]  # x32, a second set of numbers
    for name in DENIED:
        program += [(equal, number[name], 0, 1), (give, deny, 0, 0)]
    program += [
        (equal, number["clone3"], 0, 1),
        (give, unknown, 0, 0),
    ]  # its flags are unreadable; clone is enough
    namespaces = NEW_MOUNTS | 0x02000000 | NEW_NAMES | NEW_IPC | NEW_USERS | NEW_PROCESSES | NEW_NETWORK
    program += [(equal, number["clone"], 0, 4), (load, 16, 0, 0), (any_bit, namespaces, 0, 1), (give, deny, 0, 0)]
    program += [(give, allow, 0, 0)]
    if not signals_to_others:
        for name in SIGNALS:
            program += [(equal, number[name], 0, 4), (load, 16, 0, 0), (equal, os.getpid(), 1, 0), (give, deny, 0, 0)]
            program += [(give, allow, 0, 0)]
    program += [(give, allow, 0, 0)]
    code = b"".join(struct.pack("HBBI", code, true, false, value) for code, value, true, false in program)
    instructions = ctypes.create_string_buffer(code, len(code))
    filter_ = struct.pack("HxxxxxxP", len(program), ctypes.addressof(instructions))
    process_control(NO_NEW_PRIVILEGES, 1)
    process_control(FILTER, 2, filter_)


def _system_call(name, *arguments):
    column, _ = MACHINES[platform.machine()]
    return _libc.syscall(ctypes.c_long(NUMBERS[name][column]), *arguments)


def _checked(result, what):
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, f"{what}: {os.strerror(error)}")

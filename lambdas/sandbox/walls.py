"""The walls around a grader, each raised by the process that is to be inside it. Linux only, by ctypes.

`seccomp` (`syscalls.py`) leaves no way to a network, another process or another program; `landlock` leaves
Python and its packages to be read and one folder to be written. A grader runs behind both or not at all, but
on AWS. There the function is the wall: a virtual machine of one tenant, with no permission and no network.
Lambda lets no process of a function add a seccomp filter or a namespace (https://github.com/openai/codex
issue 38779), so what it does allow is raised there, and the rest is left to that wall.

`namespaces` come on top wherever the kernel allows them: no network device at all, and a folder of an exact
size. `limits` are there always.
"""

import ctypes
import os
import resource
import stat
import struct
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

from lambdas.sandbox import syscalls

Wall = Literal["namespaces", "no_new_privileges", "landlock", "seccomp"]

MEMORY_BYTES = 2 * 1024**3
DISK_BYTES = 1024**3
_OPEN_FILES = 256
_PROCESSES = 64
"""Of the function's user, where no seccomp keeps a grader from starting any."""

_LIBC = ctypes.CDLL(None, use_errno=True)

_NEW_NAMESPACES = 0x10000000 | 0x00020000 | 0x40000000 | 0x08000000 | 0x04000000  # user mount net ipc uts
_MS_PRIVATE, _MS_REC, _MS_NOSUID, _MS_NODEV, _MS_NOEXEC, _MNT_DETACH = 1 << 18, 1 << 14, 2, 4, 8, 2
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_CHILD_SUBREAPER, _PR_SET_NO_NEW_PRIVS = 1, 4, 36, 38
_SIGKILL = 9
_CAPSET = {"x86_64": 126, "aarch64": 91}

# https://docs.kernel.org/userspace-api/landlock.html
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_WRITE_FILE, _READ_FILE, _READ_DIR, _TRUNCATE = 1 << 1, 1 << 2, 1 << 3, 1 << 14
_MAKE_DEVICES, _MAKE_SOCKET, _EXECUTE, _DEVICE_IOCTL = 1 << 6 | 1 << 11, 1 << 9, 1 << 0, 1 << 15
_ALL_OF_FILES = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1, 5: (1 << 16) - 1}
_ALL_OF_TCP, _ALL_OF_SCOPES = 0b11, 0b11

_SYSTEM = (
    *("/usr/lib", "/usr/lib64", "/usr/local/lib", "/lib", "/lib64", "/usr/share/zoneinfo", "/var/lang"),
    *("/etc/ld.so.cache", "/etc/localtime", "/dev/urandom", "/dev/zero"),
)


def enter_namespaces() -> bool:
    """A network without a device, and mounts of this process's own; False where the kernel says no."""
    user, group = os.getuid(), os.getgid()
    if _LIBC.unshare(_NEW_NAMESPACES) != 0:
        return False
    try:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
    except OSError:
        return False
    return _LIBC.mount(b"none", b"/", None, _MS_REC | _MS_PRIVATE, None) == 0


def mount_folder(folder: Path) -> bool:
    """An empty disk of `DISK_BYTES` at `folder`, seen by these namespaces alone."""
    flags, options = _MS_NOSUID | _MS_NODEV | _MS_NOEXEC, f"size={DISK_BYTES},mode=700,nr_inodes=100000"
    return _LIBC.mount(b"tmpfs", os.fsencode(folder), b"tmpfs", flags, options.encode()) == 0


def unmount_folder(folder: Path) -> None:
    _LIBC.umount2(os.fsencode(folder), _MNT_DETACH)


def hide() -> None:
    """Keep this process's memory and environment from others of its user, where the kernel lets it."""
    _LIBC.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def adopt_orphans() -> None:
    """Make processes below this one its children when they lose their parent, where the kernel lets it."""
    _LIBC.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def end_with_parent() -> None:
    _LIBC.prctl(_PR_SET_PDEATHSIG, _SIGKILL, 0, 0, 0)


def limit(seconds: float) -> None:
    """Memory, size of a file, open files, processor time; no core dump."""
    cpu = int(2 * seconds) + 2  # two processors' worth; the clock is watched from outside
    for what, most in {
        resource.RLIMIT_DATA: MEMORY_BYTES,
        resource.RLIMIT_AS: 2 * MEMORY_BYTES,  # libraries, and what threads reserve without using it
        resource.RLIMIT_FSIZE: DISK_BYTES,
        resource.RLIMIT_NOFILE: _OPEN_FILES,
        resource.RLIMIT_CPU: cpu,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_MEMLOCK: 0,
    }.items():
        _, hard = resource.getrlimit(what)
        least = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(what, (least, least))


def raise_walls(writable: Path) -> list[Wall]:
    """Confine this process, for good; those that stand."""
    raised: list[Wall] = []
    walls: list[tuple[Wall, Callable[[], None]]] = [
        ("no_new_privileges", _no_new_privileges),
        ("landlock", lambda: _landlock(writable)),
        ("seccomp", lambda: syscalls.restrict(_LIBC)),
    ]
    for name, build in walls:
        try:
            build()
        except OSError:
            continue  # the caller knows which it cannot do without
        raised.append(name)
    if "seccomp" not in raised:
        resource.setrlimit(resource.RLIMIT_NPROC, (_PROCESSES, _PROCESSES))
    return raised


def _no_new_privileges() -> None:
    """No setuid program helps from here on, and no capability is left of those that namespaces gave."""
    header, nothing = struct.pack("Ii", 0x20080522, 0), bytes(24)
    _LIBC.syscall(_CAPSET.get(os.uname().machine, -1), header, nothing)
    _checked(_LIBC.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))


def _landlock(writable: Path) -> None:
    version = _checked(_LIBC.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), 1))
    files = _ALL_OF_FILES[min(version, 5)]
    attributes = struct.pack(
        "QQQ", files, _ALL_OF_TCP if version >= 4 else 0, _ALL_OF_SCOPES if version >= 6 else 0
    )
    size = 24 if version >= 6 else 16 if version >= 4 else 8
    ruleset = _checked(_LIBC.syscall(_CREATE_RULESET, attributes[:size], ctypes.c_size_t(size), 0))
    own = files & ~(_MAKE_DEVICES | _MAKE_SOCKET | _EXECUTE | _DEVICE_IOCTL)
    for path, access in (
        *((path, _READ_FILE | _READ_DIR) for path in _readable()),
        ("/dev/null", _READ_FILE | _WRITE_FILE | _TRUNCATE),
        (str(writable), own),
    ):
        try:
            beneath = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except OSError:
            continue  # not on this machine
        if not stat.S_ISDIR(os.fstat(beneath).st_mode):
            access &= ~_READ_DIR
        rule = struct.pack("=Qi", access & files, beneath)
        try:
            _checked(_LIBC.syscall(_ADD_RULE, ruleset, 1, rule, 0))
        finally:
            os.close(beneath)
    _checked(_LIBC.syscall(_RESTRICT_SELF, ruleset, 0))
    os.close(ruleset)


def _readable() -> Iterator[str]:
    """Python, its packages, and the libraries those load."""
    yield from _SYSTEM
    for folder in {sys.prefix, sys.base_prefix, *sys.path}:
        if folder and Path(folder).name in ("site-packages", "dist-packages", "python"):
            yield folder
    for prefix in {sys.prefix, sys.base_prefix}:
        yield str(Path(prefix) / "lib")
    yield str(Path(sys.prefix) / "pyvenv.cfg")


def _checked(result: int) -> int:
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result

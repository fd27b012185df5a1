"""`python -m local.tether [--grace S] [--fd FD] -- COMMAND...`: a command that never outlives its launcher.

The launcher holds the other end of this process's stdin. However the launcher ends, `kill -9` included, the
pipe closes, and COMMAND with all that it started gets SIGTERM and, S seconds later, SIGKILL. SIGTERM
to this process is passed on to COMMAND alone, as the first process of a container gets it. The open file FD
is handed to COMMAND and not kept. Exits with COMMAND's status; 128 + n if signal n ended it, as a shell
reports it. Standard library only, Linux and macOS.
"""

import argparse
import ctypes
import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from types import FrameType

_PR_SET_PDEATHSIG = 1


def main() -> int:
    parser = argparse.ArgumentParser(prog="local.tether")
    parser.add_argument("--grace", type=float, default=5.0, help="seconds between SIGTERM and SIGKILL")
    parser.add_argument("--fd", type=int, help="an open file for COMMAND")
    parser.add_argument("command", nargs="+")
    arguments = parser.parse_args()

    # Installed before there is a command to pass a signal on to, so that none is lost. SIGINT and SIGHUP
    # reach the whole terminal: their meaning is the launcher's decision. (SIG_IGN would be inherited.)
    terminations: list[int] = []
    child: subprocess.Popen[bytes] | None = None

    def pass_on(number: int, _: FrameType | None) -> None:
        terminations.append(number)
        if child:
            child.send_signal(number)

    signal.signal(signal.SIGTERM, pass_on)
    signal.signal(signal.SIGINT, lambda *_: None)
    signal.signal(signal.SIGHUP, lambda *_: None)

    child = subprocess.Popen(  # noqa: S603 - running the command is what this program is for
        arguments.command,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=_die_with_parent,
        pass_fds=[] if arguments.fd is None else [arguments.fd],
    )
    if arguments.fd is not None:
        os.close(arguments.fd)
    if terminations:
        child.terminate()
    threading.Thread(target=_end_with_launcher, args=(child, arguments.grace), daemon=True).start()
    status = child.wait()
    _signal_group(child.pid, signal.SIGKILL)  # what the command started ends with it, as in a container
    return status if status >= 0 else 128 - status


def _end_with_launcher(child: subprocess.Popen[bytes], grace_seconds: float) -> None:
    while os.read(sys.stdin.fileno(), 4096):
        pass
    _signal_group(child.pid, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        child.wait(grace_seconds)
    _signal_group(child.pid, signal.SIGKILL)


def _signal_group(group: int, number: int) -> None:
    with suppress(ProcessLookupError, PermissionError):  # nobody left in it; macOS says EPERM of a zombie
        os.killpg(group, number)


def _die_with_parent() -> None:
    """On Linux the kernel ends the command even if this process is killed; macOS has no such call."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main())

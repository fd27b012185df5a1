"""Servers of the local loop: processes tethered to this one, an ASGI application in a thread, and ports."""

import socket
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp

from local.cache import REPOSITORY
from local.errors import LocalError

_STOP_SECONDS = 5.0


class TetheredProcess:
    """A server run from the repository until `stop`, or until this process ends however it ends.

    It gets the listening socket as `--fd`, and this process closes its own: no other process can take the
    port before the server has it, and nobody waits at a port whose server has ended.
    """

    def __init__(
        self, command: list[str], environment: Mapping[str, str], log: Path, listener: socket.socket
    ) -> None:
        fd = listener.fileno()
        tether = [sys.executable, "-m", "local.tether", "--grace", "2", "--fd", str(fd), "--"]
        with log.open("ab") as output, listener:
            self._process = subprocess.Popen(  # noqa: S603 - the commands are ours
                [*tether, *command, "--fd", str(fd)],
                cwd=REPOSITORY,
                env={**environment, "PYTHONPATH": str(REPOSITORY)},
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                start_new_session=True,
                pass_fds=[fd],
            )

    def stop(self) -> None:
        if self._process.stdin:
            self._process.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_STOP_SECONDS)
        self._process.kill()
        self._process.wait()


class ServerThread:
    """An ASGI application served on a listening socket, by a thread of this process."""

    def __init__(self, app: ASGIApp, listener: socket.socket) -> None:
        config = uvicorn.Config(
            app, lifespan="off", ws="none", log_config=None, access_log=False, timeout_graceful_shutdown=2
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=self._server.run, args=([listener],), name="front", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join()


def listen(port: int) -> socket.socket:
    """A listening socket on 127.0.0.1. Raises: LocalError if the port cannot be had."""
    # Named, or asyncio does not turn Nagle's algorithm off, which then holds every reply back for 40 ms.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
        listener.listen(128)
    except OSError as error:
        listener.close()
        raise LocalError(
            f"Port {port} cannot be used: {error.strerror}. Choose another with --port."
        ) from error
    return listener


def inherited(fd: int) -> socket.socket:
    """The listening socket that this process was started with."""
    return socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, fileno=fd)


def url(listener: socket.socket) -> str:
    return f"http://127.0.0.1:{listener.getsockname()[1]}"

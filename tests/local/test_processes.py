"""A server of the loop has its port before anybody else can take it, and gives it up when it ends."""

import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from local.errors import LocalError
from local.processes import TetheredProcess, listen, url
from tests.local import who

Server = tuple[str, TetheredProcess]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    listener = listen(0)
    where = url(listener)
    command = [sys.executable, "-m", "local.web_adapter", f"{who.__name__}:app"]
    process = TetheredProcess(command, {"PATH": os.environ["PATH"]}, tmp_path / "log", listener)
    yield where, process
    process.stop()


def test_the_port_is_taken_before_the_server_runs(server: Server) -> None:
    where, _ = server

    with pytest.raises(LocalError, match="Address already in use"):
        listen(int(where.rpartition(":")[2]))

    assert httpx.get(where, timeout=60).text.isdigit()  # it waits for the server, and is not refused


def test_nobody_waits_at_the_port_of_a_server_that_has_ended(server: Server) -> None:
    where, _ = server
    os.kill(int(httpx.get(where, timeout=60).text), signal.SIGKILL)

    while True:  # until the kernel has closed its sockets; the tether and this process have none
        try:
            httpx.get(where, timeout=5)
        except httpx.ConnectError:
            break
        except httpx.HTTPError:
            time.sleep(0.05)


def test_the_port_is_free_when_the_server_is_stopped(server: Server) -> None:
    where, process = server
    assert httpx.get(where, timeout=60).is_success

    process.stop()

    listen(int(where.rpartition(":")[2])).close()

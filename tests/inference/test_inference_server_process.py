"""The local inference server as a process of its own, as `outcrop local` starts it."""

import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

_ROOT = Path(__file__).parents[2]


def test_the_server_answers_before_a_model_is_there_and_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    port = _free_port()
    command = [
        sys.executable,
        "-m",
        "local.inference_server",
        "--port",
        str(port),
        "--models-dir",
        str(tmp_path),
    ]

    process = subprocess.Popen(command, cwd=_ROOT)
    try:
        health = _first_answer(f"http://127.0.0.1:{port}/health", process)
        models = httpx.get(f"http://127.0.0.1:{port}/v1/models").json()
    finally:
        process.send_signal(signal.SIGTERM)

    assert health == {"status": "ok"}
    assert models == {"object": "list", "data": []}
    assert process.wait(timeout=30) == 0
    assert list(tmp_path.iterdir()) == []


def _first_answer(url: str, process: subprocess.Popen[bytes]) -> object:
    while process.poll() is None:
        try:
            return httpx.get(url).json()
        except httpx.ConnectError:
            time.sleep(0.1)
    pytest.fail("the server has ended")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]

"""`python -m local.tether`: a process that ends with its launcher."""

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tests.emulator.conftest import until

ROOT = Path(__file__).parents[2]
TETHER = [sys.executable, "-m", "local.tether"]


@pytest.mark.parametrize(("command", "status"), [("exit 7", 7), ("kill -9 $$", 137), ("exit 0", 0)])
def test_the_status_is_the_commands(command: str, status: int) -> None:
    run = _popen("--", "sh", "-c", command)

    assert run.wait(30) == status


def test_sigterm_is_passed_on_to_the_command() -> None:
    run = _popen("--", "sh", "-c", "trap 'echo saved; exit 3' TERM; echo ready; while :; do sleep 0.1; done")
    assert run.stdout
    assert run.stdout.readline() == b"ready\n"

    run.terminate()

    assert run.stdout.readline() == b"saved\n"
    assert run.wait(30) == 3


def test_the_command_ends_when_stdin_closes_even_if_it_ignores_sigterm() -> None:
    run = _popen("--grace", "0.2", "--", "sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.1; done")
    assert run.stdout
    assert run.stdin
    assert run.stdout.readline() == b"ready\n"

    run.stdin.close()

    assert run.wait(30) == 137


def test_what_the_command_started_ends_with_it() -> None:
    run = _popen("--", "sh", "-c", "(sleep 60; echo outlived) & exit 0")

    assert run.stdout
    assert run.stdout.read() == b""  # the end of the pipe: nobody is left to write to it


@pytest.mark.parametrize("victim", ["launcher", "tether"])
def test_the_command_ends_when_its_launcher_or_its_tether_is_killed(tmp_path: Path, victim: str) -> None:
    if victim == "tether" and sys.platform != "linux":
        pytest.skip("only Linux ends a process with the one that started it")
    # Short sleeps: one that outlives its shell keeps the pipe open.
    script = "echo ready; i=0; while [ $i -lt 600 ]; do sleep 0.1; i=$((i + 1)); done; echo outlived"
    command = [*TETHER, "--grace", "0.2", "--", "sh", "-c", script]
    launcher = textwrap.dedent(
        f"""
        import os, pathlib, subprocess, time
        tether = subprocess.Popen({command!r}, stdin=subprocess.PIPE)
        os.close(1)
        pathlib.Path("tether").write_text(str(tether.pid))
        time.sleep(60)
        """
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    run = subprocess.Popen(
        [sys.executable, "-c", launcher], stdout=subprocess.PIPE, cwd=tmp_path, env=environment
    )
    assert run.stdout
    assert run.stdout.readline() == b"ready\n"
    until((tmp_path / "tether").exists)

    os.kill(run.pid if victim == "launcher" else int((tmp_path / "tether").read_text()), signal.SIGKILL)

    assert run.stdout.read() == b""
    run.kill()
    run.wait()


def _popen(*arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([*TETHER, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT)

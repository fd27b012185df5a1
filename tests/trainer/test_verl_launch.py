"""Two hosts of a job, as processes of this machine: Ray's head on the first, failures known to both. `ray`
and the run itself are stand-ins; the launcher and its line are the real ones."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from training_image.trainer.errors import TrainingError
from training_image.verl.cluster import Hosts, Line, Lines, hosts

FIRST, SECOND = "127.0.0.1", "127.0.0.2"
_RAY = """#!/bin/sh
echo "$@" >> "$RAY_LOG"
case "$*" in *"$RAY_FAILS"*) echo "GCS cannot be reached" >&2; exit 1;; esac
"""
_LAUNCH = """
import sys, training_image.verl.cluster as cluster, training_image.verl.launch as launch
launch.PORT = int(sys.argv[1])
launch._LOOK_SECONDS = 0.05
launch._RUN = (sys.executable, "-c", sys.argv[2])
launch.main()
"""


slow = pytest.mark.slow  # each starts two to four processes, which import torch


class Host:
    def __init__(self, folder: Path, name: str, port: int, run: str, ray_fails: str = "never") -> None:
        self.root = folder / name
        (self.root / "input/config").mkdir(parents=True)
        config = {"current_host": name, "hosts": [SECOND, FIRST]}
        (self.root / "input/config/resourceconfig.json").write_text(json.dumps(config))
        binaries = folder / "bin"
        binaries.mkdir(exist_ok=True)
        (binaries / "ray").write_text(_RAY)
        (binaries / "ray").chmod(0o755)
        self._log = self.root / "ray.log"
        environment = {
            **os.environ,
            "PATH": f"{binaries}:{os.environ['PATH']}",
            "OUTCROP_ML_ROOT": str(self.root),
            "RAY_LOG": str(self._log),
            "RAY_FAILS": ray_fails,
        }
        self.process = subprocess.Popen([sys.executable, "-c", _LAUNCH, str(port), run], env=environment)

    @property
    def ray(self) -> list[str]:
        return self._log.read_text().splitlines()

    @property
    def failure(self) -> str:
        written = self.root / "output/failure"
        return written.read_text() if written.exists() else ""

    def end(self) -> int:
        return self.process.wait(60)


@pytest.fixture
def port() -> int:
    with socket.create_server(("", 0)) as free:
        return free.getsockname()[1]


@pytest.fixture
def started() -> Iterator[list[Host]]:
    found: list[Host] = []
    yield found
    for host in found:
        host.process.kill()


def pair(
    folder: Path, port: int, started: list[Host], run: str, ray_fails: str = "never"
) -> tuple[Host, Host]:
    started += [Host(folder, name, port, run, ray_fails) for name in (FIRST, SECOND)]
    return started[0], started[1]


@slow
def test_the_first_host_runs_and_the_other_joins_and_ends_with_it(
    tmp_path: Path, port: int, started: list[Host]
) -> None:
    first, second = pair(tmp_path, port, started, "print('trained')")

    assert (first.end(), second.end()) == (0, 0)
    assert first.ray == [f"start --head --port=6379 --node-ip-address={FIRST}", "stop --force"]
    assert second.ray == [f"start --address={FIRST}:6379", "stop --force"]
    assert (first.failure, second.failure) == ("", "")


@slow
def test_a_failed_run_is_told_on_every_host(tmp_path: Path, port: int, started: list[Host]) -> None:
    run = (
        "import os, sys, pathlib; out = pathlib.Path(os.environ['OUTCROP_ML_ROOT'], 'output'); "
        "out.mkdir(); (out / 'failure').write_text('grader_failing: The grader failed.'); sys.exit(1)"
    )
    first, second = pair(tmp_path, port, started, run)

    assert (first.end(), second.end()) == (1, 1)
    assert first.failure == second.failure == "grader_failing: The grader failed."


@slow
def test_a_run_that_was_killed_says_what_to_look_at(tmp_path: Path, port: int, started: list[Host]) -> None:
    first, second = pair(tmp_path, port, started, "import os; os.kill(os.getpid(), 9)")

    assert (first.end(), second.end()) == (1, 1)
    assert "ended with -9: was the machine's memory full?" in first.failure
    assert second.failure == first.failure


@slow
def test_a_host_that_cannot_join_fails_the_job_with_rays_words(
    tmp_path: Path, port: int, started: list[Host]
) -> None:
    first, second = pair(tmp_path, port, started, "import time; time.sleep(60)", ray_fails="--address")

    assert (first.end(), second.end()) == (1, 1)
    assert "Ray did not start on this host: GCS cannot be reached" in first.failure
    assert "Ray did not start on this host: GCS cannot be reached" in second.failure


@slow
def test_a_host_that_is_lost_ends_the_run(tmp_path: Path, port: int, started: list[Host]) -> None:
    began = tmp_path / "began"
    first, second = pair(tmp_path, port, started, f"open({str(began)!r}, 'w'); import time; time.sleep(60)")
    _wait_for(began)
    second.process.kill()

    assert first.end() == 1
    assert first.failure == f"A host was lost in training: {SECOND}."


@slow
def test_a_first_host_that_is_lost_is_told_by_the_others(
    tmp_path: Path, port: int, started: list[Host]
) -> None:
    began = tmp_path / "began"
    run = f"import os, signal; open({str(began)!r}, 'w').write(str(os.getpid())); signal.pause()"
    first, second = pair(tmp_path, port, started, run)
    _wait_for(began)
    first.process.kill()

    assert second.end() == 1
    assert second.failure == f"The first host, {FIRST}, was lost."
    os.kill(int(began.read_text()), signal.SIGKILL)


@slow
def test_sigterm_reaches_the_run_which_ends_by_itself(tmp_path: Path, port: int, started: list[Host]) -> None:
    began = tmp_path / "began"
    run = (
        "import signal, sys; signal.signal(15, lambda *_: sys.exit(0)); "
        f"open({str(began)!r}, 'w').write('1'); signal.pause()"
    )
    first, second = pair(tmp_path, port, started, run)
    _wait_for(began)
    for host in (first, second):
        host.process.send_signal(signal.SIGTERM)

    assert (first.end(), second.end()) == (0, 0)
    assert first.failure == second.failure == ""


def test_hosts_that_do_not_come_are_named(port: int) -> None:
    with pytest.raises(TrainingError, match="The hosts algo-2, algo-3 have not come within 0 seconds"):
        Lines(port).wait_for(("algo-2", "algo-3"), patience=0.01)


def test_a_first_host_that_does_not_answer_is_named(port: int) -> None:
    with pytest.raises(TrainingError, match=r"127\.0\.0\.1, does not answer"):
        Line(Hosts(SECOND, (FIRST, SECOND)), port, patience=0)


def test_hosts_are_in_the_same_order_everywhere(tmp_path: Path) -> None:
    (tmp_path / "input/config").mkdir(parents=True)
    config = {"current_host": "algo-10", "hosts": ["algo-10", "algo-2", "algo-1"]}
    (tmp_path / "input/config/resourceconfig.json").write_text(json.dumps(config))

    found = hosts(tmp_path)

    assert found.all == ("algo-1", "algo-2", "algo-10")
    assert (found.first, found.is_first) == ("algo-1", False)


def _wait_for(file: Path) -> None:
    until = time.monotonic() + 60
    while not (file.exists() and file.stat().st_size >= 0):
        assert time.monotonic() < until
        time.sleep(0.05)
    time.sleep(0.3)

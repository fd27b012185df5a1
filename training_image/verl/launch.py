"""The entry point on every host of a job on several machines.

By SageMaker's `input/config/resourceconfig.json` the first host starts Ray's head, waits for the others, and
runs `training_image.verl.train`; the others join Ray and end when it does. What fails, on whichever host, is
in `output/failure` of all. SIGTERM goes to the run, which ends after its step; the other hosts wait for that.
"""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

from outcrop.settings import settings
from training_image.trainer.errors import TrainingError, write_failure
from training_image.verl.cluster import PORT, Hosts, Line, Lines, hosts

_RAY_PORT = 6379
_LOOK_SECONDS = 1.0
_RUN = (sys.executable, "-m", "training_image.verl.train")


def main() -> None:
    root = settings().ml_path
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    try:
        own = hosts(root)
        failure = _lead(own, root, stop) if own.is_first else _follow(own)
    except Exception as error:  # told on this host, too
        write_failure(error, root)
        failure = str(error) or type(error).__name__
    finally:
        subprocess.run(["ray", "stop", "--force"], check=False)  # noqa: S607
    if failure:
        if not (root / "output/failure").exists():
            write_failure(TrainingError(failure), root)
        sys.exit(1)


def _lead(own: Hosts, root: Path, stop: threading.Event) -> str:
    """What the run failed with, empty if it did not; the others are told."""
    lines, failure = Lines(PORT), "The trainer ended without a word."
    try:
        _ray("start", "--head", f"--port={_RAY_PORT}", f"--node-ip-address={_address(own)}")
        lines.wait_for(own.others)
        failure = _run(lines, root, stop)
    except Exception as error:
        failure = str(error) or type(error).__name__
        raise
    finally:
        lines.end(failure)
    return failure


def _run(lines: Lines, root: Path, stop: threading.Event) -> str:
    run = subprocess.Popen(_RUN, env={**os.environ, "RAY_ADDRESS": "auto"})  # noqa: S603
    told = False
    while run.poll() is None:
        if stop.wait(_LOOK_SECONDS) and not told:
            run.send_signal(signal.SIGTERM)
            told = True
        elif told:
            threading.Event().wait(_LOOK_SECONDS)
        if lost := lines.lost():
            run.kill()
            run.wait()
            raise TrainingError(f"A host was lost in training: {lost}.")
    if run.returncode == 0:
        return ""
    written = root / "output/failure"
    if written.exists():
        return written.read_text()
    return f"The trainer's process ended with {run.returncode}: was the machine's memory full?"


def _follow(own: Hosts) -> str:
    line = Line(own, PORT)
    try:
        _ray("start", f"--address={own.first}:{_RAY_PORT}")
    except TrainingError as error:
        line.fail(str(error))
        raise
    while (failure := line.heard(_LOOK_SECONDS)) is None:
        pass
    return failure


def _ray(*arguments: str) -> None:
    """Raises: TrainingError with Ray's last words."""
    done = subprocess.run(["ray", *arguments], capture_output=True, text=True)  # noqa: S603, S607
    print(done.stdout, done.stderr, flush=True)
    if done.returncode:
        words = (done.stderr or done.stdout).strip().splitlines()
        raise TrainingError(f"Ray did not start on this host: {words[-1] if words else done.returncode}")


def _address(own: Hosts) -> str:
    import socket

    return socket.gethostbyname(own.current)


if __name__ == "__main__":
    main()

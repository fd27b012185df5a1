"""A training container: does what its hyperparameters say, in their order, with the standard library."""

import json
import os
import signal
import sys
import time
from functools import partial
from pathlib import Path

ROOT = Path(os.environ["OUTCROP_ML_ROOT"])
THERE = {path.relative_to(ROOT).as_posix() for path in ROOT.rglob("*")}


def main() -> None:
    for what, value in json.loads((ROOT / "input/config/hyperparameters.json").read_text()).items():
        match what:
            case "write":  # a path below /opt/ml, its text after the colon
                name, _, text = value.partition(":")
                path = ROOT / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
            case "remove":
                (ROOT / value).unlink()
            case "print_environment":
                print(os.environ.get(value), flush=True)
            case "on_sigterm":  # exit with this status, or `ignore`
                leave = partial(_leave, value)
                signal.signal(signal.SIGTERM, signal.SIG_IGN if value == "ignore" else leave)
            case "sleep_unless":  # a file was there when the container started; its path, then seconds
                path, _, seconds = value.partition(" ")
                if path not in THERE:
                    time.sleep(float(seconds))
            case "sleep":
                (ROOT / "sleeps").touch()
                time.sleep(float(value))
            case "kill":
                os.kill(os.getpid(), int(value))
            case "exit":
                sys.exit(int(value))


def _leave(status: str, *_: object) -> None:
    sys.exit(int(status))


if __name__ == "__main__":
    main()

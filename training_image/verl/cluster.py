"""How the hosts of a job know of each other: a line from each to the first one, over which the first says how
the run has ended. A line that breaks is a host that is lost.

Ray's own processes tell neither: a worker that has lost its head waits for a minute, and then cannot say why.
"""

import json
import select
import socket
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from training_image.trainer.errors import TrainingError

PORT = 6400
_PATIENCE_SECONDS = 900.0
"""For the other hosts to come: SageMaker starts them together, and their downloads may differ."""


@dataclass(frozen=True)
class Hosts:
    current: str
    all: tuple[str, ...]

    @property
    def first(self) -> str:
        return self.all[0]

    @property
    def is_first(self) -> bool:
        return self.current == self.first

    @property
    def others(self) -> tuple[str, ...]:
        return self.all[1:]


def hosts(root: Path) -> Hosts:
    """As SageMaker's `resourceconfig.json` has them; their order is the same on all."""
    found = json.loads((root / "input/config/resourceconfig.json").read_bytes())
    return Hosts(found["current_host"], tuple(sorted(found["hosts"], key=_natural)))


class Lines:
    """Of the first host, to all others."""

    def __init__(self, port: int) -> None:
        self._listening = socket.create_server(("", port))
        self._lines: dict[str, socket.socket] = {}

    def wait_for(self, others: Sequence[str], patience: float = _PATIENCE_SECONDS) -> None:
        """Raises: TrainingError that names the hosts that do not come."""
        until = time.monotonic() + patience
        while missing := [one for one in others if one not in self._lines]:
            self._listening.settimeout(max(0.01, until - time.monotonic()))
            try:
                line, _ = self._listening.accept()
            except TimeoutError:
                raise TrainingError(
                    f"The hosts {', '.join(missing)} have not come within {patience:.0f} seconds: the "
                    "training job's log has their last words. In a VPC, its security group has to let them "
                    "talk."
                ) from None
            line.settimeout(10)
            self._lines[line.makefile().readline().strip()] = line

    def lost(self) -> str | None:
        """The name of a host whose line is broken, and what it said before, if there is one."""
        readable, _, _ = select.select([*self._lines.values()], [], [], 0)
        for name, line in self._lines.items():
            if line in readable:
                with suppress(OSError):
                    said = line.recv(4096).decode(errors="replace").strip()
                    return f"{name}: {said}" if said else name
                return name
        return None

    def end(self, failure: str) -> None:
        """Tell all how the run has ended: `failure` in words, empty for a success."""
        for line in self._lines.values():
            with suppress(OSError):
                line.sendall(json.dumps({"failure": failure}).encode() + b"\n")
                line.close()
        self._listening.close()


class Line:
    """Of another host, to the first."""

    def __init__(self, own: Hosts, port: int, patience: float = _PATIENCE_SECONDS) -> None:
        """Raises: TrainingError if the first host does not answer."""
        until = time.monotonic() + patience
        while True:
            try:
                self._line = socket.create_connection((own.first, port), timeout=10)
                break
            except OSError as error:
                if time.monotonic() > until:
                    raise TrainingError(f"The first host, {own.first}, does not answer: {error}.") from None
                time.sleep(0.2)
        self._line.settimeout(None)
        self._line.sendall(f"{own.current}\n".encode())
        self._first = own.first

    def fail(self, why: str) -> None:
        with suppress(OSError):
            self._line.sendall(why.encode())

    def heard(self, seconds: float) -> str | None:
        """The failure that ended the run, empty for a success; None while it goes on.

        Raises: TrainingError if the first host is lost.
        """
        if not select.select([self._line], [], [], seconds)[0]:
            return None
        said = b""
        with suppress(OSError):
            said = self._line.makefile("rb").readline()
        if not said:
            raise TrainingError(f"The first host, {self._first}, was lost.")
        return json.loads(said)["failure"]


def _natural(host: str) -> tuple[str, int]:
    """algo-2 before algo-10."""
    name, _, number = host.rpartition("-")
    return (name, int(number)) if number.isdigit() else (host, 0)

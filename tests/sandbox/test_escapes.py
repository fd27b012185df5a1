"""What a Python grader cannot do: some hundred attempts, each in its own process, none of which succeeds."""

import os
import re
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.sandbox.grading import answer, body
from tests.sandbox.programs import PROGRAMS, SLEEPERS, Ends

SECRET = "canary-5f1c"
# One cell runs them all, as it runs the completions of one grader: each gets its program with its item.
RUN_ITS_PROGRAM = """
def grade(sample, item):
    names = {}
    exec(item["program"], names)
    return names["grade"](sample, item)
"""


class Listener:
    """Sockets that a grader must not reach; `heard` is what did."""

    def __init__(self, folder: Path) -> None:
        self.heard: list[str] = []
        self.unix, self.abstract = str(folder / "socket"), f"outcrop-{os.getpid()}"
        tcp, udp = socket.create_server(("127.0.0.1", 0)), socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.port = tcp.getsockname()[1]
        udp.bind(("127.0.0.1", self.port))
        by_path, by_name = (socket.socket(socket.AF_UNIX) for _ in range(2))
        by_path.bind(self.unix)
        by_name.bind("\0" + self.abstract)
        self._sockets = [tcp, by_path, by_name, udp]
        for one in (by_path, by_name):
            one.listen()
        for one in self._sockets:
            threading.Thread(target=self._listen, args=(one,), daemon=True).start()

    def close(self) -> None:
        for one in self._sockets:
            one.close()

    def _listen(self, one: socket.socket) -> None:
        try:
            one.recvfrom(1) if one.type == socket.SOCK_DGRAM else one.accept()
        except OSError:
            return
        self.heard.append(str(one.getsockname()))


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """What there is to reach, and a check that nothing of it was."""
    folder = tmp_path_factory.mktemp("outside")
    file = folder / "secret.txt"
    file.write_text(SECRET)
    listener = Listener(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OUTCROP_CANARY", SECRET)
        patch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
        yield {
            "port": listener.port,
            "unix": listener.unix,
            "abstract": listener.abstract,
            "file": str(file),
            "folder": str(folder),
            "pid": os.getpid(),
            "listener": listener,
        }
    listener.close()


@pytest.fixture(scope="module")
def answered(outside: dict[str, Any]) -> dict[str, Any]:
    """The answer to all programs at once, and their outcomes by name."""
    reachable = {name: value for name, value in outside.items() if name != "listener"}
    items = [{**reachable, "program": body(program)} for program, _ in PROGRAMS.values()]
    before = _children()
    said = answer(RUN_ITS_PROGRAM, items)
    return {
        "walls": said["walls"],
        "outcomes": dict(zip(PROGRAMS, said["outcomes"], strict=True)),
        "left": _children() - before,
    }


def test_there_are_enough_attempts() -> None:
    assert len(PROGRAMS) + len(SLEEPERS) >= 100


@pytest.mark.parametrize("name", PROGRAMS)
def test_an_attempt_ends_as_it_must(answered: dict[str, Any], name: str) -> None:
    outcome: dict[str, Any] = answered["outcomes"][name]
    _, ends = PROGRAMS[name]

    if ends.error is None:
        assert outcome == {"reward": ends.reward}
    else:
        assert outcome.get("error") == ends.error, outcome
        assert re.search(ends.message, outcome["message"]), outcome["message"]


def test_nothing_outside_was_reached(answered: dict[str, Any], outside: dict[str, Any]) -> None:
    listener: Listener = outside["listener"]

    assert listener.heard == []
    assert Path(outside["file"]).read_text() == SECRET
    assert {path.name for path in Path(outside["folder"]).iterdir()} == {"secret.txt", "socket"}
    assert SECRET not in str(answered["outcomes"])
    assert not Path("/dev/shm/outcrop").exists()


def test_the_listener_would_have_heard(outside: dict[str, Any]) -> None:
    """The control of the tests above: from here, everything can be reached."""
    socket.create_connection(("127.0.0.1", outside["port"])).close()
    by_path = socket.socket(socket.AF_UNIX)
    by_path.connect(outside["unix"])
    by_path.close()

    while len(outside["listener"].heard) < 2:
        threading.Event().wait(0.01)
    outside["listener"].heard.clear()


def test_no_process_is_left(answered: dict[str, Any]) -> None:
    assert answered["left"] == set()


def test_every_required_wall_stood(answered: dict[str, Any]) -> None:
    assert {"no_new_privileges", "landlock", "seccomp"} <= set(answered["walls"])


def test_the_handler_still_grades(answered: dict[str, Any]) -> None:
    assert answer("def grade(sample, item): return 0.5", [{}])["outcomes"] == [{"reward": 0.5}]


def test_what_takes_too_long_is_stopped_and_the_next_is_graded() -> None:
    items = [{"program": body(program)} for program in SLEEPERS.values()]
    items.append({"program": body("return 0.5")})

    *slow, last = answer(RUN_ITS_PROGRAM, items, seconds=0.3)["outcomes"]

    for name, outcome in zip(SLEEPERS, slow, strict=True):
        assert outcome["error"] == "grader_timeout", (name, outcome)
        assert outcome["message"] == "grade() took longer than 0.3 s and was stopped."
    assert last == {"reward": 0.5}


def _children() -> set[int]:
    """Processes that this one's threads have started and that are still there."""
    return {
        int(child)
        for children in Path(f"/proc/{os.getpid()}/task").glob("*/children")
        for child in children.read_text().split()
    }


def test_ends_are_told_one_way() -> None:
    for _, ends in PROGRAMS.values():
        assert isinstance(ends, Ends) and (ends.reward is None) == (ends.error is not None)

"""Tables and buckets outlive the process that holds them, however it ends."""

import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PROGRAM = Path(__file__).with_name("state_process.py")
REPOSITORY = PROGRAM.parents[2]


@contextmanager
def a_process(folder: Path, *, count: int = 0) -> Iterator[tuple[dict[str, Any], "subprocess.Popen[str]"]]:
    """What the process found, and the process, which writes `count` rows; killed with SIGKILL at the end."""
    process = subprocess.Popen(
        [sys.executable, str(PROGRAM), str(folder), str(count)],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
    )
    assert process.stdout
    try:
        yield json.loads(process.stdout.readline()), process
    finally:
        process.kill()
        process.wait()


def until(condition: Any) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_rows_and_objects_survive_kill_9_and_replaced_objects_do_not(tmp_path: Path) -> None:
    table = tmp_path / "dynamodb" / "t.json"
    bucket = tmp_path / "s3" / "bucket"
    with a_process(tmp_path, count=3) as (_, writer):
        assert writer.stdout and writer.stdout.readline() == "written\n"
        until(lambda: table.exists() and len(json.loads(table.read_bytes())) == 3)
        before = {path.name for path in (bucket / "bodies").iterdir()}

    with a_process(tmp_path, count=3) as (found, writer):  # finds what the first wrote, and writes it again
        assert writer.stdout and writer.stdout.readline() == "written\n"
        until(lambda: len(_named(bucket) - before) == 3)
        until(lambda: {path.name for path in (bucket / "bodies").iterdir()} == _named(bucket))

    assert sorted(item["number"]["N"] for item in found["items"]) == ["0", "1", "2"]
    assert found["items"][1] == {
        "pk": {"S": "P"},
        "sk": {"S": "0001"},
        "number": {"N": "1"},
        "nested": {"M": {"list": {"L": [{"S": "x"}, {"BOOL": True}, {"NULL": True}]}}},
    }
    etag = '"' + hashlib.md5(b"body 1").hexdigest() + '"'
    assert found["objects"]["k/1"] == ["body 1", "text/plain", etag, {"n": "1"}]


def test_a_kill_amid_writes_leaves_rows_whose_objects_are_there(tmp_path: Path) -> None:
    table = tmp_path / "dynamodb" / "t.json"
    with a_process(tmp_path, count=100_000):
        until(lambda: table.exists() and len(json.loads(table.read_bytes())) > 20)

    with a_process(tmp_path) as (found, _):
        rows = [int(item["number"]["N"]) for item in found["items"]]
        assert len(rows) > 20
        assert {f"k/{number}" for number in rows} <= found["objects"].keys()
        assert all(body == f"body {key[2:]}" for key, (body, *_) in found["objects"].items())


def _named(bucket: Path) -> set[str]:
    """The bodies that the bucket's manifest names."""
    return {entry["body"] for entry in json.loads((bucket / "manifest.json").read_bytes()).values()}

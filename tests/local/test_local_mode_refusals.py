"""What keeps the local loop from starting is said before anything slow, and nothing is left running."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from local.errors import LocalError
from local.processes import listen
from local.stack import LocalStack

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def without_weights(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Past the checks these tests are about, a start ends here."""
    monkeypatch.setenv("OUTCROP_CACHE", str(tmp_path / "cache"))


def test_a_port_in_use_is_refused(tmp_path: Path) -> None:
    with listen(0) as taken:
        port = taken.getsockname()[1]

        with pytest.raises(LocalError, match=f"Port {port} cannot be used: Address already in use"):
            LocalStack(tmp_path, port, {}, ["tiny-caps"]).start()


def test_a_folder_in_use_is_refused_and_free_after_a_failed_start(tmp_path: Path) -> None:
    first = LocalStack(tmp_path, 0, {}, ["tiny-caps"])
    first._lock_folder()

    with pytest.raises(LocalError, match=f"Another outcrop uses {tmp_path}"):
        LocalStack(tmp_path, 0, {}, ["tiny-caps"]).start()

    first.stop()
    with pytest.raises(LocalError, match="no weights"):
        LocalStack(tmp_path, 0, {}, ["tiny-caps"]).start()


def test_a_grader_that_does_not_import_is_refused(tmp_path: Path) -> None:
    grader = tmp_path / "grader.py"
    grader.write_text("import no_such_module")

    with pytest.raises(LocalError, match=rf"Grader g: {grader} does not import: .*no_such_module"):
        LocalStack(tmp_path / "state", 0, {"g": (grader, None)}, ["tiny-caps"]).start()


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        ("gpt-4o", "The model 'gpt-4o' is not one that can be fine-tuned. Known: openai.gpt-oss-20b"),
        ("qwen.qwen3-32b", "It needs one GPU with at least 141 GB of memory"),
    ],
)
def test_a_model_that_cannot_run_here_is_refused(tmp_path: Path, model: str, reason: str) -> None:
    with pytest.raises(LocalError, match=reason):
        LocalStack(tmp_path, 0, {}, [model]).start()


def test_a_failed_start_frees_the_port(tmp_path: Path) -> None:
    with listen(0) as listener:
        port = listener.getsockname()[1]

    with pytest.raises(LocalError, match="no weights"):
        LocalStack(tmp_path, port, {}, ["tiny-caps"]).start()

    with socket.socket() as again:
        again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        again.bind(("127.0.0.1", port))


def outcrop_local(*arguments: str) -> "subprocess.CompletedProcess[str]":
    program = "from outcrop.cli.main import app; app()"
    command = [sys.executable, "-c", program, "local", "--model", "tiny-caps", *arguments]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=60)


def test_the_command_says_a_port_in_use_in_one_line(tmp_path: Path) -> None:
    with listen(0) as taken:
        port = taken.getsockname()[1]

        ended = outcrop_local("--port", str(port), "--state", str(tmp_path / "state"))

    assert ended.returncode == 2
    [line] = ended.stderr.splitlines()
    assert line.startswith(f"outcrop: Port {port} cannot be used: Address already in use.")


def test_the_command_says_in_one_line_why_a_grader_does_not_import(tmp_path: Path) -> None:
    grader = tmp_path / "grader.py"
    grader.write_text("import no_such_module")

    ended = outcrop_local("--port", "0", "--state", str(tmp_path / "state"), "--grader", f"g={grader}")

    assert ended.returncode == 2
    [line] = ended.stderr.splitlines()
    assert line.startswith(f"outcrop: Grader g: {grader} does not import: ")
    assert "no_such_module" in line

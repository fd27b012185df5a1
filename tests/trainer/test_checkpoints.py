"""Resume state survives crashes, full disks and bad bits: what is not whole is not used."""

from pathlib import Path

import pytest

from training_image.trainer import checkpoints


def _write(folder: Path) -> None:
    (folder / "weights").write_bytes(b"w" * 1000)
    (folder / "state.json").write_text("{}")


def _newest(root: Path) -> tuple[Path | None, list[str]]:
    passed_over: list[str] = []
    found = checkpoints.newest(root, lambda folder, problem: passed_over.append(f"{folder.name}: {problem}"))
    return found, passed_over


def test_the_newest_checkpoint_is_found_and_only_the_last_two_are_kept(tmp_path: Path) -> None:
    for step in (2, 4, 6):
        checkpoints.save(tmp_path, step, _write)

    assert _newest(tmp_path) == (tmp_path / "step-000006", [])
    assert sorted(folder.name for folder in tmp_path.iterdir()) == ["step-000004", "step-000006"]


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (lambda folder: (folder / "weights").write_bytes(b"w" * 999), "weights is not what was written"),
        (
            lambda folder: (folder / "weights").write_bytes(b"w" * 999 + b"v"),
            "weights is not what was written",
        ),
        (lambda folder: (folder / "weights").unlink(), "weights is missing"),
        (lambda folder: (folder / "manifest.json").unlink(), "it has no manifest"),
        (lambda folder: (folder / "manifest.json").write_text('{"sha'), "its manifest is not readable"),
        (lambda folder: (folder / "manifest.json").write_text("[]"), "its manifest is not readable"),
    ],
)
def test_a_damaged_checkpoint_is_passed_over_for_the_one_before(tmp_path: Path, damage, problem: str) -> None:
    checkpoints.save(tmp_path, 2, _write)
    damage(checkpoints.save(tmp_path, 4, _write))

    found, passed_over = _newest(tmp_path)

    assert found == tmp_path / "step-000002"
    assert passed_over == [f"step-000004: {problem}"]


def test_a_full_disk_leaves_the_checkpoint_before_and_nothing_else(tmp_path: Path) -> None:
    checkpoints.save(tmp_path, 2, _write)

    def write_until_full(folder: Path) -> None:
        _write(folder)
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        checkpoints.save(tmp_path, 4, write_until_full)

    assert [folder.name for folder in tmp_path.iterdir()] == ["step-000002"]


def test_what_a_crash_left_unfinished_is_not_a_checkpoint(tmp_path: Path) -> None:
    unfinished = tmp_path / "tmp-000004"
    unfinished.mkdir()
    _write(unfinished)

    assert _newest(tmp_path) == (None, [])
    assert not unfinished.exists()

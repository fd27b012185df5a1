"""Resume state survives crashes, full disks and bad bits: what is not whole is not used."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
        (
            lambda folder: (folder / "manifest.json").write_text('{"sha256": []}'),
            "its manifest is not readable",
        ),
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


_FILES = ("adapter", "manifest.json", "optimizer", "state.json")
Share = float
"""Of a file's bytes, from the first on, that are there; below 0: the file is not."""
_ARRIVED = st.fixed_dictionaries({name: st.just(1.0) | st.floats(-0.5, 1) for name in _FILES})


def _arrive(folder: Path, shares: dict[str, Share]) -> bool:
    """Leave a checkpoint as a sync that copied its files in some order, and did not end, had it. Whether it
    is whole."""
    is_whole = True
    for name, share in shares.items():
        content = (folder / name).read_bytes()
        arrived = content[: int(len(content) * share)]
        (folder / name).write_bytes(arrived)
        if share < 0:
            (folder / name).unlink()
        is_whole &= arrived == content and share >= 0
    return is_whole


@given(newer=_ARRIVED, older=_ARRIVED)
def test_of_checkpoints_that_arrived_in_part_the_newest_whole_one_is_used_or_none(
    newer: dict[str, Share], older: dict[str, Share]
) -> None:
    def write(folder: Path) -> None:
        for name in ("adapter", "optimizer", "state.json"):
            (folder / name).write_bytes(f"{name} of {folder.name}".encode() * 9)

    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        made = [checkpoints.save(root, step, write) for step in (4, 2)]
        whole = [_arrive(folder, shares) for folder, shares in zip(made, (newer, older), strict=True)]

        found, passed_over = _newest(root)

        expected = [folder for folder, is_whole in zip(made, whole, strict=True) if is_whole]
        assert found == (expected[0] if expected else None)
        assert len(passed_over) == (0 if whole[0] else 1 if whole[1] else 2)


def test_folders_of_others_beside_the_checkpoints_are_let_be(tmp_path: Path) -> None:
    (tmp_path / "step-notes").mkdir()
    made = checkpoints.save(tmp_path, 2, _write)

    assert _newest(tmp_path) == (made, [])
    assert (tmp_path / "step-notes").exists()

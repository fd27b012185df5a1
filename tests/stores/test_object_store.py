"""The bucket: bytes in, the same bytes out, whole folders too."""

import io
from pathlib import Path

import pytest

from outcrop.stores.objects import ObjectStore


@pytest.mark.parametrize("content", [b"", b"\x00\xff\r\n", "häl\U0001f600lo".encode() * 1000])
def test_an_object_comes_back_as_it_was_put(content: bytes) -> None:
    ObjectStore().put("a", content)
    ObjectStore().put("b", io.BytesIO(content))

    assert ObjectStore().get("a") == content
    assert ObjectStore().get("b") == content


def test_lines_come_one_by_one_whatever_ends_them_and_however_long_they_are() -> None:
    lines = [b"short", b"x" * 200_000, b"", "ümläut".encode(), b"last"]
    ObjectStore().put("unix", b"\n".join(lines))
    ObjectStore().put("windows", b"\r\n".join(lines) + b"\r\n")

    assert list(ObjectStore().lines("unix")) == lines
    assert list(ObjectStore().lines("windows")) == lines


def test_what_is_not_there_is_not_found() -> None:
    assert not ObjectStore().exists("nothing")
    with pytest.raises(FileNotFoundError, match="nothing"):
        ObjectStore().get("nothing")
    with pytest.raises(FileNotFoundError, match="nothing"):
        ObjectStore().lines("nothing")


def test_a_folder_comes_back_as_it_was_uploaded(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    (source / "deep" / "er").mkdir(parents=True)
    (source / "top.json").write_text("{}")
    (source / "deep" / "er" / "weights.bin").write_bytes(b"\x00" * 1000)

    ObjectStore().upload_folder(source, "jobs/1/")
    ObjectStore().download_folder("jobs/1/", target)

    assert ObjectStore().list("jobs/1/") == ["jobs/1/deep/er/weights.bin", "jobs/1/top.json"]
    assert (target / "top.json").read_text() == "{}"
    assert (target / "deep" / "er" / "weights.bin").read_bytes() == b"\x00" * 1000


def test_a_folder_that_is_not_there_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="jobs/1/"):
        ObjectStore().download_folder("jobs/1/", tmp_path)


def test_a_deleted_object_is_gone_and_deleting_it_again_changes_nothing() -> None:
    ObjectStore().put("a", b"x")

    ObjectStore().delete("a")
    ObjectStore().delete("a")

    assert not ObjectStore().exists("a")

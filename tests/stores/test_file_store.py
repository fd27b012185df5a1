"""Files: a row that is there only while its bytes are."""

import pytest

from outcrop import s3_keys
from outcrop.errors import NotFoundError
from outcrop.stores.files import FileStore
from outcrop.stores.objects import ObjectStore
from tests.factories import a_file


def test_a_file_comes_back_as_it_was_written() -> None:
    file = a_file(filename="träin \U0001f600.jsonl")

    assert FileStore("acme").get(file.id) == file


def test_a_deleted_file_leaves_neither_row_nor_bytes() -> None:
    file = a_file()

    FileStore("acme").delete(file.id)

    with pytest.raises(NotFoundError):
        FileStore("acme").get(file.id)
    assert FileStore("acme").list().data == []
    assert not ObjectStore().exists(s3_keys.file("acme", file.id))


def test_a_delete_that_was_cut_short_after_the_bytes_can_be_repeated() -> None:
    file = a_file()
    ObjectStore().delete(s3_keys.file("acme", file.id))

    FileStore("acme").delete(file.id)

    with pytest.raises(NotFoundError):
        FileStore("acme").get(file.id)


def test_a_file_is_deleted_once() -> None:
    file = a_file()
    FileStore("acme").delete(file.id)

    with pytest.raises(NotFoundError, match=file.id):
        FileStore("acme").delete(file.id)


def test_another_project_can_neither_see_nor_delete_a_file() -> None:
    file = a_file(project="acme")

    with pytest.raises(NotFoundError):
        FileStore("umbrella").get(file.id)
    with pytest.raises(NotFoundError):
        FileStore("umbrella").delete(file.id)

    assert FileStore("umbrella").list().data == []
    assert ObjectStore().exists(s3_keys.file("acme", file.id))


def test_files_are_listed_by_purpose_and_in_either_order() -> None:
    first, other, last = a_file(), a_file(purpose="batch"), a_file()

    newest_first = FileStore("acme").list(purpose="fine-tune")
    oldest_first = FileStore("acme").list(order="asc")

    assert [file.id for file in newest_first.data] == [last.id, first.id]
    assert [file.id for file in oldest_first.data] == [first.id, other.id, last.id]


def test_the_status_of_a_file_carries_its_reason() -> None:
    file = a_file()

    FileStore("acme").set_status(file.id, "error", "line 3 is not JSON.")

    stored = FileStore("acme").get(file.id)
    assert (stored.status, stored.status_details) == ("error", "line 3 is not JSON.")


def test_a_good_status_takes_the_reason_of_a_bad_one_away() -> None:
    file = a_file(status="error", status_details="line 3 is not JSON.")

    FileStore("acme").set_status(file.id, "processed")

    assert FileStore("acme").get(file.id).status_details is None


def test_a_status_does_not_bring_a_deleted_file_back() -> None:
    file = a_file()
    FileStore("acme").delete(file.id)

    with pytest.raises(NotFoundError):
        FileStore("acme").set_status(file.id, "processed")

    assert FileStore("acme").list().data == []

"""Lists of 10,000 objects, read through the SDK while objects come and go: none twice, none missing."""

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Literal

import pytest
from moto.core.serialize import ResponseSerializer
from openai import OpenAI
from pydantic import BaseModel

from local import moto_patches
from outcrop.ids import new_id, now
from outcrop.stores import rows
from outcrop.stores.clients import dynamodb_table
from outcrop.types.event import FineTuningJobEvent
from outcrop.types.file import FileObject
from outcrop.types.fine_tuning_job import FineTuningJob
from outcrop.types.method import Method
from tests import factories
from tests.account import Account

MANY = [300, pytest.param(10_000, marks=pytest.mark.slow)]
Make = Callable[[], BaseModel]


def a_file() -> FileObject:
    return FileObject(id=new_id("file-"), bytes=1, created_at=now(), filename="a.jsonl", purpose="fine-tune")


def an_event() -> FineTuningJobEvent:
    return FineTuningJobEvent(id=new_id("ftevent-"), created_at=now(), level="info", message="event")


def a_job() -> FineTuningJob:
    return FineTuningJob(
        id=new_id("ftjob-"),
        created_at=now(),
        model="tiny-caps",
        organization_id="acme",
        seed=7,
        status="failed",
        training_file="file-1",
        method=Method.model_validate(factories.METHOD),
    )


@pytest.fixture(autouse=True)
def a_quick_database(aws: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    """moto takes milliseconds to spell out each row by the service's model; a row is JSON already."""
    spell = ResponseSerializer._serialize_type_structure

    def as_it_is(self: ResponseSerializer, serialized: Any, value: Any, shape: Any, key: str) -> None:
        if shape.name == "AttributeValue" and value.keys() <= {"S", "N", "BOOL"}:
            self._default_serialize(serialized, value, shape, key)
        else:
            spell(self, serialized, value, shape, key)

    monkeypatch.setattr(ResponseSerializer, "_serialize_type_structure", as_it_is)
    moto_patches.lock_dynamodb()


def id_of(one: BaseModel) -> str:
    return one.id  # pyright: ignore[reportAttributeAccessIssue]


def write(partition: str, objects: Iterable[BaseModel]) -> None:
    with dynamodb_table().batch_writer() as batch:
        for one in objects:
            batch.put_item({"pk": partition, "sk": id_of(one), **rows.encode(one.model_dump(mode="json"))})


@contextmanager
def coming_and_going(partition: str, make: Make, going: list[str]) -> Iterator[None]:
    """Meanwhile objects are added, and those of `going` are deleted."""
    over = threading.Event()

    def come_and_go() -> None:
        while not over.wait(0.002):
            write(partition, [make()])
            if going:
                dynamodb_table().delete_item(Key={"pk": partition, "sk": going.pop()})

    thread = threading.Thread(target=come_and_go)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def check(partition: str, make: Make, many: int, read: Callable[[], Iterable[Any]]) -> None:
    """Of `many` objects every tenth goes, and others come, while the list is read."""
    objects = [make() for _ in range(many)]
    ids = [id_of(one) for one in objects]
    write(partition, objects)

    with coming_and_going(partition, make, ids[::10]):
        seen = [one.id for one in read()]

    assert len(seen) == len(set(seen))
    assert set(ids) - set(ids[::10]) <= set(seen)
    assert seen in (sorted(seen), sorted(seen, reverse=True))


@pytest.mark.parametrize("many", MANY)
@pytest.mark.parametrize("order", ["asc", "desc"])
def test_files_are_listed_once_each(client: OpenAI, order: Literal["asc", "desc"], many: int) -> None:
    check("P#acme#FILE", a_file, many, lambda: client.files.list(limit=max(100, many // 10), order=order))


@pytest.mark.parametrize("many", MANY)
def test_jobs_are_listed_once_each(client: OpenAI, many: int) -> None:
    check("P#acme#JOB", a_job, many, lambda: client.fine_tuning.jobs.list(limit=100))


@pytest.mark.parametrize("many", MANY)
def test_events_are_listed_once_each(client: OpenAI, many: int) -> None:
    job = factories.a_job().id

    check(
        f"P#acme#JOB#{job}#EVENT",
        an_event,
        many,
        lambda: client.fine_tuning.jobs.list_events(job, limit=100),
    )


def test_a_list_can_be_deleted_while_it_is_read(client: OpenAI) -> None:
    files = {factories.a_file().id for _ in range(60)}

    deleted = [client.files.delete(file.id).id for file in client.files.list(limit=7)]

    assert len(deleted) == 60
    assert set(deleted) == files
    assert client.files.list().data == []

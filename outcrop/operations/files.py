"""What can be done with files."""

from pathlib import PurePosixPath
from typing import get_args

from outcrop import s3_keys
from outcrop.errors import APIError
from outcrop.ids import new_id, now
from outcrop.stores.files import FileStore
from outcrop.stores.objects import ObjectStore
from outcrop.stores.rows import Order
from outcrop.types.file import FileDeleted, FileObject, FilePurpose
from outcrop.types.page import Page


def create(filename: str, content: bytes, purpose: str, *, project: str) -> FileObject:
    """Keep a file. Whether its rows can be trained on is looked at when a job asks for it, as OpenAI does."""
    purposes = get_args(FilePurpose)
    if purpose not in purposes:
        raise APIError(f"purpose: '{purpose}' is not one of {', '.join(purposes)}.", param="purpose")
    # The SDK names raw bytes `upload`, so a name without an extension says nothing about the content.
    if purpose == "fine-tune" and PurePosixPath(filename).suffix.lower() not in (".jsonl", ""):
        raise APIError(f"file: '{filename}' must be a .jsonl file for purpose fine-tune.", param="file")
    if not content:
        raise APIError("file: the file is empty.", param="file", code="empty_file")
    file = FileObject(
        id=new_id("file-"), bytes=len(content), created_at=now(), filename=filename, purpose=purpose
    )
    ObjectStore().put(s3_keys.file(project, file.id), content)
    FileStore(project).put(file)
    return file


def list(
    *, after: str | None, limit: int, order: Order, purpose: str | None, project: str
) -> Page[FileObject]:
    return FileStore(project).list(after=after, limit=limit, order=order, purpose=purpose)


def retrieve(file_id: str, project: str) -> FileObject:
    return FileStore(project).get(file_id)


def content(file_id: str, project: str) -> bytes:
    file = FileStore(project).get(file_id)
    return ObjectStore().get(s3_keys.file(project, file.id))


def delete(file_id: str, project: str) -> FileDeleted:
    FileStore(project).delete(file_id)
    return FileDeleted(id=file_id)

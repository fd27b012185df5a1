"""Files: a row for the `file` object; its bytes are an S3 object, Outcrop's own or the user's."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from outcrop import dataset, s3_keys
from outcrop.errors import no_such
from outcrop.ids import now
from outcrop.settings import settings
from outcrop.stores import rows
from outcrop.stores.clients import dynamodb_table
from outcrop.stores.objects import ObjectChangedError, ObjectStore
from outcrop.stores.rows import Order
from outcrop.types.file import FileObject, FilePurpose, FileStatus, StoredFile
from outcrop.types.page import Page


class FileStore:
    """A file that has expired is not there any more, whether its row is gone yet or not."""

    def __init__(self, project: str) -> None:
        self._project = project
        self._pk = f"P#{project}#FILE"

    def put(self, file: FileObject) -> None:
        """Write the row, which makes the file visible: its bytes must be in S3 by then, or be on their way
        (`upload_id`)."""
        rows.put(self._pk, file.id, file, ttl=file.expires_at)

    def put_new(self, file: FileObject) -> bool:
        """As `put`; False, and nothing changes, if there is a file of that id."""
        return rows.put_new(self._pk, file.id, file, ttl=file.expires_at)

    def row(self, file: FileObject) -> dict[str, object]:
        """What `put` writes, for a transaction."""
        return rows.item(self._pk, file.id, file, ttl=file.expires_at)

    def find(self, file_id: str) -> StoredFile | None:
        file = rows.get(self._pk, file_id, StoredFile)
        return None if file is None or _has_expired(file) else file

    def get(self, file_id: str) -> StoredFile:
        file = self.find(file_id)
        if file is None:
            raise no_such("file", file_id)
        return file

    def find_many(self, file_ids: Sequence[str]) -> dict[str, StoredFile]:
        """Those of up to 100 files that are there, by id."""
        found = rows.get_many(self._pk, file_ids, StoredFile)
        return {id: file for id, file in found.items() if not _has_expired(file)}

    def list(
        self,
        *,
        after: str | None = None,
        limit: int = 10_000,
        order: Order = "desc",
        purpose: FilePurpose | None = None,
    ) -> Page[StoredFile]:
        return rows.page(
            self._pk,
            StoredFile,
            after=after,
            limit=limit,
            prefix="file-",
            order=order,
            keep=lambda file: not _has_expired(file) and purpose in (None, file.purpose),
        )

    def delete(self, file_id: str) -> None:
        """Remove the bytes, unless they are the user's own object, then the row: a delete cut short between
        the two can be repeated. Raises: NotFoundError."""
        if self.get(file_id).s3_uri is None:
            ObjectStore().delete(s3_keys.file(self._project, file_id))
        dynamodb_table().delete_item(Key={"pk": self._pk, "sk": file_id})

    def set_status(self, file_id: str, status: FileStatus, details: str | None = None) -> None:
        """Raises: NotFoundError, also for a file deleted in the meantime."""
        self._change(file_id, {"status": status, "status_details": details})

    def set_assembled(self, file_id: str, status: FileStatus) -> StoredFile:
        """The parts are put together: the bytes are there. Raises: NotFoundError, as `set_status`."""
        return self._change(file_id, {"status": status, "upload_id": None})

    def uri(self, file: StoredFile) -> str:
        """Where the bytes are, as S3 and SageMaker spell it."""
        return file.s3_uri or f"s3://{settings().bucket}/{s3_keys.file(self._project, file.id)}"

    def content(self, file: StoredFile) -> bytes:
        """Raises: FileNotFoundError, ObjectChangedError."""
        objects, key = self._place(file)
        return objects.get(key, etag=file.etag)

    def link(self, file: StoredFile, *, seconds: int, content_type: str, content_disposition: str) -> str:
        """A URL that anybody may read the file by, for so long."""
        objects, key = self._place(file)
        return objects.link(
            key, seconds=seconds, content_type=content_type, content_disposition=content_disposition
        )

    def lines(self, file: StoredFile) -> Iterator[bytes]:
        """What `dataset` reads. Raises: FileNotFoundError; DatasetError if the user's object is not the one
        that was registered, or may not be read any more."""
        objects, key = self._place(file)
        with _refusals_of(file):
            return objects.lines(key, etag=file.etag, longest=dataset.MAX_LINE_BYTES)

    def first_lines(self, file: StoredFile, *, size: int) -> Sequence[bytes]:
        """The whole lines among the first `size` bytes. Raises: as `lines`."""
        objects, key = self._place(file)
        with _refusals_of(file):
            content = objects.first_bytes(key, size, etag=file.etag)
        lines = content.split(b"\n")
        return lines if len(content) < size else lines[:-1]

    def _place(self, file: StoredFile) -> tuple[ObjectStore, str]:
        bucket, _, key = self.uri(file).removeprefix("s3://").partition("/")
        return ObjectStore(bucket), key

    def _change(self, file_id: str, changes: dict[str, object]) -> StoredFile:
        file = rows.update(self._pk, file_id, StoredFile, changes, condition="attribute_exists(pk)")
        if file is None:
            raise no_such("file", file_id)
        return file


@contextmanager
def _refusals_of(file: StoredFile) -> Iterator[None]:
    """What S3 refuses, told as what is wrong with the user's object."""
    try:
        yield
    except ObjectChangedError as error:
        raise dataset.DatasetError(
            f"{file.s3_uri} has changed since it was registered; register it again.", code="file_changed"
        ) from error
    except PermissionError as error:
        if file.s3_uri is None:
            raise
        raise dataset.DatasetError(
            f"S3 does not let this deployment read {file.s3_uri} any more.", code="s3_access_denied"
        ) from error


def _has_expired(file: FileObject) -> bool:
    return file.expires_at is not None and file.expires_at <= now()

"""Uploads: a row for the `upload` object and one for each part; a part's bytes are an S3 object of their own
until the parts are put together to a file.
"""

from collections.abc import Iterator, Sequence

from botocore.exceptions import ClientError

from outcrop import s3_keys
from outcrop.errors import no_such
from outcrop.ids import now
from outcrop.settings import settings
from outcrop.stores import rows
from outcrop.stores.failures import reasons
from outcrop.stores.files import FileStore
from outcrop.stores.objects import ObjectStore
from outcrop.types.file import StoredFile
from outcrop.types.upload import StoredPart, StoredUpload

_KEPT_SECONDS = 30 * 24 * 3600
"""For so long an upload that is over can be asked for."""
_PART_EXPIRES_IN_DAYS = 1


class UploadStore:
    def __init__(self, project: str) -> None:
        self._project = project
        self._pk = f"P#{project}#UPLOAD"

    def put_new(self, upload: StoredUpload) -> bool:
        """Write the row; False, and nothing changes, if there is an upload of that id."""
        return rows.put_new(self._pk, upload.id, upload, ttl=upload.created_at + _KEPT_SECONDS)

    def find(self, upload_id: str) -> StoredUpload | None:
        """The upload; one that was not completed in time is `expired`, whatever its row says."""
        upload = rows.get(self._pk, upload_id, StoredUpload)
        if upload and upload.status == "pending" and upload.expires_at <= now():
            return upload.model_copy(update={"status": "expired"})
        return upload

    def get(self, upload_id: str) -> StoredUpload:
        upload = self.find(upload_id)
        if upload is None:
            raise no_such("upload", upload_id)
        return upload

    def put_part(self, part: StoredPart, content: bytes) -> None:
        """The bytes, then the row: a part that can be found can be read. Both may be written again."""
        key = self._part_key(part.upload_id, part.id)
        ObjectStore().put(key, content, expires_in_days=_PART_EXPIRES_IN_DAYS)
        rows.put(self._parts(part.upload_id), part.id, part, ttl=part.created_at + _KEPT_SECONDS)

    def find_part(self, upload_id: str, part_id: str) -> StoredPart | None:
        return rows.get(self._parts(upload_id), part_id, StoredPart)

    def parts(self, upload_id: str) -> dict[str, StoredPart]:
        """By id."""
        return {part.id: part for part in rows.every(self._parts(upload_id), StoredPart)}

    def content(self, upload_id: str, part_ids: Sequence[str]) -> Iterator[bytes]:
        """The bytes of these parts, one after another. Raises: FileNotFoundError, as it gets there."""
        for part_id in part_ids:
            yield ObjectStore().get(self._part_key(upload_id, part_id))

    def delete_parts(self, upload_id: str, part_ids: Sequence[str]) -> None:
        """Their bytes; S3 removes those nobody deletes."""
        ObjectStore().delete_all([self._part_key(upload_id, part_id) for part_id in part_ids])

    def complete(self, upload: StoredUpload, file: StoredFile) -> bool:
        """Make the upload `completed` and `file` a file, both or neither. False, and nothing changes, if it
        is not pending any more: of two who complete it, one makes the file."""
        changes = {
            "status": "completed",
            "part_ids": upload.part_ids,
            "md5": upload.md5,
            "file_id": file.id,
        }
        update = {
            "TableName": settings().table,
            "Key": {"pk": self._pk, "sk": upload.id},
            "UpdateExpression": "SET " + ", ".join(f"#{name} = :{name}" for name in rows.encode(changes)),
            "ConditionExpression": "#status = :pending AND expires_at > :now",
            "ExpressionAttributeNames": {f"#{name}": name for name in rows.encode(changes)},
            "ExpressionAttributeValues": {
                **{f":{name}": value for name, value in rows.encode(changes).items()},
                ":pending": "pending",
                ":now": now(),
            },
        }
        put = {"TableName": settings().table, "Item": FileStore(self._project).row(file)}
        try:
            rows.transact([{"Update": update}, {"Put": put}])
        except ClientError as error:
            if "ConditionalCheckFailed" not in reasons(error):
                raise
            return False
        return True

    def cancel(self, upload_id: str) -> StoredUpload | None:
        """The upload, now cancelled; None if it was not pending any more."""
        return rows.update(
            self._pk,
            upload_id,
            StoredUpload,
            {"status": "cancelled"},
            condition="#status = :pending AND expires_at > :now",
            operands={":pending": "pending", ":now": now()},
        )

    def _parts(self, upload_id: str) -> str:
        return f"P#{self._project}#UPLOAD#{upload_id}#PART"

    def _part_key(self, upload_id: str, part_id: str) -> str:
        return s3_keys.upload(self._project, upload_id) + part_id

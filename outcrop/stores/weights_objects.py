"""A file of base weights in the bucket: an upload that can be gone on with, and the object it becomes.

An object is known to be whole by its tags, which it gets when its checksum was seen to be right: of all that
S3 keeps of an object, only tags can be changed where it lies.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError

from outcrop import s3_keys
from outcrop.settings import settings
from outcrop.stores.clients import s3
from outcrop.stores.objects import ObjectStore
from outcrop.types.weights import RepositoryFile, WeightsFile, WeightsSource

# Names of tags, and the first two of metadata as well.
_CHECKSUM = "outcrop-checksum"
_SOURCE = "outcrop-source"
_SHA256 = "outcrop-sha256"
_COPIED_AT_MOST = 5 * 2**30
"""Bytes that S3 copies with one call."""
_MISSING = ("404", "NoSuchKey", "NoSuchUpload")


class NotCopied(Exception):
    """S3 did not copy an object; the message says why."""


@dataclass(frozen=True)
class Origin:
    """How an object came to lie where it lies."""

    source: str
    checksum: str
    """Of the file that it was to become."""


@dataclass
class Upload:
    """An unfinished multipart upload. Its parts are the file's bytes from the beginning."""

    target: dict[str, Any]
    parts: list[dict[str, Any]] = field(default_factory=list)
    size: int = 0

    def add(self, piece: bytes) -> None:
        number = len(self.parts) + 1
        part = s3().upload_part(**self.target, PartNumber=number, Body=piece)
        self.parts.append({"PartNumber": number, "ETag": part["ETag"]})
        self.size += len(piece)

    def complete(self) -> None:
        if not self.parts:  # an empty file has a part, too
            self.add(b"")
        s3().complete_multipart_upload(**self.target, MultipartUpload={"Parts": self.parts})  # pyright: ignore[reportArgumentType]

    def abort(self) -> None:
        s3().abort_multipart_upload(**self.target)


class WeightsObject:
    def __init__(self, model_id: str, revision: str, file: RepositoryFile) -> None:
        self._file = file
        self._place: dict[str, Any] = {
            "Bucket": settings().bucket,
            "Key": s3_keys.base_model(model_id, revision) + file.path,
        }

    def verified(self) -> WeightsFile | None:
        """The file, if the object that lies here is this very one and was read to its end."""
        tags = s3().get_object_tagging(**self._place)["TagSet"]
        values = {tag["Key"]: tag["Value"] for tag in tags}
        if values.get(_CHECKSUM) != self._file.checksum:
            return None
        return self._described(values.get(_SHA256, ""), values.get(_SOURCE, "elsewhere"))

    def mark(self, sha256: str, source: str) -> WeightsFile:
        """Say that it is whole."""
        tags = {_CHECKSUM: self._file.checksum, _SHA256: sha256, _SOURCE: source}
        listed: Any = [{"Key": name, "Value": value} for name, value in tags.items()]
        s3().put_object_tagging(**self._place, Tagging={"TagSet": listed})
        return self._described(sha256, source)

    def chunks(self) -> Iterator[bytes]:
        """Raises: FileNotFoundError."""
        return ObjectStore().chunks(self._place["Key"])

    def origin(self) -> Origin | None:
        """None if nothing lies here."""
        try:
            metadata = s3().head_object(**self._place)["Metadata"]
        except ClientError as error:
            if _code(error) not in _MISSING:
                raise
            return None
        return Origin(metadata.get(_SOURCE, "elsewhere"), metadata.get(_CHECKSUM, ""))

    def delete(self) -> None:
        s3().delete_object(**self._place)

    def copy(self, source: str) -> None:
        """From another bucket, within S3. Raises: NotCopied."""
        if self._file.size > _COPIED_AT_MOST:
            raise NotCopied(f"{source} is larger than S3 copies at once.")
        bucket, _, key = source.removeprefix("s3://").partition("/")
        try:
            s3().copy_object(
                **self._place,
                CopySource={"Bucket": bucket, "Key": key},
                TaggingDirective="REPLACE",
                MetadataDirective="REPLACE",
                Metadata=self._metadata("jumpstart"),
            )
        except ClientError as error:
            raise NotCopied(f"{source} cannot be copied ({_code(error)}).") from error

    def unfinished(self) -> Upload | None:
        """The upload that was begun and not finished, with the parts that have arrived without a gap."""
        key = self._place["Key"]
        found = s3().list_multipart_uploads(Bucket=self._place["Bucket"], Prefix=key).get("Uploads", [])
        ids = [one.get("UploadId", "") for one in found if one.get("Key") == key]
        if not ids:
            return None
        upload = Upload({**self._place, "UploadId": ids[-1]})
        for page in s3().get_paginator("list_parts").paginate(**upload.target):
            for part in page.get("Parts", []):
                if part.get("PartNumber") != len(upload.parts) + 1:
                    return upload
                upload.parts.append({"PartNumber": part.get("PartNumber"), "ETag": part.get("ETag")})
                upload.size += part.get("Size", 0)
        return upload

    def begin(self) -> Upload:
        created = s3().create_multipart_upload(**self._place, Metadata=self._metadata("huggingface"))
        return Upload({**self._place, "UploadId": created["UploadId"]})

    def _metadata(self, source: WeightsSource) -> dict[str, str]:
        return {_SOURCE: source, _CHECKSUM: self._file.checksum}

    def _described(self, sha256: str, source: str) -> WeightsFile:
        file = {"path": self._file.path, "size": self._file.size, "sha256": sha256, "source": source}
        return WeightsFile.model_validate(file)


def abort_unfinished(prefix: str) -> None:
    """Drop every upload of a file below a prefix that was begun and not finished."""
    bucket = settings().bucket
    pages = s3().get_paginator("list_multipart_uploads").paginate(Bucket=bucket, Prefix=prefix)
    for one in [one for page in pages for one in page.get("Uploads", [])]:
        try:
            s3().abort_multipart_upload(
                Bucket=bucket, Key=one.get("Key", ""), UploadId=one.get("UploadId", "")
            )
        except ClientError as error:
            if _code(error) not in _MISSING:
                raise


def _code(error: ClientError) -> str:
    return error.response.get("Error", {}).get("Code", "")

"""The bucket: bytes by key. Which key holds what is in `outcrop/s3_keys.py`."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from botocore.exceptions import ClientError

from outcrop import s3_keys
from outcrop.settings import settings
from outcrop.stores.clients import s3, s3_links

_MISSING = ("404", "NoSuchKey", "NoSuchBucket")
_PIECE_BYTES = 8 * 2**20
"""Of a multipart upload; S3 takes none below 5 MiB but the last."""
_CHUNK_BYTES = 256 * 1024


class ObjectChangedError(OSError):
    """The object is not the one that was asked for: it has been written again since."""


@dataclass(frozen=True)
class ObjectInfo:
    bytes: int
    etag: str
    modified_at: int


@dataclass(frozen=True)
class StoredObject:
    key: str
    modified_at: int
    size: int


class ObjectStore:
    def __init__(self, bucket: str = "") -> None:
        """The deployment's bucket, unless another is named."""
        self._bucket = bucket or settings().bucket

    def put(self, key: str, content: bytes | BinaryIO, *, expires_in_days: int | None = None) -> None:
        if isinstance(content, bytes):
            s3().put_object(Bucket=self._bucket, Key=key, Body=content, **_tagging(expires_in_days))
        else:
            s3().upload_fileobj(content, self._bucket, key, ExtraArgs=_tagging(expires_in_days))

    def put_chunks(self, key: str, chunks: Iterable[bytes], *, expires_in_days: int | None = None) -> None:
        """Write an object of any size in little memory. It is there when the last chunk was taken, and as it
        was before if the chunks fail."""
        upload = s3().create_multipart_upload(Bucket=self._bucket, Key=key, **_tagging(expires_in_days))
        target: dict[str, Any] = {"Bucket": self._bucket, "Key": key, "UploadId": upload["UploadId"]}
        try:
            parts: list[Any] = []
            for number, piece in enumerate(_pieces(chunks), start=1):
                part = s3().upload_part(**target, PartNumber=number, Body=piece)
                parts.append({"PartNumber": number, "ETag": part["ETag"]})
            s3().complete_multipart_upload(**target, MultipartUpload={"Parts": parts})
        except BaseException:
            s3().abort_multipart_upload(**target)
            raise

    def get(self, key: str, *, etag: str | None = None) -> bytes:
        """Raises: FileNotFoundError, PermissionError; with an `etag`, ObjectChangedError."""
        return self._open(key, etag).read()

    def first_bytes(self, key: str, size: int, *, etag: str | None = None) -> bytes:
        """So many of them, or all if there are no more. Raises: as `get`."""
        return self._open(key, etag, Range=f"bytes=0-{size - 1}").read()

    def chunks(self, key: str, *, etag: str | None = None) -> Iterator[bytes]:
        """The object's bytes, read as they are asked for. Raises: as `get`, at once."""
        return self._open(key, etag).iter_chunks(_CHUNK_BYTES)

    def lines(self, key: str, *, etag: str | None = None, longest: int | None = None) -> Iterator[bytes]:
        """The object's lines without their ends, read as they are asked for; of a line with more than
        `longest` bytes, only so many and one more. Raises: as `get`, at once."""
        return _lines(self.chunks(key, etag=etag), longest)

    def info(self, key: str) -> ObjectInfo:
        """Raises: FileNotFoundError, PermissionError."""
        try:
            head = s3().head_object(Bucket=self._bucket, Key=key)
        except ClientError as error:
            raise _unreadable(key, error) from error
        return ObjectInfo(head["ContentLength"], head["ETag"], int(head["LastModified"].timestamp()))

    def exists(self, key: str) -> bool:
        try:
            s3().head_object(Bucket=self._bucket, Key=key)
        except ClientError as error:
            _absent(key, error)
            return False
        return True

    def link(self, key: str, *, seconds: int, content_type: str, content_disposition: str) -> str:
        """A URL that anybody may read the object by, for so long."""
        asked = {
            "Bucket": self._bucket,
            "Key": key,
            "ResponseContentType": content_type,
            "ResponseContentDisposition": content_disposition,
        }
        return s3_links().generate_presigned_url("get_object", Params=asked, ExpiresIn=seconds)

    def delete(self, key: str) -> None:
        """Deleting what is not there is success."""
        s3().delete_object(Bucket=self._bucket, Key=key)

    def delete_all(self, keys: Sequence[str]) -> None:
        """As `delete`, a thousand with each call."""
        for start in range(0, len(keys), 1000):
            objects = [{"Key": key} for key in keys[start : start + 1000]]
            s3().delete_objects(Bucket=self._bucket, Delete={"Objects": objects, "Quiet": True})  # pyright: ignore[reportArgumentType]

    def upload_folder(self, path: Path, prefix: str) -> None:
        """Every file below `path`, to `prefix` + its relative path."""
        for file in sorted(path.rglob("*")):
            if file.is_file():
                s3().upload_file(str(file), self._bucket, prefix + file.relative_to(path).as_posix())

    def download_folder(self, prefix: str, path: Path) -> None:
        """Every object below `prefix`, to `path` + the rest of its key. Raises: FileNotFoundError."""
        keys = self.list(prefix)
        if not keys:
            raise FileNotFoundError(f"Nothing lies below s3://{self._bucket}/{prefix}.")
        for key in keys:
            target = path / key.removeprefix(prefix)
            target.parent.mkdir(parents=True, exist_ok=True)
            s3().download_file(self._bucket, key, str(target))

    def list(self, prefix: str) -> list[str]:
        """The keys that start with `prefix`, sorted."""
        pages = s3().get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=prefix)
        return [one.get("Key", "") for page in pages for one in page.get("Contents", [])]

    def details(self, prefix: str) -> Iterator[StoredObject]:
        """The objects whose keys start with `prefix`, in the order of these."""
        pages = s3().get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=prefix)
        for page in pages:
            for one in page.get("Contents", []):
                modified_at = int(one["LastModified"].timestamp())  # pyright: ignore[reportTypedDictNotRequiredAccess]
                yield StoredObject(one.get("Key", ""), modified_at, one.get("Size", 0))

    def expires(self, key: str) -> bool:
        """Whether S3 will remove it by itself."""
        tags = s3().get_object_tagging(Bucket=self._bucket, Key=key)["TagSet"]
        return any(tag["Key"] == s3_keys.EXPIRY_TAG for tag in tags)

    def _open(self, key: str, etag: str | None, **wanted: Any) -> Any:
        """The body of an object. Raises: FileNotFoundError, PermissionError, ObjectChangedError."""
        wanted |= {} if etag is None else {"IfMatch": etag}
        try:
            return s3().get_object(Bucket=self._bucket, Key=key, **wanted)["Body"]
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") == "PreconditionFailed":
                raise ObjectChangedError(f"The object {key} is not {etag} any more.") from error
            raise _unreadable(key, error) from error


def _absent(key: str, error: ClientError) -> FileNotFoundError:
    """What to raise when S3 says there is no such key; raises `error` itself when it says anything else."""
    if error.response.get("Error", {}).get("Code") not in _MISSING:
        raise error
    return FileNotFoundError(f"There is no object {key}.")


def _unreadable(key: str, error: ClientError) -> OSError:
    """As `_absent`, for an object of whatever bucket: S3 may refuse it as well."""
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500)
    if 300 <= status < 500 and status not in (404, 429):
        return PermissionError(f"The object {key} may not be read.")
    return _absent(key, error)


def _tagging(expires_in_days: int | None) -> dict[str, Any]:
    return {} if expires_in_days is None else {"Tagging": f"{s3_keys.EXPIRY_TAG}={expires_in_days}"}


def _pieces(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes, in pieces as large as S3 wants the parts of a multipart upload."""
    piece = bytearray()
    for chunk in chunks:
        piece += chunk
        if len(piece) >= _PIECE_BYTES:
            yield bytes(piece)
            piece.clear()
    if piece:
        yield bytes(piece)


def _lines(chunks: Iterable[bytes], longest: int | None) -> Iterator[bytes]:
    line = bytearray()
    for chunk in chunks:
        first, *rest = chunk.split(b"\n")
        line += first if longest is None else first[: max(0, longest + 1 - len(line))]
        for following in rest:
            yield bytes(line.removesuffix(b"\r"))
            line = bytearray(following if longest is None else following[: longest + 1])
    if line:
        yield bytes(line.removesuffix(b"\r"))

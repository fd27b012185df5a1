"""The bucket: bytes by key. Which key holds what is in `outcrop/s3_keys.py`."""

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from botocore.exceptions import ClientError

from outcrop.settings import settings
from outcrop.stores.clients import s3

_MISSING = ("404", "NoSuchKey")


class ObjectStore:
    def __init__(self, bucket: str = "") -> None:
        """The deployment's bucket, unless another is named."""
        self._bucket = bucket or settings().bucket

    def put(self, key: str, content: bytes | BinaryIO) -> None:
        if isinstance(content, bytes):
            s3().put_object(Bucket=self._bucket, Key=key, Body=content)
        else:
            s3().upload_fileobj(content, self._bucket, key)

    def get(self, key: str) -> bytes:
        """Raises: FileNotFoundError."""
        try:
            return s3().get_object(Bucket=self._bucket, Key=key)["Body"].read()
        except ClientError as error:
            raise _absent(key, error) from error

    def lines(self, key: str) -> Iterator[bytes]:
        """The object's lines without their ends, read as they are asked for. Raises: FileNotFoundError."""
        try:
            body = s3().get_object(Bucket=self._bucket, Key=key)["Body"]
        except ClientError as error:
            raise _absent(key, error) from error
        return body.iter_lines(chunk_size=64 * 1024)

    def exists(self, key: str) -> bool:
        try:
            s3().head_object(Bucket=self._bucket, Key=key)
        except ClientError as error:
            _absent(key, error)
            return False
        return True

    def delete(self, key: str) -> None:
        """Deleting what is not there is success."""
        s3().delete_object(Bucket=self._bucket, Key=key)

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


def _absent(key: str, error: ClientError) -> FileNotFoundError:
    """What to raise when S3 says there is no such key; raises `error` itself when it says anything else."""
    if error.response.get("Error", {}).get("Code") not in _MISSING:
        raise error
    return FileNotFoundError(f"There is no object {key}.")

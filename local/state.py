"""Tables and buckets of the emulator on disk: saved within a second of a change, restored at start.

```
dynamodb/{table}.json         the items, in DynamoDB's JSON
s3/{bucket}/manifest.json     key -> body, content type, ...
s3/{bucket}/bodies/{name}     a body; written once, never changed
```

Every file appears whole, by a rename. Bodies are on disk before a manifest names them, and removed after no
manifest does; tables are read before buckets and written after them, so a row never refers to a body that is
not there. A `kill -9` at any moment therefore leaves a state of at most a second ago.
"""

import logging
import os
import shutil
import threading
import uuid
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import IO, Any, TypedDict

import orjson
from moto.dynamodb.models import dynamodb_backends
from moto.s3.models import FakeBucket, FakeKey, s3_backends

from local.emulated_account import ACCOUNT, REGION

Environ = dict[str, Any]
WsgiApp = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]

_INTERVAL_SECONDS = 0.5
_READING_METHODS = ("GET", "HEAD", "OPTIONS")
_READING_CALLS = ("Get", "BatchGet", "TransactGet", "Query", "Scan", "Describe", "List")

logger = logging.getLogger(__name__)


class ManifestEntry(TypedDict):
    body: str
    etag: str
    last_modified: str
    metadata: dict[str, str]


class State:
    """`exclude` are buckets that deployment makes anew."""

    def __init__(self, folder: Path, *, exclude: tuple[str, ...] = ()) -> None:
        self._tables = folder / "dynamodb"
        self._buckets = folder / "s3"
        self._exclude = exclude
        self._manifests: dict[str, dict[str, ManifestEntry]] = {}
        self._dynamodb_lock = threading.Lock()
        self._dynamodb_changed = True
        self._s3_changed = True
        self._changed = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._keep_saving, name="state", daemon=True)

    def restore(self) -> None:
        """Fill the tables and buckets that exist; to be called once, before the first request."""
        for path in sorted(self._tables.glob("*.json")):
            table = dynamodb_backends[ACCOUNT][REGION].tables.get(path.stem)
            if table is None:
                logger.warning("the saved table %s is not part of this deployment", path.stem)
                continue
            for item in orjson.loads(path.read_bytes()):
                table.put_item(item, overwrite=True)
        for path in sorted(self._buckets.glob("*/manifest.json")):
            bucket = path.parent.name
            if bucket not in s3_backends[ACCOUNT]["aws"].buckets:
                logger.warning("the saved bucket %s is not part of this deployment", bucket)
                continue
            self._manifests[bucket] = orjson.loads(path.read_bytes())
            for key, entry in self._manifests[bucket].items():
                _restore_object(bucket, key, entry, path.parent / "bodies" / entry["body"])

    def watch(self, app: WsgiApp) -> WsgiApp:
        """The emulator's WSGI application, watched for calls that change something worth saving."""

        def watched(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
            service, _, call = environ.get("HTTP_X_AMZ_TARGET", "").partition(".")
            if service.startswith("DynamoDB_") and not call.startswith(_READING_CALLS):
                with self._dynamodb_lock:  # an item is changed in place: a save must not see half of that
                    response = app(environ, start_response)
                self._dynamodb_changed = True
                self._changed.set()
                return response
            response = app(environ, start_response)
            if not service and environ["REQUEST_METHOD"] not in _READING_METHODS:
                self._s3_changed = True
                self._changed.set()
            return response

        return watched

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Save what is not saved yet, and end. Without a start there was no restore, and nothing is saved."""
        self._stopping.set()
        self._changed.set()
        if self._thread.is_alive():
            self._thread.join()
            self.save()

    def save(self) -> None:
        """Write what changed since the last call. Raises: OSError; what was there before then stays."""
        tables: dict[str, bytes] = {}
        if self._dynamodb_changed:
            self._dynamodb_changed = False
            with self._dynamodb_lock:
                tables = {
                    name: orjson.dumps([item.to_json()["Attributes"] for item in table.all_items()])
                    for name, table in dynamodb_backends[ACCOUNT][REGION].tables.items()
                }
        try:
            orphans = self._save_buckets() if self._s3_changed else []
            for name, content in tables.items():
                _write(self._tables / f"{name}.json", content)
        except OSError:
            self._dynamodb_changed = self._s3_changed = True
            raise
        for body in orphans:
            body.unlink(missing_ok=True)

    def _keep_saving(self) -> None:
        while not self._stopping.is_set():
            self._changed.wait()
            self._changed.clear()
            try:
                self.save()
            except OSError:
                logger.exception("state not saved; trying again")
                self._changed.set()
            self._stopping.wait(_INTERVAL_SECONDS)

    def _save_buckets(self) -> list[Path]:
        """Returns the bodies that no manifest names any more."""
        self._s3_changed = False
        orphans: list[Path] = []
        for name, bucket in list(s3_backends[ACCOUNT]["aws"].buckets.items()):
            if name in self._exclude:
                continue
            bodies = self._buckets / name / "bodies"
            before = self._manifests.get(name, {})
            after = _save_bodies(bucket, before, bodies)
            if after != before or name not in self._manifests:
                _write(self._buckets / name / "manifest.json", orjson.dumps(after))
                self._manifests[name] = after
                named = {entry["body"] for entry in after.values()}
                orphans += [path for path in bodies.glob("*") if path.name not in named]
        return orphans


def _save_bodies(
    bucket: FakeBucket, before: Mapping[str, ManifestEntry], bodies: Path
) -> dict[str, ManifestEntry]:
    """The bucket's manifest, new bodies written. moto makes a new key of every put: its time tells them
    apart.
    """
    manifest: dict[str, ManifestEntry] = {}
    for name in list(bucket.keys):
        key = bucket.keys.get(name)
        if not isinstance(key, FakeKey):  # deleted meanwhile
            continue
        entry = before.get(name)
        modified = key.last_modified.isoformat()
        if entry is None or (entry["etag"], entry["last_modified"]) != (key.etag, modified):
            entry = ManifestEntry(
                body=uuid.uuid4().hex, etag=key.etag, last_modified=modified, metadata=dict(key.metadata)
            )
            try:
                with key.lock:
                    key._value_buffer.seek(0)
                    _write(bodies / entry["body"], key._value_buffer)
            except ValueError:  # deleted or replaced meanwhile: the next save sees what is there now
                continue
        manifest[name] = entry
    return manifest


def _restore_object(bucket: str, name: str, entry: ManifestEntry, body: Path) -> None:
    key = s3_backends[ACCOUNT]["aws"].put_object(
        bucket, name, body.read_bytes(), etag=entry["etag"].strip('"'), disable_notification=True
    )
    key.set_metadata(dict(entry["metadata"]))
    key.last_modified = datetime.fromisoformat(entry["last_modified"])


def _write(path: Path, content: bytes | IO[bytes]) -> None:
    """The whole file or, whatever happens, the one that was there before."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    with temporary.open("wb") as file:
        if isinstance(content, bytes):
            file.write(content)
        else:
            shutil.copyfileobj(content, file, 1 << 20)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)

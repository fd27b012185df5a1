"""Files and uploads: a file that can be found can be read, and what nobody can find is not kept."""

from collections.abc import Iterator

from outcrop import s3_keys
from outcrop.ids import now
from outcrop.operations import files as file_operations
from outcrop.operations.reconcile.finding import GRACE_SECONDS, Finding
from outcrop.stores.files import FileStore
from outcrop.stores.objects import ObjectStore, StoredObject
from outcrop.stores.uploads import UploadStore
from outcrop.types.file import StoredFile

_ORPHAN_SECONDS = 24 * 3600
"""The bytes are written before the row; a day later no row will come."""
_PROCESSING_SECONDS = 1800
"""Longer than a file takes that is looked at."""


def of_project(project: str) -> Iterator[Finding]:
    files = {file.id: file for file in _files(project)}
    objects = ObjectStore()
    kept = {one.key: one for one in objects.details(s3_keys.file(project, ""))}
    for file in files.values():
        yield from _of_file(project, file, s3_keys.file(project, file.id) in kept)
    for one in kept.values():
        if one.key.rpartition("/")[2] not in files and _is_orphan(one):
            yield Finding(
                f"object {one.key}",
                "It is a file's content, and there is no such file.",
                repair=lambda key=one.key: objects.delete(key),
                mends="It is deleted.",
            )
    yield from _of_uploads(project)


def of_files_on_their_way(project: str) -> Iterator[Finding]:
    """Files whose workflow was not started: all that the sweeper looks at."""
    for file in _files(project):
        if file.created_at < now() - _ORPHAN_SECONDS:
            return
        yield from _of_processing(project, file)


def _of_file(project: str, file: StoredFile, has_bytes: bool) -> Iterator[Finding]:
    yield from _of_processing(project, file)
    belongs_there = file.s3_uri is None and file.upload_id is None and file.status != "error"
    if has_bytes or not belongs_there:
        return
    if ObjectStore().exists(s3_keys.file(project, file.id)) or not FileStore(project).find(file.id):
        return  # it came, or its row went, while the bucket was being listed
    gone = "The content of the file is not in the bucket any more. Upload it again. (content_missing)"
    yield Finding(
        f"file {file.id} of project {project}",
        "Its content is not in the bucket.",
        repair=lambda: FileStore(project).set_status(file.id, "error", gone),
        mends="The file says so: its status becomes error.",
    )


def _of_processing(project: str, file: StoredFile) -> Iterator[Finding]:
    if file.status == "uploaded" and now() - file.created_at >= GRACE_SECONDS:
        is_late = now() - file.created_at >= _PROCESSING_SECONDS
        yield Finding(
            f"file {file.id} of project {project}",
            "Its rows were not looked at yet."
            + (" If this stays so, its workflow has failed: upload it again." if is_late else ""),
            repair=lambda: file_operations.start_processing(file, project),
            mends="Its workflow is started, unless it was.",
            is_swept=True,
        )


def _of_uploads(project: str) -> Iterator[Finding]:
    """S3 removes parts after a day; those of an upload that is over are of no use before."""
    prefix = s3_keys.uploads(project)
    parts: dict[str, list[StoredObject]] = {}
    for one in ObjectStore().details(prefix):
        parts.setdefault(one.key.removeprefix(prefix).partition("/")[0], []).append(one)
    for upload_id, left in parts.items():
        if now() - max(one.modified_at for one in left) < GRACE_SECONDS or _needs_parts(project, upload_id):
            continue
        keys = [one.key for one in left]
        yield Finding(
            f"upload {upload_id} of project {project}",
            f"{len(keys)} of its parts are left, and nothing needs them.",
            repair=lambda keys=keys: ObjectStore().delete_all(keys),
            mends="They are deleted.",
        )


def _needs_parts(project: str, upload_id: str) -> bool:
    upload = UploadStore(project).find(upload_id)
    if upload is None or upload.status in ("cancelled", "expired"):
        return False
    if upload.status == "pending":
        return True
    file = FileStore(project).find(upload.file_id or "")
    return file is not None and file.upload_id is not None and file.status == "uploaded"


def _files(project: str) -> Iterator[StoredFile]:
    """Newest first."""
    after = None
    while True:
        page = FileStore(project).list(after=after, limit=1000)
        yield from page.data
        if not page.has_more:
            return
        after = page.last_id


def _is_orphan(one: StoredObject) -> bool:
    """What expires is S3's to remove."""
    return now() - one.modified_at >= _ORPHAN_SECONDS and not ObjectStore().expires(one.key)

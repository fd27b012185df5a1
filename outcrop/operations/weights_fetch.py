"""One file of base weights, from where it is into the bucket: a step, repeated until the file is there.

Whatever happens to a step, the next one finds in the bucket itself how far things are: an object marked as
whole, one that has yet to be read, or an upload with its parts. Bytes that are in a part are not fetched
again. The checksum is made while the bytes pass; where an upload was gone on with by another step, which has
not seen the first of them, the finished object is read once more.
"""

import hashlib
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass
from functools import partial

from outcrop.operations import weights_plan
from outcrop.operations.weights_trouble import put_off
from outcrop.settings import settings
from outcrop.stores.hugging_face import TryLater, WeightsRefused
from outcrop.stores.secrets import SecretUnreadable
from outcrop.stores.weights_objects import NotCopied, Upload, WeightsObject
from outcrop.types.weights import RepositoryFile, WeightsFile

_RESERVED_SECONDS = 120
"""Of a step's time, for what comes after the last byte that it fetches."""

SecondsLeft = Callable[[], float]
Chunks = Callable[[int], Generator[bytes]]
"""The file's bytes from a place on."""


@dataclass(frozen=True)
class Fetched:
    """How it goes on after a step: it is done, with a file or a problem, or there is another one."""

    done: bool = False
    file: WeightsFile | None = None
    problem: str = ""
    note: str = ""
    """What an operator may want to know."""
    wait: int = 0
    """Seconds until the next step."""
    tries: int = 0
    """Steps in a row that came to nothing, for the next one."""
    use_mirror: bool = True
    """Whether the next one may copy the file from where it seems to be, too."""


class _Sums:
    """The sha256 of bytes, and whether they are the ones that the repository lists."""

    def __init__(self, file: RepositoryFile) -> None:
        self._kind, _, self._wanted = file.checksum.partition(":")
        self._sha256 = hashlib.sha256()
        self._blob = hashlib.sha1(f"blob {file.size}\0".encode(), usedforsecurity=False)

    def update(self, chunk: bytes) -> None:
        self._sha256.update(chunk)
        if self._kind == "git-sha1":
            self._blob.update(chunk)

    @property
    def sha256(self) -> str:
        return self._sha256.hexdigest()

    @property
    def are_right(self) -> bool:
        return self._wanted == (self.sha256 if self._kind == "sha256" else self._blob.hexdigest())


def fetch(
    model_id: str,
    revision: str,
    file: RepositoryFile,
    seconds_left: SecondsLeft,
    *,
    tries: int = 0,
    use_mirror: bool = True,
) -> Fetched:
    """Bring the file further, for as long as there is time."""
    stored = WeightsObject(model_id, revision, file)
    try:
        if origin := stored.origin():
            if found := stored.verified():
                return Fetched(done=True, file=found)
            return _read(stored, file, origin.source, is_ours=origin.checksum == file.checksum)
        upload = stored.unfinished()
        if upload is None and file.mirror and use_mirror:
            return _copy(stored, file)
        upload = upload or stored.begin()
        before = upload.size
        try:
            repository = weights_plan.repository(model_id, revision)
            return _download(stored, file, upload, partial(repository.chunks, file), seconds_left)
        except TryLater as error:
            later = put_off(error, 0 if upload.size > before else tries)
            return Fetched(bool(later.problem), problem=later.problem, wait=later.wait, tries=later.tries)
    except (WeightsRefused, SecretUnreadable) as error:
        if upload := stored.unfinished():
            upload.abort()
        return Fetched(done=True, problem=str(error))


def _read(stored: WeightsObject, file: RepositoryFile, source: str, *, is_ours: bool) -> Fetched:
    """Look at an object that is not marked: one that a step has left so, or somebody else."""
    sums = _Sums(file)
    for chunk in stored.chunks():
        sums.update(chunk)
    if sums.are_right:
        return Fetched(done=True, file=stored.mark(sums.sha256, source))
    stored.delete()
    if is_ours and source == "huggingface":
        raise _lied(file, sums)
    return _without_mirror(file, f"{file.path}: what lay in the bucket ({source}) is another file.")


def _copy(stored: WeightsObject, file: RepositoryFile) -> Fetched:
    try:
        stored.copy(file.mirror)
    except NotCopied as error:
        return _without_mirror(file, str(error))
    return Fetched()


def _without_mirror(file: RepositoryFile, note: str) -> Fetched:
    if settings().weights_source == "jumpstart" and file.mirror:
        raise WeightsRefused(f"{note} And weights_source is jumpstart.")
    return Fetched(note=note, use_mirror=False)


def _download(
    stored: WeightsObject, file: RepositoryFile, upload: Upload, chunks: Chunks, seconds_left: SecondsLeft
) -> Fetched:
    """Raises: WeightsRefused, TryLater."""
    before = upload.size
    sums = None if before else _Sums(file)
    if before < file.size:
        _transfer(file, upload, sums, chunks, seconds_left)
    if upload.size < file.size:
        if upload.size == before:
            raise TryLater(f"{file.path}: the server is too slow for a single part.")
        return Fetched()
    if sums is None:
        upload.complete()
        return Fetched()  # the next step reads it, with all its time
    if not sums.are_right:
        raise _lied(file, sums)
    upload.complete()
    return Fetched(done=True, file=stored.mark(sums.sha256, "huggingface"))


def _transfer(
    file: RepositoryFile, upload: Upload, sums: _Sums | None, chunks: Chunks, seconds_left: SecondsLeft
) -> None:
    """Add parts to the upload until the file is whole or the time is over.

    All parts but the last have the same size, so a step that runs twice at once stores the same parts twice.

    Raises: WeightsRefused, TryLater.
    """
    part_bytes = int(settings().weights_part_bytes)
    piece = bytearray()
    with closing(chunks(upload.size)) as arriving:
        for chunk in arriving:
            if sums:
                sums.update(chunk)
            piece += chunk
            while len(piece) >= part_bytes:
                upload.add(bytes(memoryview(piece)[:part_bytes]))
                del piece[:part_bytes]
            if seconds_left() < _RESERVED_SECONDS:
                break
    if piece and upload.size + len(piece) == file.size:
        upload.add(bytes(piece))


def _lied(file: RepositoryFile, sums: _Sums) -> WeightsRefused:
    return WeightsRefused(
        f"{file.path}: its content is not the one listed, {file.checksum} (its sha256 is {sums.sha256})."
    )

"""What a sync of base weights brings: the files of a repository's revision that training and serving read."""

import re
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from outcrop.base_models import BaseModel, find
from outcrop.operations.weights_trouble import put_off
from outcrop.settings import settings
from outcrop.stores import jumpstart, secrets, weights
from outcrop.stores.hugging_face import Repository, TryLater, WeightsRefused
from outcrop.stores.jumpstart import NotInJumpStart
from outcrop.stores.secrets import SecretUnreadable
from outcrop.types.weights import RepositoryFile

_WANTED = re.compile(
    r"[\w.-]+\.safetensors|[\w.-]+\.safetensors\.index\.json"
    r"|(config|generation_config|tokenizer|tokenizer_config|special_tokens_map|added_tokens|vocab)\.json"
    r"|tokenizer\.model|merges\.txt|chat_template\.(jinja|json)|(LICENSE|NOTICE|USAGE_POLICY)[\w.-]*",
    re.ASCII,
)
"""Names at the top of the repository. In folders below (`original/`, `metal/`, `onnx/`) are the same weights
for others, and so are .bin and .gguf."""
_NEEDED = ("config.json", "tokenizer.json")
_MOST_FILES = 200
"""Whose list a state machine carries along: it has room for 256 KiB."""


@dataclass(frozen=True)
class Plan:
    files: list[dict[str, Any]] = field(default_factory=list)
    """Each a `RepositoryFile`."""
    problem: str = ""
    """Why there is no plan."""
    note: str = ""
    wait: int = 0
    """Seconds until it is worth to ask again."""
    tries: int = 0


def make(model_id: str, revision: str, tries: int) -> Plan:
    """List the files of a revision. From then on the bucket has none of its weights, until the sync ends.
    `tries`: calls in a row that came to nothing."""
    try:
        model = in_catalogue(model_id)
        files = _chosen(repository(model_id, revision).entries(), model.repository or "")
        files, note = _mirrored(files, model)
    except (WeightsRefused, SecretUnreadable) as error:
        return Plan(problem=str(error))
    except TryLater as error:
        later = put_off(error, tries)
        return Plan(problem=later.problem, wait=later.wait, tries=later.tries)
    weights.remove_manifest(model_id, revision)
    return Plan(files=[file.model_dump() for file in files], note=note)


def repository(model_id: str, revision: str) -> Repository:
    """Raises: WeightsRefused, SecretUnreadable."""
    model = in_catalogue(model_id)
    arn = settings().hugging_face_secret
    token = secrets.text(arn) if arn else ""
    return Repository(settings().hugging_face_url, model.repository or "", revision, token)


def in_catalogue(model_id: str) -> BaseModel:
    """A model that has a repository. Raises: WeightsRefused."""
    model = find(model_id)
    if model is None or not model.repository:
        raise WeightsRefused(f"The catalogue has no repository for '{model_id}'.")
    return model


def _chosen(entries: list[Any], name: str) -> list[RepositoryFile]:
    """Raises: WeightsRefused."""
    files: dict[str, RepositoryFile] = {}
    for entry in entries:
        path = entry.get("path") if isinstance(entry, dict) else None
        if not isinstance(path, str) or entry.get("type") != "file" or not _WANTED.fullmatch(path):
            continue
        large = entry.get("lfs") or {}
        checksum = f"sha256:{large.get('oid')}" if large else f"git-sha1:{entry.get('oid')}"
        try:
            file = {"path": path, "size": entry.get("size"), "checksum": checksum}
            files[path] = RepositoryFile.model_validate(file)
        except ValidationError as error:
            raise WeightsRefused(f"{path}: its size or checksum is listed in a way that is none.") from error
    missing = [one for one in _NEEDED if one not in files]
    if not any(path.endswith(".safetensors") for path in files):
        missing.append("*.safetensors")
    if missing or len(files) > _MOST_FILES:
        reason = f"no {', '.join(missing)}" if missing else f"{len(files)} files"
        raise WeightsRefused(f"The list of files of {name} has {reason}: these are no weights to train on.")
    return sorted(files.values(), key=lambda file: file.path)


def _mirrored(files: list[RepositoryFile], model: BaseModel) -> tuple[list[RepositoryFile], str]:
    """The files, those that JumpStart seems to have too with the place there; and a note if it has none.

    Raises: WeightsRefused if weights are to come from JumpStart and from nowhere else.
    """
    source = settings().weights_source
    if source == "huggingface":
        return files, ""
    note = f"JumpStart has no {model.id}."
    try:
        copies = jumpstart.objects(model.jumpstart) if model.jumpstart else {}
    except NotInJumpStart as error:
        copies, note = {}, str(error)
    mirrored = [
        file.model_copy(update={"mirror": copies[file.path][0]})
        if file.path in copies and copies[file.path][1] == file.size
        else file
        for file in files
    ]
    lacking = [file.path for file in mirrored if not file.mirror and file.path.endswith(".safetensors")]
    if source == "jumpstart" and lacking:
        reason = note if not copies else f"The list of files there has no {', '.join(lacking)} of that size."
        raise WeightsRefused(f"weights_source is jumpstart, which does not have these weights. {reason}")
    return mirrored, "" if copies else note

"""The end of a sync: a manifest if every file is there, or the reasons why there is none."""

from collections.abc import Sequence

import orjson

from outcrop import s3_keys
from outcrop.ids import now
from outcrop.operations.weights_plan import in_catalogue
from outcrop.stores import weights
from outcrop.stores.objects import ObjectStore
from outcrop.stores.weights_objects import abort_unfinished
from outcrop.types.weights import RepositoryFile, WeightsFile, WeightsManifest

_INDEX = "model.safetensors.index.json"


def publish(
    model_id: str,
    revision: str,
    planned: Sequence[RepositoryFile],
    there: Sequence[WeightsFile],
    problems: Sequence[str],
) -> str:
    """Write the manifest. Returns why not, if not; no upload is left open then, and files that are whole stay
    for the next try."""
    lacking = {file.path for file in planned} - {file.path for file in there}
    reasons = list(problems) or [f"{path} is not there." for path in sorted(lacking)]
    prefix = s3_keys.base_model(model_id, revision)
    reasons = reasons or _missing_shards(prefix, there)
    abort_unfinished(prefix)
    if reasons:
        return " ".join(reasons)
    model = in_catalogue(model_id)
    _remove_others(prefix, there)
    weights.put_manifest(
        WeightsManifest(
            model=model.id,
            repository=model.repository or "",
            revision=revision,
            license=model.license,
            synced_at=now(),
            files=list(there),
        )
    )
    return ""


def _missing_shards(prefix: str, there: Sequence[WeightsFile]) -> list[str]:
    """Files that the index of the weights names, and the repository does not have."""
    names = {file.path for file in there}
    if _INDEX not in names:
        return []
    try:
        index = orjson.loads(ObjectStore().get(prefix + _INDEX))
        shards = {str(shard) for shard in index["weight_map"].values()}
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
        return [f"{_INDEX} is not an index of weights."]
    return [f"{_INDEX} names {shard}, which is not in the repository." for shard in sorted(shards - names)]


def _remove_others(prefix: str, there: Sequence[WeightsFile]) -> None:
    """What else lies below the prefix: all of it would come into the trainer's channel."""
    wanted = {prefix + file.path for file in there}
    store = ObjectStore()
    store.delete_all([key for key in store.list(prefix) if key not in wanted])

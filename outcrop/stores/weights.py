"""Base weights in the bucket: the manifest that says they are whole, and the executions that bring them."""

from pydantic import ValidationError

from outcrop import s3_keys
from outcrop.settings import settings
from outcrop.stores import workflows
from outcrop.stores.objects import ObjectStore
from outcrop.stores.workflows import Execution
from outcrop.types.weights import WeightsManifest


def manifest(model_id: str, revision: str) -> WeightsManifest | None:
    """None if there is none, or it cannot be read: the weights are then looked at anew."""
    try:
        return WeightsManifest.model_validate_json(
            ObjectStore().get(s3_keys.weights_manifest(model_id, revision))
        )
    except (FileNotFoundError, ValidationError):
        return None


def put_manifest(manifest: WeightsManifest) -> None:
    key = s3_keys.weights_manifest(manifest.model, manifest.revision)
    ObjectStore().put(key, manifest.model_dump_json(indent=2).encode())


def remove_manifest(model_id: str, revision: str) -> None:
    ObjectStore().delete(s3_keys.weights_manifest(model_id, revision))


def sync_name(model_id: str, revision: str, number: int) -> str:
    """Of the execution that is the try of that number: Step Functions refuses a second one."""
    return f"{model_id}-{revision[:12]}-{number}"


def start_sync(model_id: str, revision: str, number: int) -> None:
    """One already started is success."""
    name = sync_name(model_id, revision, number)
    workflows.start(settings().weights_workflow_arn, name, {"model": model_id, "revision": revision})


def find_sync(model_id: str, revision: str, number: int) -> Execution | None:
    return workflows.find(settings().weights_workflow_arn, sync_name(model_id, revision, number))

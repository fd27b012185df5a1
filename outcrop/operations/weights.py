"""The base weights of a model: whether they are in the bucket, and having them brought there.

A sync is an execution of the workflow of `OutcropWeights`, named by model, revision and the number of the
try, so however many ask for it at once, it runs once. What it does is in `weights_sync`.
"""

from dataclasses import dataclass
from typing import Literal

from outcrop.base_models import BaseModel
from outcrop.stores import weights
from outcrop.stores.workflows import Execution
from outcrop.types.weights import WeightsManifest

State = Literal["complete", "syncing", "failed", "absent"]


@dataclass(frozen=True)
class Weights:
    model: BaseModel
    state: State
    sync: str = ""
    """The newest sync, if it matters: the name of its execution."""
    reason: str = ""
    """Why that one failed."""
    bytes: int = 0
    """Of all files, once they are there."""

    @property
    def explanation(self) -> str:
        """For whoever needs them."""
        whose = f"The weights of {self.model.id}"
        match self.state:
            case "complete":
                return f"{whose} are in the bucket."
            case "syncing":
                return f"{whose} are on their way into the bucket (sync {self.sync})."
            case "failed":
                return f"{whose} are not in the bucket: the sync {self.sync} failed. {self.reason}"
            case "absent":
                return f"{whose} are not in the bucket: `outcrop models sync {self.model.id}` fetches them."


def status(model: BaseModel) -> Weights:
    """A model without a repository needs no sync: its weights are the affair of whoever offers it."""
    if not model.repository or not model.revision:
        return Weights(model, "complete")
    if manifest := _manifest(model):
        return Weights(model, "complete", bytes=manifest.bytes)
    _, newest = _tries(model.id, model.revision)
    if newest is None:
        return Weights(model, "absent")
    if newest.status == "SUCCEEDED":  # since the first look, or they were deleted later
        manifest = _manifest(model)
        return Weights(model, "complete" if manifest else "absent", bytes=manifest.bytes if manifest else 0)
    if newest.status in ("RUNNING", "PENDING_REDRIVE"):
        return Weights(model, "syncing", newest.name)
    reason = newest.cause or f"Its execution has the status {newest.status}."
    return Weights(model, "failed", newest.name, reason)


def ensure(model: BaseModel) -> Weights:
    """As `status`, but weights that are not there are on their way afterwards: a new try begins if the last
    one is over."""
    found = status(model)
    if found.state in ("complete", "syncing") or not model.revision:
        return found
    tries, _ = _tries(model.id, model.revision)
    weights.start_sync(model.id, model.revision, tries + 1)
    return Weights(model, "syncing", weights.sync_name(model.id, model.revision, tries + 1))


def _manifest(model: BaseModel) -> WeightsManifest | None:
    found = weights.manifest(model.id, model.revision or "")
    return found if found and found.revision == model.revision else None


def _tries(model_id: str, revision: str) -> tuple[int, Execution | None]:
    """How many there were, and the newest. Step Functions forgets each after 90 days; then the name is free
    again."""
    tries: list[Execution] = []
    while found := weights.find_sync(model_id, revision, len(tries) + 1):
        tries.append(found)
    return len(tries), tries[-1] if tries else None

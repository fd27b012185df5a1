"""Base weights: each revision in the bucket is pinned, trained by a job or served by an endpoint."""

from collections.abc import Iterator, Sequence
from itertools import groupby

from outcrop import base_models, s3_keys
from outcrop.ids import now
from outcrop.lifecycle import is_terminal
from outcrop.operations.reconcile.finding import Finding
from outcrop.settings import settings
from outcrop.stores import lookups
from outcrop.stores.jobs import JobStore
from outcrop.stores.objects import ObjectStore, StoredObject

_SETTLED_SECONDS = 24 * 3600
"""What is younger may be of a sync that goes on."""


def of_revisions(projects: Sequence[str]) -> Iterator[Finding]:
    used: set[str] | None = None
    for prefix, objects in groupby(ObjectStore().details(s3_keys.BASE_MODELS), key=_folder):
        left = [*objects]
        if prefix in _pinned() or now() - max(one.modified_at for one in left) < _SETTLED_SECONDS:
            continue
        used = {*_trained(projects), *_served()} if used is None else used
        if prefix not in used:
            yield _unused(prefix, left)


def _unused(prefix: str, left: Sequence[StoredObject]) -> Finding:
    size = sum(one.size for one in left) / 10**9
    says = f"{size:.1f} GB of base weights that no model here pins, no job trains and no endpoint serves."
    if not any(one.key == f"{prefix}manifest.json" for one in left):  # nobody else may have them
        says += f" No sync has brought them: `aws s3 rm --recursive s3://{settings().bucket}/{prefix}`."
        return Finding(f"weights {prefix}", says)
    keys = [one.key for one in left]
    return Finding(
        f"weights {prefix}",
        says,
        repair=lambda: ObjectStore().delete_all(keys),
        mends="They are deleted; a job that wants them has them fetched again.",
    )


def _folder(one: StoredObject) -> str:
    """`models/{id}/{revision}/`."""
    return "".join(f"{part}/" for part in one.key.split("/")[:-1][:3])


def _pinned() -> set[str]:
    return {s3_keys.base_model(model.id, model.revision) for model in base_models.known()}


def _trained(projects: Sequence[str]) -> Iterator[str]:
    for project in projects:
        for job in JobStore(project).every():
            if not is_terminal(job.status):
                yield s3_keys.base_model(job.model, job.base_revision)


def _served() -> Iterator[str]:
    """A model is there for as long as the endpoint that it was made with."""
    if settings().serving == "openai_compatible":
        return
    bucket = f"s3://{settings().bucket}/"
    for one in lookups.every("sagemaker", "list_models", "Models", NameContains="outcrop-"):
        found = lookups.find(
            "sagemaker", "describe_model", absent="ValidationException", ModelName=one["ModelName"]
        )
        data = (found or {}).get("PrimaryContainer", {}).get("ModelDataSource", {}).get("S3DataSource", {})
        yield str(data.get("S3Uri", "")).removeprefix(bucket)

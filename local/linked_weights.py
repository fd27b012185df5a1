"""Manifests of the base weights that lie on this machine: training jobs get them linked, so nothing fetches
them and no job waits for them.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from local.cache import weights
from outcrop import base_models, s3_keys
from outcrop.ids import now
from outcrop.types.weights import WeightsManifest


def channels(models: Sequence[str]) -> dict[str, Path]:
    """Prefixes of the bucket, and the folders that a training job gets instead."""
    found = filter(None, map(base_models.find, models))
    return {s3_keys.base_model(model.id, model.revision): weights(model.id) for model in found}


def announce(s3: Any, bucket: str, models: Sequence[str]) -> None:
    """To the emulated bucket `bucket`, which holds nothing else of these models."""
    for model in filter(None, map(base_models.find, models)):
        manifest = WeightsManifest(
            model=model.id,
            repository=model.repository or "",
            revision=model.revision or "",
            license=model.license,
            synced_at=now(),
            files=[],
        )
        key = s3_keys.weights_manifest(model.id, model.revision)
        s3.put_object(Bucket=bucket, Key=key, Body=manifest.model_dump_json())

"""Manifests of the base weights that lie on this machine: training jobs get them linked, so nothing fetches
them and no job waits for them.
"""

from collections.abc import Sequence
from typing import Any

from outcrop import base_models, s3_keys
from outcrop.ids import now
from outcrop.types.weights import WeightsManifest


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
        s3.put_object(Bucket=bucket, Key=s3_keys.weights_manifest(model.id), Body=manifest.model_dump_json())

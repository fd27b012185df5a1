"""Every environment variable, typed, read in one place.

The stacks set them, each function only those it uses; the trainer gets its own through `CreateTrainingJob`.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cache, cached_property
from pathlib import Path

from outcrop.types.judge import Judges
from outcrop.types.judge import parse as parse_judges


@dataclass(frozen=True)
class Settings:
    table: str = ""
    """OUTCROP_TABLE: name of the DynamoDB table."""
    bucket: str = ""
    """OUTCROP_BUCKET: name of the S3 bucket."""
    state_machine_arn: str = ""
    """OUTCROP_STATE_MACHINE_ARN: the training workflow."""
    file_workflow_arn: str = ""
    """OUTCROP_FILE_WORKFLOW_ARN: the workflow that puts an upload's parts together and validates a file's
    rows."""
    response_workflow_arn: str = ""
    """OUTCROP_RESPONSE_WORKFLOW_ARN: the workflow that runs one background response."""
    max_concurrent_jobs: str = "2"
    """OUTCROP_MAX_CONCURRENT_JOBS: jobs of one project that train at the same time; more wait in `queued`."""
    s3_sources: str = "{}"
    """OUTCROP_S3_SOURCES: JSON, project (or `*`) to the `s3://bucket/prefix` list that it may name as
    files."""
    judges: str = "{}"
    """OUTCROP_JUDGES: JSON, the judges of `outcrop/types/judge.py` by name."""
    sandbox_function: str = ""
    """OUTCROP_SANDBOX_FUNCTION: ARN of the function that runs Python graders."""
    base_models: str = ""
    """OUTCROP_BASE_MODELS: ids of the models this deployment offers, joined by commas."""
    training_image: str = ""
    """OUTCROP_TRAINING_IMAGE: URI of the trainer's container image."""
    instance_type: str = ""
    """OUTCROP_INSTANCE_TYPE: overrides the model's own list of instance types."""
    max_runtime_seconds: str = "86400"
    """OUTCROP_MAX_RUNTIME_SECONDS: a training job still running after that is stopped."""
    serving_url: str = ""
    """OUTCROP_SERVING_URL: base URL of the OpenAI-compatible server that holds the models."""
    ml_root: str = "/opt/ml"
    """OUTCROP_ML_ROOT: root of SageMaker's container layout; a folder of the job's own in local mode."""

    @classmethod
    def from_env(cls, env: Mapping[str, str] = os.environ) -> "Settings":
        names = {field.name: f"OUTCROP_{field.name.upper()}" for field in fields(cls)}
        return cls(**{field: env[name] for field, name in names.items() if name in env})

    @property
    def offered_models(self) -> list[str]:
        return [id for id in self.base_models.split(",") if id]

    @cached_property
    def judge_models(self) -> Judges:
        """Raises: ValueError."""
        return parse_judges(json.loads(self.judges))

    @property
    def ml_path(self) -> Path:
        return Path(self.ml_root)


@cache
def settings() -> Settings:
    """This process's settings, read once at its first use."""
    return Settings.from_env()

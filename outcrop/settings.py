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
    weights_workflow_arn: str = ""
    """OUTCROP_WEIGHTS_WORKFLOW_ARN: the workflow that brings a base model's weights into the bucket."""
    weights_source: str = "auto"
    """OUTCROP_WEIGHTS_SOURCE: `huggingface`, `jumpstart`, or `auto` for whichever has the files."""
    weights_part_bytes: str = "67108864"
    """OUTCROP_WEIGHTS_PART_BYTES: as many bytes of a file are held in memory, and are lost with a crash."""
    hugging_face_url: str = "https://huggingface.co"
    """OUTCROP_HUGGING_FACE_URL: where repositories are; the only place that gets to see the token."""
    hugging_face_secret: str = ""
    """OUTCROP_HUGGING_FACE_SECRET: ARN of the secret with a token, for repositories that ask for one."""
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
    own_models: str = "[]"
    """OUTCROP_OWN_MODELS: JSON, the models of `outcrop/own_models.py` that this deployment adds to the
    catalogue."""
    training_image: str = ""
    """OUTCROP_TRAINING_IMAGE: URI of the trainer's container image."""
    instance_types: str = "{}"
    """OUTCROP_INSTANCE_TYPES: JSON, base model (or `*`) to the SageMaker instance types to ask for, in order;
    the catalogue's where there is none."""
    instance_count: str = "{}"
    """OUTCROP_INSTANCE_COUNT: JSON, base model to the machines that train it together; one where there is
    none."""
    verl_image: str = ""
    """OUTCROP_VERL_IMAGE: URI of the container image that trains on several machines."""
    image_projects: str = "{}"
    """OUTCROP_IMAGE_PROJECTS: JSON, URI of each training image that the deployment builds to its CodeBuild
    project."""
    spot: str = "false"
    """OUTCROP_SPOT: `true` to ask for spot instances first."""
    max_wait_seconds: str = "21600"
    """OUTCROP_MAX_WAIT_SECONDS: a job whose machines are all refused asks for them again for that long."""
    max_runtime_seconds: str = "86400"
    """OUTCROP_MAX_RUNTIME_SECONDS: an attempt still training after that is stopped, and its job paused."""
    job_budget_usd: str = "0"
    """OUTCROP_JOB_BUDGET_USD: what training may cost for a job that names no budget; 0 for no limit."""
    warm_pool_seconds: str = "0"
    """OUTCROP_WARM_POOL_SECONDS: a machine on demand is kept that long for the next job."""
    training_vpc: str = "{}"
    """OUTCROP_TRAINING_VPC: JSON, `VpcConfig` as CreateTrainingJob takes it; empty for none."""
    kms_key: str = ""
    """OUTCROP_KMS_KEY: ARN of the key that encrypts volumes and output of training jobs."""
    serving: str = "openai_compatible"
    """OUTCROP_SERVING: what answers as the models: `sagemaker`, `bedrock_import` or `openai_compatible`."""
    serving_url: str = ""
    """OUTCROP_SERVING_URL: base URL of the OpenAI-compatible server that holds the models."""
    serving_role_arn: str = ""
    """OUTCROP_SERVING_ROLE_ARN: the role that SageMaker endpoints run with."""
    import_role_arn: str = ""
    """OUTCROP_IMPORT_ROLE_ARN: the role that Amazon Bedrock reads merged weights with."""
    serving_image: str = ""
    """OUTCROP_SERVING_IMAGE: URI of the vLLM container that endpoints run."""
    serving_instances: str = "{}"
    """OUTCROP_SERVING_INSTANCES: JSON, base model to the instance types of its endpoint, the preferred one
    first; the catalogue's if it is not there."""
    max_adapters: str = "100"
    """OUTCROP_MAX_ADAPTERS: tuned models and checkpoints that an endpoint holds at a time."""
    sampler: str = "auto"
    """OUTCROP_SAMPLER: what writes completions in training: `vllm`, `loop` (the trainer's own), or `auto` for
    vLLM where it is installed and there is a GPU."""
    sampler_gpus: str = "0"
    """OUTCROP_SAMPLER_GPUS: of a training machine's GPUs, how many only sample; 0: all train and sample."""
    ml_root: str = "/opt/ml"
    """OUTCROP_ML_ROOT: root of SageMaker's container layout; a folder of the job's own in local mode."""

    @classmethod
    def from_env(cls, env: Mapping[str, str] = os.environ) -> "Settings":
        names = {field.name: f"OUTCROP_{field.name.upper()}" for field in fields(cls)}
        return cls(**{field: env[name] for field, name in names.items() if name in env})

    @property
    def offered_models(self) -> list[str]:
        return [id for id in self.base_models.split(",") if id]

    @property
    def on_spot(self) -> bool:
        return self.spot == "true"

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

"""What one attempt of a job asks of SageMaker: its `TrainingSpec` and the parameters of the call."""

import json
import re
from dataclasses import replace
from typing import Any

from outcrop import dataset, hyperparameters, s3_keys, training_metrics
from outcrop.base_models import BaseModel, find
from outcrop.errors import APIError
from outcrop.ids import tuned_model_id
from outcrop.operations import job_memory, launches, limits, machines, training_images
from outcrop.operations.machines import Machine
from outcrop.settings import settings
from outcrop.stores import training_jobs
from outcrop.stores.files import FileStore
from outcrop.stores.objects import ObjectStore
from outcrop.training_spec import TrainingSpec
from outcrop.types.fine_tuning_job import FineTuningJob

_HAS_OWN_DISKS = re.compile(r"ml\.([a-z]+\d+[a-z]*d[a-z]*|g[567]e?|p5\w*|p6[\w-]*|trn\w+)\.")
"""Instance families with instance store volumes."""


def write_spec(job: FineTuningJob, attempt: int) -> None:
    """Put the spec where the channel `config` finds it; "auto" becomes numbers here."""
    project = job.organization_id
    model = base_model(job)
    asked = job.method.reinforcement
    files = FileStore(project)
    rows = dataset.count(files.lines(files.get(job.training_file)))
    spec = TrainingSpec(
        project=project,
        job_id=job.id,
        attempt=attempt,
        base_model=model.id,
        fine_tuned_model=tuned_model_id(job.model, project, job.user_provided_suffix, job.id),
        grader=asked.grader,
        judges=settings().judge_models,
        hyperparameters=hyperparameters.resolve(asked.hyperparameters, model, rows),
        seed=job.seed,
        response_format=asked.response_format,
        merge=settings().serving == "bedrock_import",
    )
    key = f"{s3_keys.config(project, job.id, attempt)}spec.json"
    ObjectStore().put(key, spec.model_dump_json().encode())


def parameters(job: FineTuningJob, attempt: int, launch: int, machine: Machine) -> dict[str, Any]:
    """As CreateTrainingJob takes them; the workflow's Train state passes these on and adds the role."""
    project = job.organization_id
    model = base_model(job)
    files = FileStore(project)
    channels = {
        "config": _uri(s3_keys.config(project, job.id, attempt)),
        "model": _uri(s3_keys.base_model(model.id, model.revision)),
        "training": files.uri(files.get(job.training_file)),
    }
    if job.validation_file:
        channels["validation"] = files.uri(files.get(job.validation_file))
    return {
        "TrainingJobName": training_jobs.name(job.id, attempt, launch),
        "AlgorithmSpecification": {
            "TrainingImage": training_images.uri(machine.count),
            "TrainingInputMode": "File",
            "MetricDefinitions": training_metrics.definitions(),
        },
        "InputDataConfig": [_channel(name, uri) for name, uri in channels.items()],
        "OutputDataConfig": {
            "S3OutputPath": _uri(s3_keys.output(project, job.id, attempt)),
            "CompressionType": "NONE",
            **({"KmsKeyId": settings().kms_key} if settings().kms_key else {}),
        },
        "CheckpointConfig": {
            "S3Uri": _uri(s3_keys.checkpoints(project, job.id)),
            "LocalPath": "/opt/ml/checkpoints",
        },
        "ResourceConfig": {
            "InstanceType": machine.instance_type,
            "InstanceCount": machine.count,
            "VolumeSizeInGB": machines.volume_gb(
                model, is_full=job.method.reinforcement.hyperparameters.finetuning_type == "full"
            ),
            **_volume_key(machine),
            **_warm_pool(machine),
        },
        "StoppingCondition": _stopping(job, machine, model),
        "EnableManagedSpotTraining": machine.is_spot,
        **({"VpcConfig": vpc} if (vpc := json.loads(settings().training_vpc)) else {}),
        "Environment": {
            "OUTCROP_TABLE": settings().table,
            "OUTCROP_BUCKET": settings().bucket,
            "OUTCROP_SANDBOX_FUNCTION": settings().sandbox_function,
            "OUTCROP_SAMPLER": settings().sampler,
            "OUTCROP_SAMPLER_GPUS": settings().sampler_gpus,
        },
    }


def _stopping(job: FineTuningJob, machine: Machine, model: BaseModel) -> dict[str, int]:
    """On a spot instance, the time to wait for one counts too, at the beginning and after interruptions."""
    seconds = limits.seconds_on(machine, job)
    pending = launches.pending_seconds(job_memory.machines_for(job.method, model))
    if machine.is_spot:
        return {"MaxRuntimeInSeconds": seconds, "MaxWaitTimeInSeconds": seconds + pending}
    return {"MaxRuntimeInSeconds": seconds, "MaxPendingTimeInSeconds": pending}


def _volume_key(machine: Machine) -> dict[str, str]:
    """SageMaker takes no key for disks of the instance itself, which the hardware encrypts."""
    has_own_disks = _HAS_OWN_DISKS.match(machine.instance_type)
    return {"VolumeKmsKeyId": settings().kms_key} if settings().kms_key and not has_own_disks else {}


def _warm_pool(machine: Machine) -> dict[str, int]:
    """Spot instances cannot be kept."""
    seconds = int(settings().warm_pool_seconds)
    return {"KeepAlivePeriodInSeconds": seconds} if seconds and not machine.is_spot else {}


def base_model(job: FineTuningJob) -> BaseModel:
    """With the revision that the job was made for: one that is pinned later is for other jobs."""
    model = find(job.model)
    if model is None:  # `jobs.create` lets none through: only a model dropped from the catalogue gets here
        raise APIError(f"The model '{job.model}' is not in the catalogue any more.", param="model")
    return replace(model, revision=job.base_revision) if job.base_revision else model


def _channel(name: str, uri: str) -> dict[str, Any]:
    source = {"S3DataType": "S3Prefix", "S3Uri": uri, "S3DataDistributionType": "FullyReplicated"}
    return {"ChannelName": name, "DataSource": {"S3DataSource": source}}


def _uri(key: str) -> str:
    return f"s3://{settings().bucket}/{key}"

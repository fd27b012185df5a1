"""The patched emulator in this process, stock moto in another, and training jobs that run `container.py`."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from local import moto_patches
from local.training_jobs import TrainingJobs

HERE = Path(__file__).parent
REGION = "us-west-2"
BUCKET = "training-bucket"
ROLE = "arn:aws:iam::123456789012:role/any"

MakeRequest = Callable[..., dict[str, Any]]


@pytest.fixture(scope="session")
def stock() -> dict[str, Any]:
    """What moto does unpatched: the other half of each canary."""
    run = subprocess.run([sys.executable, HERE / "stock_moto.py"], capture_output=True, check=True)
    return json.loads(run.stdout)


@pytest.fixture
def training_jobs(tmp_path: Path) -> Iterator[TrainingJobs]:
    jobs = TrainingJobs(
        tmp_path / "jobs",
        command=[sys.executable, str(HERE / "container.py")],
        environment={"PATH": os.environ["PATH"], "AWS_DEFAULT_REGION": REGION},
        linked_channels={"models/": tmp_path / "weights"},
        stop_seconds=1,
        sync_seconds=0.1,
    )
    yield jobs
    jobs.close(grace_seconds=0)


@pytest.fixture
def emulator(training_jobs: TrainingJobs, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An account with a bucket. Its functions answer with their name and payload; `raises` raises."""

    def invoke(name: str, payload: bytes) -> tuple[bytes, bool]:
        if name == "raises":
            return json.dumps({"errorType": "ValueError", "errorMessage": "no good"}).encode(), True
        return json.dumps({"function": name, "payload": json.loads(payload)}).encode(), False

    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    with mock_aws(config=moto_patches.CONFIG):
        monkeypatch.setattr(boto3, "DEFAULT_SESSION", _session())
        moto_patches.install(invoke=invoke, training_jobs=training_jobs)
        boto3.client("s3").create_bucket(
            Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION}
        )
        yield
        training_jobs.close(grace_seconds=0)  # while S3 is still emulated


@pytest.fixture
def request_of() -> MakeRequest:
    """`request_of("name", {"exit": "1"}, **changes)`: a complete CreateTrainingJob request."""

    def make(name: str, does: dict[str, str] | None = None, **changes: Any) -> dict[str, Any]:
        return {
            "TrainingJobName": name,
            "HyperParameters": does or {},
            "AlgorithmSpecification": {
                "TrainingImage": "123456789012.dkr.ecr.us-west-2.amazonaws.com/outcrop:1",
                "TrainingInputMode": "File",
            },
            "RoleArn": ROLE,
            "OutputDataConfig": {"S3OutputPath": f"s3://{BUCKET}/output/"},
            "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
            "StoppingCondition": {"MaxRuntimeInSeconds": 60},
        } | changes

    return make


@cache
def _session() -> boto3.Session:
    """One for all tests: reading the service models again for each would take most of their time."""
    return boto3.Session()


def ended(name: str) -> dict[str, Any]:
    """The description of a training job, once it has ended."""
    client = boto3.client("sagemaker")
    return dict(
        until(
            lambda: client.describe_training_job(TrainingJobName=name),
            lambda job: job["TrainingJobStatus"] in ("Completed", "Failed", "Stopped"),
        )
    )


def until(look: Callable[[], Any], satisfied: Callable[[Any], Any] = bool) -> Any:
    """Look again and again until what is seen satisfies; fails after half a minute."""
    deadline = time.monotonic() + 30
    while not satisfied(seen := look()):
        assert time.monotonic() < deadline, f"still {seen!r} after 30 seconds"
        time.sleep(0.02)
    return seen

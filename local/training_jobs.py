"""SageMaker training jobs as processes of this machine, under SageMaker's container contract."""

import threading
import time
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3

from local.training_faults import Fault, quota_exceeded
from local.training_job import TrainingJob

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

STOP_SECONDS = 120.0
"""Between SIGTERM and SIGKILL, as on SageMaker."""
SYNC_SECONDS = 2.0
"""Between two copies of new checkpoints to S3."""
CLOSE_SECONDS = 10.0
"""What a running job gets to save when the emulated AWS itself ends."""


class TrainingJobExists(Exception):
    """Training job names are unique, for ever."""


class TrainingJobs:
    """Runs `command` once for each job; `root/{job name}` is its `/opt/ml`, `log.txt` in it its output.

    `environment` is all that a job gets besides what its request asks for; S3 is reached by the endpoint and
    the credentials in it. `linked_channels` maps S3 key prefixes to folders to link instead of copying.

    `faults` is there for tests: what happens to the next training jobs on a type of machine, in that order.
    """

    def __init__(
        self,
        root: Path,
        *,
        command: list[str],
        environment: Mapping[str, str],
        linked_channels: Mapping[str, Path],
        stop_seconds: float = STOP_SECONDS,
        sync_seconds: float = SYNC_SECONDS,
    ) -> None:
        self.root = root
        self.command = command
        self.environment = environment
        self.linked_channels = linked_channels
        self.stop_seconds = stop_seconds
        self.sync_seconds = sync_seconds
        self.faults: dict[str, list[Fault]] = {}
        self._jobs: dict[str, TrainingJob] = {}
        self._lock = threading.Lock()

    def start(self, request: Mapping[str, Any]) -> None:
        """Take what CreateTrainingJob takes; returns at once. Raises: TrainingJobExists, QuotaExceeded."""
        name, machine = request["TrainingJobName"], request["ResourceConfig"]["InstanceType"]
        with self._lock:
            if name in self._jobs:
                raise TrainingJobExists(name)
            faults = self.faults.get(machine)
            fault = faults.pop(0) if faults else None
            if fault in ("quota_zero", "quota_in_use"):
                raise quota_exceeded(request, fault)
            self._jobs[name] = job = TrainingJob(self, request, fault)
        job.thread.start()

    def stop(self, name: str) -> str | None:
        """Ask a job that is in progress to stop. The status it had; None for an unknown name."""
        job = self._jobs.get(name)
        return job.stop() if job else None

    def describe(self, name: str) -> dict[str, Any] | None:
        """What DescribeTrainingJob answers, but for the ARN; None for an unknown name."""
        job = self._jobs.get(name)
        return job.describe() if job else None

    def close(self, grace_seconds: float = CLOSE_SECONDS) -> None:
        """End every process. The jobs keep their status: the end of the emulator is no outcome of theirs."""
        jobs = [job for job in self._jobs.values() if job.thread.is_alive()]
        for job in jobs:
            job.close_at = time.monotonic() + grace_seconds
        for job in jobs:
            job.thread.join()

    @cached_property
    def s3(self) -> "S3Client":
        return boto3.Session(
            aws_access_key_id=self.environment.get("AWS_ACCESS_KEY_ID", "local"),
            aws_secret_access_key=self.environment.get("AWS_SECRET_ACCESS_KEY", "local"),
            region_name=self.environment.get("AWS_DEFAULT_REGION"),
        ).client("s3", endpoint_url=self.environment.get("AWS_ENDPOINT_URL"))

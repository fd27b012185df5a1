"""Training jobs that go as a test says, in place of the processes of `local.training_jobs`."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from local.training_faults import Fault, Refusal, quota_exceeded, without_a_machine
from local.training_jobs import TrainingJobExists
from outcrop import s3_keys
from outcrop.errors import StateError
from outcrop.stores.jobs import JobStore
from outcrop.stores.objects import ObjectStore
from outcrop.training_spec import TrainingResult, TrainingSpec

Script = Callable[[TrainingSpec], dict[str, Any]]
"""What a trainer does with its spec, and how SageMaker then describes the job."""


def completes(spec: TrainingSpec) -> dict[str, Any]:
    if not _runs(spec):
        return {"TrainingJobStatus": "Completed"}
    adapter = s3_keys.adapter(spec.project, spec.job_id, 24)
    result = TrainingResult(step=24, adapter_key=adapter, trained_tokens=1234, metrics={})
    ObjectStore().put(
        s3_keys.result(spec.project, spec.job_id, spec.attempt), result.model_dump_json().encode()
    )
    return {"TrainingJobStatus": "Completed"}


def leaves_no_result(spec: TrainingSpec) -> dict[str, Any]:
    _runs(spec)
    return {"TrainingJobStatus": "Completed"}


def goes_on(spec: TrainingSpec) -> dict[str, Any]:
    """Until it is stopped."""
    _runs(spec)
    return {"TrainingJobStatus": "InProgress", "SecondaryStatus": "Training"}


def never_starts(spec: TrainingSpec) -> dict[str, Any]:
    return {"TrainingJobStatus": "Failed", "FailureReason": "InternalServerError: We encountered an error."}


def fails(reason: str) -> Script:
    def script(spec: TrainingSpec) -> dict[str, Any]:
        _runs(spec)
        return {"TrainingJobStatus": "Failed", "FailureReason": reason}

    return script


def runs_out_of_time(spec: TrainingSpec) -> dict[str, Any]:
    _runs(spec)
    return {"TrainingJobStatus": "Stopped", "SecondaryStatus": "MaxRuntimeExceeded"}


def loses_its_spot_instance(spec: TrainingSpec) -> dict[str, Any]:
    """And gets no other one."""
    _runs(spec)
    ended = {"TrainingJobStatus": "Stopped", "SecondaryStatus": "MaxWaitTimeExceeded"}
    return {**ended, "TrainingStartTime": datetime.now(UTC)}


def billed(seconds: int, script: Script) -> Script:
    def then(spec: TrainingSpec) -> dict[str, Any]:
        return {**script(spec), "BillableTimeInSeconds": seconds}

    return then


def is_killed(spec: TrainingSpec) -> dict[str, Any]:
    """By SIGKILL."""
    return fails("AlgorithmError: killed by signal 9 (out of memory?), exit code: 137")(spec)


class ScriptedTrainingJobs:
    """Every training job that gets a machine follows the next script; those after the last one complete.

    `faults` are as those of `local.training_jobs.TrainingJobs`.
    """

    def __init__(self) -> None:
        self.scripts: list[Script] = []
        self.faults: dict[str, list[Fault]] = {}
        self.requests: list[dict[str, Any]] = []
        self._jobs: dict[str, dict[str, Any]] = {}
        self._specs: dict[str, TrainingSpec] = {}

    def start(self, request: Mapping[str, Any]) -> None:
        name = request["TrainingJobName"]
        if name in self._jobs:
            raise TrainingJobExists(name)
        faults = self.faults.get(request["ResourceConfig"]["InstanceType"])
        fault = faults.pop(0) if faults else None
        if fault in ("quota_zero", "quota_in_use"):
            raise quota_exceeded(request, fault)
        self.requests.append(dict(request))
        if fault and (refusal := without_a_machine(fault)):
            self._jobs[name] = _refused(request, refusal)
            return
        config = request["InputDataConfig"][0]["DataSource"]["S3DataSource"]["S3Uri"]
        _, _, prefix = config.removeprefix("s3://").partition("/")
        spec = TrainingSpec.model_validate_json(ObjectStore().get(f"{prefix}spec.json"))
        script = self.scripts.pop(0) if self.scripts else completes
        self._specs[name] = spec
        self._jobs[name] = job = {
            **request,
            "TrainingJobStatus": "InProgress",
            "CreationTime": datetime.now(UTC),
        }
        outcome = script(spec)
        if job["TrainingJobStatus"] == "InProgress":  # not stopped meanwhile
            job.update(outcome)

    def stop(self, name: str) -> str | None:
        job = self._jobs.get(name)
        if job is None:
            return None
        before = job["TrainingJobStatus"]
        if before == "InProgress":
            job.update(TrainingJobStatus="Stopped", SecondaryStatus="Stopped")
        return before

    def describe(self, name: str) -> dict[str, Any] | None:
        return self._jobs.get(name)

    @property
    def machines(self) -> list[str]:
        """What was asked for, one after the other, but for what a quota refused."""
        return [
            request["ResourceConfig"]["InstanceType"]
            + (" spot" if request["EnableManagedSpotTraining"] else "")
            for request in self.requests
        ]

    def end(self, name: str, script: Script) -> None:
        """Let a job that goes on end."""
        self._jobs[name].update(script(self._specs[name]))


def _refused(request: Mapping[str, Any], refusal: Refusal) -> dict[str, Any]:
    waited = request["StoppingCondition"].get(refusal.waited_for, 0)
    now = datetime.now(UTC)
    described = {**request, "CreationTime": now - timedelta(seconds=waited), "LastModifiedTime": now}
    if refusal.reason:
        return {**described, "TrainingJobStatus": "Failed", "FailureReason": refusal.reason}
    return {**described, "TrainingJobStatus": "Stopped", "SecondaryStatus": refusal.stops_as}


def _runs(spec: TrainingSpec) -> bool:
    """Whether the job is running, after the trainer's first act; a cancelled job is left alone."""
    jobs = JobStore(spec.project)
    try:
        return jobs.transition(spec.job_id, "running", of_attempt=spec.attempt).status == "running"
    except StateError:
        job = jobs.get(spec.job_id)
        return job.status == "running" and job.attempt == spec.attempt

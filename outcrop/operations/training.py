"""The life of a job after its creation: what the workflow's steps do. Every one of them may run twice.

A step that finds the job in a final status does nothing and says that the workflow is over.
"""

from dataclasses import dataclass
from typing import Any, Literal

from pydantic import ValidationError

from outcrop import dataset, s3_keys
from outcrop.errors import NotFoundError, StateError
from outcrop.ids import now, tuned_model_id
from outcrop.lifecycle import is_terminal
from outcrop.operations import training_failure, training_job
from outcrop.settings import settings
from outcrop.stores import training_jobs
from outcrop.stores.events import EventStore
from outcrop.stores.files import FileStore
from outcrop.stores.jobs import JobStore
from outcrop.stores.models import ModelStore
from outcrop.stores.objects import ObjectStore
from outcrop.training_spec import TrainingResult
from outcrop.types.event import EventLevel
from outcrop.types.fine_tuning_job import FineTuningJob, JobError
from outcrop.types.model import TunedModel

MAX_ATTEMPTS = 3
"""Attempts of a job whose machine fails; all but the first resume from the newest checkpoint."""

Next = Literal["over", "wait", "register", "resume"]


@dataclass(frozen=True)
class Verdict:
    """What the workflow does after its training job stopped, or after it lost sight of it."""

    next: Next
    attempt: int


def start(job: FineTuningJob) -> None:
    """Start the workflow of the job's current attempt; once started, starting it again changes nothing."""
    training_jobs.start_execution(job.organization_id, job.id, job.attempt)


def stop(job: FineTuningJob) -> None:
    """Ask the trainer to save and leave. The workflow goes on to its end by itself."""
    training_jobs.stop_training_job(job.id, job.attempt)


def resume(job: FineTuningJob) -> None:
    """Take up a job whose workflow is gone, as after a restart of the machine that ran all of it."""
    if job.status == "running":
        _say(job, f"The training was interrupted; resuming it as attempt {job.attempt + 1}", level="warn")
        job = JobStore(job.organization_id).transition(job.id, "queued", attempt=job.attempt + 1)
    start(job)


def validate_files(project: str, job_id: str) -> bool:
    """Check every row of the job's files. True if the workflow is over: a bad file fails the job."""
    job = JobStore(project).get(job_id)
    if job.status != "validating_files":
        return is_terminal(job.status)
    files = {"training_file": job.training_file, "validation_file": job.validation_file}
    named = {param: file_id for param, file_id in files.items() if file_id}
    _say(job, "Validating " + " and ".join(f"{param.replace('_', ' ')}: {id}" for param, id in named.items()))
    for param, file_id in named.items():
        problem = _problem_of(project, file_id)
        if problem:
            error = JobError(code=f"invalid_{param}", message=f"{param}: {problem}", param=param)
            fail(project, job_id, error)
            return True
    return False


def prepare(project: str, job_id: str, attempt: int) -> dict[str, Any] | None:
    """Write the spec and queue the job. The parameters of CreateTrainingJob; None if the workflow is over."""
    jobs = JobStore(project)
    job = jobs.get(job_id)
    if is_terminal(job.status) or job.attempt > attempt:
        return None
    if not settings().training_image:
        message = (
            "This deployment has no training image: build the one in training_image/, push it to ECR, "
            "and deploy with -c training_image=URI."
        )
        fail(project, job_id, JobError(code="training_image_missing", message=message))
        return None
    training_job.write_spec(job, attempt)
    if job.status == "validating_files" or job.attempt < attempt:
        try:
            job = jobs.transition(job_id, "queued", attempt=attempt)
        except StateError:
            return None  # cancelled in the meantime: nothing else can have happened to it
    if attempt == 1:
        _say(job, "Files validated, moving job to queued state")
    return training_job.parameters(job, attempt)


def classify_stop(project: str, job_id: str, attempt: int, error: str, cause: str) -> Verdict:
    """Find out why the Train state did not succeed (its `error` and `cause`); fail the job if that is final.

    A training job still in progress is one whose start was not confirmed to the workflow: it is waited for,
    not started again. A machine that failed under a running job costs it an attempt, not its life.
    """
    job = JobStore(project).get(job_id)
    if is_terminal(job.status) or job.attempt > attempt:
        return Verdict("over", attempt)
    description = training_jobs.describe_training_job(job_id, attempt)
    if description is None:
        failure = training_failure.of_create(error, cause)
    elif description["TrainingJobStatus"] in ("InProgress", "Stopping"):
        return Verdict("wait", attempt)
    elif description["TrainingJobStatus"] == "Completed":
        return Verdict("register", attempt)
    else:
        failure = training_failure.of_description(description)
    if failure.is_infrastructure and job.status == "running" and attempt < MAX_ATTEMPTS:
        resuming = f"Resuming from the newest checkpoint (attempt {attempt + 1} of {MAX_ATTEMPTS})"
        _say(job, f"{failure.error.message} {resuming}", level="warn")
        return Verdict("resume", attempt + 1)
    fail(project, job_id, failure.error)
    return Verdict("over", attempt)


def register_model(project: str, job_id: str, attempt: int) -> None:
    """Make the trained adapter a model and the job succeed, or neither: a cancelled job leaves no model."""
    job = JobStore(project).get(job_id)
    if not is_terminal(job.status):
        job = _publish(job, attempt)
    if job.status == "succeeded":
        _say(job, f"New fine-tuned model created: {job.fine_tuned_model}")
        _say(job, "The job has successfully completed")


def abandon(project: str, job_id: str, attempt: int, error: str) -> None:
    """The end of a workflow that cannot go on: stop what may still be training, and fail the job."""
    training_jobs.stop_training_job(job_id, attempt)
    message = (
        f"The workflow could not go on ({error}). Create the job again; if it fails again, execution "
        f"{training_jobs.name(job_id, attempt)} of the state machine says more."
    )
    fail(project, job_id, JobError(code="internal_error", message=message))


def fail(project: str, job_id: str, error: JobError) -> None:
    """Move the job to `failed` with its reason; a job in a final status stays as it is."""
    try:
        job = JobStore(project).transition(
            job_id, "failed", error=error, finished_at=now(), estimated_finish=None
        )
    except StateError:
        return
    _say(job, f"The job failed: {error.message}", level="error")


def _publish(job: FineTuningJob, attempt: int) -> FineTuningJob:
    """The job in its final status. The model's row comes first, since a succeeded job's model answers."""
    project = job.organization_id
    try:
        stored = ObjectStore().get(s3_keys.result(project, job.id, attempt))
        result = TrainingResult.model_validate_json(stored)
    except (FileNotFoundError, ValidationError):
        message = "Training ended without a result: its machine stopped before the adapter was stored."
        fail(project, job.id, JobError(code="training_result_missing", message=message))
        return JobStore(project).get(job.id)
    model = TunedModel(
        id=tuned_model_id(job.model, project, job.user_provided_suffix, job.id),
        created=now(),
        base_model=job.model,
        adapter_key=result.adapter_key,
        job_id=job.id,
        kind="model",
    )
    ModelStore(project).put(model)
    try:
        return JobStore(project).transition(
            job.id,
            "succeeded",
            fine_tuned_model=model.id,
            finished_at=now(),
            trained_tokens=result.trained_tokens,
            estimated_finish=None,
        )
    except StateError:
        job = JobStore(project).get(job.id)
        if job.status != "succeeded":
            ModelStore(project).delete(model.id)
        return job


def _problem_of(project: str, file_id: str) -> str | None:
    """What is wrong with a file, which also becomes its status; None if it is good."""
    files = FileStore(project)
    try:
        files.get(file_id)
        dataset.count(ObjectStore().lines(s3_keys.file(project, file_id)))
        files.set_status(file_id, "processed", None)
    except dataset.DatasetError as error:
        files.set_status(file_id, "error", error.message)
        return error.message
    except (NotFoundError, FileNotFoundError):
        return f"'{file_id}' does not exist any more."
    return None


def _say(job: FineTuningJob, message: str, *, level: EventLevel = "info") -> None:
    """Append an event, unless a step that ran before has appended it."""
    events = EventStore(job.organization_id, job.id)
    if all(event.message != message for event in events.list(limit=20).data):
        events.append(level, message)

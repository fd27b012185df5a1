"""How the training of a job ends: with a model, in a pause, or with the reason why there is neither.

Whatever is written here may be written twice, and may find that the job has gone another way meanwhile.
"""

from pydantic import ValidationError

from outcrop import s3_keys
from outcrop.errors import StateError
from outcrop.ids import now, tuned_model_id
from outcrop.lifecycle import is_terminal
from outcrop.operations import checkpoints, job_end, limits, training_results
from outcrop.operations.job_events import say
from outcrop.serving import tuned_models
from outcrop.stores import training_jobs
from outcrop.stores.checkpoints import CheckpointStore
from outcrop.stores.jobs import JobStore
from outcrop.stores.models import ModelStore
from outcrop.stores.objects import ObjectStore
from outcrop.training_spec import TrainingResult
from outcrop.types.fine_tuning_job import FineTuningJob, JobError
from outcrop.types.model import TunedModel, as_served


def has_left(job: FineTuningJob, attempt: int) -> bool:
    """Whether there is nothing more to do for a workflow at this attempt."""
    return is_terminal(job.status) or job.status == "paused" or job.attempt > attempt


def register_model(project: str, job_id: str, attempt: int) -> FineTuningJob:
    """Make what was trained a model and the job succeed, or neither: a cancelled job leaves no model.
    However a job ended, the metrics of its steps become a file, and its best checkpoints stay. The job as it
    is then."""
    job = _billed(JobStore(project).get(job_id))
    if not has_left(job, attempt):
        job = _end(job, attempt)
    if is_terminal(job.status) and not job.result_files:
        checkpoints.keep_best(job)
        JobStore(project).set_result_files(job_id, training_results.write(job))
    if job.status == "succeeded":
        say(job, f"New fine-tuned model created: {job.fine_tuned_model}")
        say(job, "The job has successfully completed")
        if served := ModelStore(project).get(job.fine_tuned_model or ""):
            tuned_models.made(as_served(served))
    job_end.tell(job)
    return job


def abandon(project: str, job_id: str, attempt: int, error: str) -> None:
    """The end of a workflow that cannot go on: stop what may still be training, and fail the job."""
    stop_training(JobStore(project).get(job_id))
    message = (
        f"The workflow could not go on ({error}). Create the job again; if it fails again, execution "
        f"{training_jobs.name(job_id, attempt)} of the state machine says more."
    )
    fail(project, job_id, attempt, JobError(code="internal_error", message=message))


def fail(project: str, job_id: str, attempt: int, error: JobError) -> None:
    """Move the job to `failed` with its reason; one that has ended, is paused, or at another attempt stays as
    it is."""
    try:
        job = JobStore(project).transition(
            job_id, "failed", of_attempt=attempt, error=error, finished_at=now()
        )
    except StateError:
        job_end.tell(JobStore(project).get(job_id))
        return
    say(job, f"The job failed: {error.message}", level="error")
    job_end.tell(job)


def pause(job: FineTuningJob) -> FineTuningJob:
    """The job, paused, now that its trainer has left; or as somebody else has ended it meanwhile."""
    jobs = JobStore(job.organization_id)
    try:
        job = jobs.transition(job.id, "paused", of_attempt=job.attempt)
    except StateError:
        return jobs.get(job.id)
    newest = CheckpointStore(job.organization_id, job.id).list(limit=1).data
    place = f"at the checkpoint of step {newest[0].step_number}" if newest else "before its first checkpoint"
    say(job, f"The job is paused {place}")
    return job


def pause_at_limit(job: FineTuningJob, reason: str) -> None:
    """Pause a job that may train no longer, with the reason as an event. One that has trained becomes paused
    in `register_model`, unless it came to its end before."""
    jobs = JobStore(job.organization_id)
    try:
        if job.status == "running":
            jobs.request_pause(job.id)
        else:
            jobs.transition(job.id, "paused", of_attempt=job.attempt)
    except StateError:  # somebody else ended or paused it
        return
    say(job, reason, level="warn")


def stop_training(job: FineTuningJob) -> None:
    """Ask the job's trainer to save and leave; success too if there is none."""
    training_jobs.stop_training_job(job.training_job or training_jobs.name(job.id, job.attempt))


def _billed(job: FineTuningJob) -> FineTuningJob:
    """The job, with what its newest training job cost, if that has ended."""
    description = training_jobs.describe_training_job(job.training_job) if job.training_job else None
    if description is None or description["TrainingJobStatus"] in ("InProgress", "Stopping"):
        return job
    return limits.note(job, description)


def _end(job: FineTuningJob, attempt: int) -> FineTuningJob:
    """The job in its final status, or paused."""
    try:
        stored = ObjectStore().get(s3_keys.result(job.organization_id, job.id, attempt))
        result = TrainingResult.model_validate_json(stored)
    except (FileNotFoundError, ValidationError):
        if job.pause_requested:
            return pause(job)
        message = "Training ended without a result: its machine stopped before the model was stored."
        fail(job.organization_id, job.id, attempt, JobError(code="training_result_missing", message=message))
        return JobStore(job.organization_id).get(job.id)
    return _publish(job, attempt, result)


def _publish(job: FineTuningJob, attempt: int, result: TrainingResult) -> FineTuningJob:
    """The model's row comes before the job's end, since a succeeded job's model answers."""
    project = job.organization_id
    model = TunedModel(
        id=tuned_model_id(job.model, project, job.user_provided_suffix, job.id),
        created=now(),
        base_model=job.model,
        adapter_key=result.adapter_key,
        weights_key=result.weights_key,
        merged_key=result.merged_key,
        job_id=job.id,
        kind="model",
    )
    ModelStore(project).put(model)
    checkpoints.keep_best(job)
    try:
        return JobStore(project).transition(
            job.id,
            "succeeded",
            of_attempt=attempt,
            fine_tuned_model=model.id,
            finished_at=now(),
            trained_tokens=result.trained_tokens,
            result_files=training_results.write(job),
        )
    except StateError:
        job = JobStore(project).get(job.id)
        if job.status != "succeeded":
            ModelStore(project).delete(model.id)
        return job

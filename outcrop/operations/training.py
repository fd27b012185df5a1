"""The life of a job after its creation: what the workflow's steps do. Every one of them may run twice.

A step that finds the job over, paused, or at a later attempt than its own does nothing and says that the
workflow is over. How training ends is in `training_end`.
"""

from dataclasses import dataclass, replace
from typing import Any

from outcrop import dataset
from outcrop.errors import NotFoundError, StateError
from outcrop.ids import now
from outcrop.operations import (
    file_processing,
    grader_rows,
    job_end,
    job_image,
    job_memory,
    job_weights,
    limits,
    training_end,
    training_job,
)
from outcrop.operations.job_events import say
from outcrop.operations.launches import Launch
from outcrop.settings import settings
from outcrop.stores import training_jobs
from outcrop.stores.files import FileStore
from outcrop.stores.jobs import JobStore
from outcrop.stores.line import Line
from outcrop.types.fine_tuning_job import FineTuningJob, JobError

_FIRST = Launch()
_NEEDED = {"weights_unavailable": job_weights.look, "training_image_missing": job_image.look}
"""What a job looks for before it asks for a machine, by the code that it fails with where that does not come.
It waits for all of it at the same time."""
_ASSEMBLY_SECONDS = 3600
"""Parts of an upload that are not one file by then never will be."""


@dataclass(frozen=True)
class Step:
    """How the workflow goes on after a step."""

    done: bool = False
    """It is over."""
    wait: int = 0
    """It asks again after so many seconds."""
    training_job: dict[str, Any] | None = None
    """It starts this: the parameters of CreateTrainingJob."""
    launch: Launch = _FIRST
    """Which machine it asks for."""


def start(job: FineTuningJob) -> None:
    """Start the workflow of the job's current attempt; once started, starting it again changes nothing."""
    training_jobs.start_execution(job.organization_id, job.id, job.attempt)


def stop(job: FineTuningJob) -> None:
    """Ask the trainer to save and leave. The workflow goes on to its end by itself."""
    training_end.stop_training(job)


def take_up(job: FineTuningJob) -> None:
    """Go on with a job whose workflow is gone, as after a restart of the machine that ran all of it."""
    jobs = JobStore(job.organization_id)
    if job.pause_requested:
        job = training_end.pause(job)
    if job.status == "running":
        say(job, f"The training was interrupted; resuming it as attempt {job.attempt + 1}", level="warn")
        job = jobs.transition(job.id, "queued", of_attempt=job.attempt, attempt=job.attempt + 1)
    if job.status != "paused":
        start(job)


def validate_files(project: str, job_id: str, attempt: int) -> Step:
    """Check every row of the job's files; a bad file fails the job, one still on its way is waited for."""
    jobs = JobStore(project)
    try:
        job = jobs.begin(job_id, attempt)
    except StateError:
        job = jobs.get(job_id)
        job_end.tell(job)
        return Step(done=training_end.has_left(job, attempt))
    files = {"training_file": job.training_file, "validation_file": job.validation_file}
    named = {param: file_id for param, file_id in files.items() if file_id}
    say(job, "Validating " + " and ".join(f"{param.replace('_', ' ')}: {id}" for param, id in named.items()))
    check = grader_rows.check_of(job.method.reinforcement.grader)
    for param, file_id in named.items():
        problem, wait = _look_at(project, file_id, check)
        if problem:
            error = JobError(code=f"invalid_{param}", message=f"{param}: {problem}", param=param)
            training_end.fail(project, job_id, attempt, error)
            return Step(done=True)
        if wait:
            return Step(wait=wait)
    return Step()


def prepare(project: str, job_id: str, attempt: int, launch: Launch = _FIRST) -> Step:
    """Queue the job, and when its turn has come write the spec and say what training job to start."""
    job = JobStore(project).get(job_id)
    if training_end.has_left(job, attempt):
        job_end.tell(job)
        return Step(done=True)
    if not settings().training_image:
        message = (
            "This deployment has no training image. Deploy it again: where `training_image` is empty in "
            "cdk.json, one is built in the account."
        )
        training_end.fail(project, job_id, attempt, JobError(code="training_image_missing", message=message))
        return Step(done=True)
    if job.status == "validating_files" or job.attempt < attempt:
        queued = _queue(job, attempt)
        if queued is None:
            return Step(done=True)
        job = queued
    waits: list[int] = []
    for code, look in _NEEDED.items():
        outlook = look(job, training_job.base_model(job))
        if outlook and outlook.problem:
            training_end.fail(project, job_id, attempt, JobError(code=code, message=outlook.problem))
            return Step(done=True)
        waits += [outlook.waited_seconds] if outlook else []
    if waits:
        return Step(wait=seconds_to_wait(max(waits)), launch=launch)
    may_train = int(settings().max_concurrent_jobs)
    place = Line(project).place(job_id, may_train=may_train)
    if place.ahead >= may_train:
        if place.is_new:
            jobs = "1 job" if place.ahead == 1 else f"{place.ahead} jobs"
            say(job, f"Waiting for {jobs} before it: {may_train} of a project may train at the same time")
        wait = seconds_to_wait(place.waited_seconds, turns=place.ahead - may_train + 1)
        return Step(wait=wait, launch=launch)
    try:
        return _launch(job, attempt, launch if launch.since else replace(launch, since=now()))
    except (NotFoundError, FileNotFoundError, dataset.DatasetError) as error:
        message = f"A file of the job was deleted or changed before its training began. {error}"
        training_end.fail(project, job_id, attempt, JobError(code="invalid_training_file", message=message))
        return Step(done=True)


def _launch(job: FineTuningJob, attempt: int, launch: Launch) -> Step:
    """Ask for the next machine, unless the job's budget is spent or it was asked to pause between two."""
    fitting = job_memory.machines_for(job.method, training_job.base_model(job))
    machine = launch.machine(job, fitting)
    if machine is None:
        training_end.pause_at_limit(job, limits.reached(job, fitting))
        job = JobStore(job.organization_id).get(job.id)
    if job.pause_requested and (machine is None or launch.number > 1):
        training_end.pause(job)
        return Step(done=True)
    if machine is None:
        return Step(done=True)
    training_job.write_spec(job, attempt)
    parameters = training_job.parameters(job, attempt, launch.number, machine)
    try:
        JobStore(job.organization_id).note_launch(job.id, attempt, parameters["TrainingJobName"])
    except StateError:
        return Step(done=True)
    say(job, launch.announcement(machine, attempt))
    return Step(training_job=parameters, launch=launch)


def _look_at(project: str, file_id: str, check: dataset.RowCheck) -> tuple[str | None, int]:
    """What is wrong with a file, if anything; else in how many seconds to look again, 0 if it is good."""
    store = FileStore(project)
    file = store.find(file_id)
    if file and file.status == "uploaded" and not file.upload_id:  # its bytes are there: no need to wait
        file_processing.process(project, file_id)
        file = store.find(file_id)
    if file is None:
        return f"'{file_id}' does not exist any more.", 0
    if file.status == "error":
        return file.status_details or "its rows cannot be read.", 0
    if file.status == "uploaded":
        age = max(0, now() - file.created_at)
        if age > _ASSEMBLY_SECONDS:
            return f"the parts of '{file_id}' were not put together within an hour. Upload it again.", 0
        return None, seconds_to_wait(age)
    try:
        dataset.count(store.lines(file), check)
    except dataset.DatasetError as error:
        return error.message, 0
    except FileNotFoundError:
        return f"'{file_id}' does not exist any more.", 0
    return None, 0


def seconds_to_wait(waited: int, *, turns: int = 0) -> int:
    """The longer it has been, or the more turns come before, the less often is asked. An execution has 25,000
    events, nine for each time: enough for a month in line, and all that comes after it."""
    return max(2, min(300, max(waited // 10, 2 * turns)), waited // 144)


def _queue(job: FineTuningJob, attempt: int) -> FineTuningJob | None:
    """The job, queued for its first attempt or the one after an interruption; None if it was cancelled, or
    paused, in the meantime."""
    jobs = JobStore(job.organization_id)
    changes: dict[str, Any] = {"attempt": attempt, "started_attempt": attempt}
    if attempt > job.attempt:
        changes["interruptions"] = job.interruptions + 1
    try:
        queued = jobs.transition(job.id, "queued", of_attempt=job.attempt, **changes)
    except StateError:
        job = jobs.get(job.id)
        if job.pause_requested and job.attempt < attempt:  # asked for after the machine had failed
            training_end.pause(job)
        job_end.tell(job)
        return None
    if job.status == "validating_files":
        say(job, "Files validated, moving job to queued state")
    return queued

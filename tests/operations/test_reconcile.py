"""Rows, objects, executions and training jobs that do not agree: each is found, told, and repaired where that
is safe; what is merely young, or moves on meanwhile, is let be."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
import time_machine
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.sagemaker import models as sagemaker_models
from moto.sagemaker.models import sagemaker_backends
from moto.sagemaker.responses import SageMakerResponse

from local import moto_patches
from outcrop import s3_keys
from outcrop.ids import now
from outcrop.operations import jobs as job_operations
from outcrop.operations.reconcile import whole
from outcrop.operations.reconcile.finding import GRACE_SECONDS, Finding
from outcrop.settings import settings
from outcrop.stores import clients, training_jobs, workflows
from outcrop.stores.events import EventStore
from outcrop.stores.files import FileStore
from outcrop.stores.jobs import JobStore
from outcrop.stores.line import Line
from outcrop.stores.models import ModelStore
from outcrop.stores.objects import ObjectStore
from outcrop.stores.projects import ProjectStore
from outcrop.stores.uploads import UploadStore
from outcrop.training_spec import TrainingResult
from outcrop.types.fine_tuning_job import FineTuningJob
from outcrop.types.upload import StoredPart, StoredUpload
from tests import factories
from tests.account import Account
from tests.aws_events import Asked, before
from tests.factories import PROJECT


@pytest.fixture(autouse=True)
def motos_own_training_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests of the workflow have training jobs run, in the same process; here they only have a status."""
    monkeypatch.setattr(sagemaker_models, "FakeTrainingJob", moto_patches.FakeTrainingJob)
    monkeypatch.setattr(SageMakerResponse, "create_training_job", moto_patches.create_training_job_of_moto)


@pytest.fixture
def clock(aws: Account) -> Iterator[time_machine.Traveller]:
    ProjectStore().ensure(PROJECT)
    with time_machine.travel(datetime.now(UTC), tick=False) as traveller:
        yield traveller


def later(clock: time_machine.Traveller, seconds: int = GRACE_SECONDS) -> None:
    clock.shift(seconds)


def found() -> list[Finding]:
    return [*whole.findings(whole.projects())]


def repair_all() -> None:
    for finding in found():
        assert whole.repaired(finding).error is None


def status_of(job: FineTuningJob) -> str:
    return JobStore(PROJECT).get(job.id).status


def execution(job: FineTuningJob, attempt: int = 1) -> str | None:
    one = workflows.find(settings().state_machine_arn, training_jobs.name(job.id, attempt))
    return one.status if one else None


def a_started_job(status: str = "running", execution: str = "RUNNING", **fields: object) -> FineTuningJob:
    job = factories.a_job(status=status, **{"started_attempt": 1, **fields})
    training_jobs.start_execution(PROJECT, job.id, 1)
    if execution != "RUNNING":
        arn = f"{settings().state_machine_arn.replace(':stateMachine:', ':execution:')}:{job.id}-1"
        clients.client("stepfunctions").stop_execution(executionArn=arn)
    return job


def an_ended_job(status: str) -> FineTuningJob:
    """One that everybody was told of."""
    job = factories.a_job(status=status)
    if status != "paused":
        JobStore(PROJECT).note_end_told(job.id)
    return job


def a_training_job(name: str) -> None:
    clients.client("sagemaker").create_training_job(
        TrainingJobName=name,
        AlgorithmSpecification={"TrainingImage": "image", "TrainingInputMode": "File"},
        RoleArn="arn:aws:iam::123456789012:role/training",
        OutputDataConfig={"S3OutputPath": "s3://outcrop-bucket/output"},
        ResourceConfig={"InstanceType": "ml.g5.xlarge", "InstanceCount": 1, "VolumeSizeInGB": 30},
        StoppingCondition={"MaxRuntimeInSeconds": 3600},
    )
    made = sagemaker_backends[DEFAULT_ACCOUNT_ID]["us-west-2"].training_jobs[name]
    made.training_job_status = "InProgress"


def test_a_healthy_deployment_has_nothing_to_find(clock: time_machine.Traveller) -> None:
    file = factories.a_file()
    a_started_job("queued", training_file=file.id)
    a_started_job("paused", "ABORTED")
    ended = an_ended_job("succeeded")
    model = factories.a_tuned_model(job_id=ended.id)
    ObjectStore().put(f"{model.adapter_key}adapter_config.json", b"{}")
    later(clock, 3 * 24 * 3600)

    assert found() == []


def test_a_job_whose_workflow_was_never_started_is_started(clock: time_machine.Traveller) -> None:
    job = factories.a_job(status="validating_files")
    later(clock)

    (finding,) = found()
    (swept,) = whole.sweep()

    assert finding.about == swept.finding.about == f"job {job.id} of project {PROJECT}"
    assert "never started" in finding.says
    assert execution(job) == "RUNNING"
    assert whole.sweep() == found() == []


def test_a_resumed_job_whose_workflow_was_never_started_is_started(clock: time_machine.Traveller) -> None:
    job = a_started_job("queued", "ABORTED", attempt=2)
    later(clock)

    whole.sweep()

    assert execution(job, attempt=2) == "RUNNING"


def test_a_job_that_is_just_being_made_is_let_be(clock: time_machine.Traveller) -> None:
    job = factories.a_job(status="validating_files")
    later(clock, GRACE_SECONDS - 1)

    assert found() == whole.sweep() == []
    assert execution(job) is None


def test_a_job_that_is_just_being_resumed_is_let_be(clock: time_machine.Traveller) -> None:
    job = a_started_job("queued", "ABORTED", attempt=2)
    later(clock, 30 * 24 * 3600)
    EventStore(PROJECT, job.id).append("info", "The job is resumed as attempt 2")

    assert found() == whole.sweep() == []
    assert execution(job, attempt=2) is None


@pytest.mark.parametrize("status", ["validating_files", "queued", "running"])
def test_a_job_whose_workflow_was_stopped_by_hand_fails(clock: time_machine.Traveller, status: str) -> None:
    job = a_started_job(status, "ABORTED")
    later(clock)

    (finding,) = found()
    whole.sweep()

    assert finding.says == f"It is {status}, and its workflow is ABORTED."
    failed = JobStore(PROJECT).get(job.id)
    assert (failed.status, failed.error and failed.error.code) == ("failed", "internal_error")
    assert failed.end_told
    assert whole.sweep() == found() == []


def test_training_that_ended_well_after_its_workflow_becomes_a_model(clock: time_machine.Traveller) -> None:
    job = a_started_job("running", "ABORTED")
    result = TrainingResult(
        adapter_key=s3_keys.adapter(PROJECT, job.id, 10), trained_tokens=100, step=10, metrics={}
    )
    ObjectStore().put(f"{result.adapter_key}adapter_config.json", b"{}")
    ObjectStore().put(s3_keys.result(PROJECT, job.id, 1), result.model_dump_json().encode())
    later(clock)

    whole.sweep()

    assert status_of(job) == "succeeded"
    assert len(ModelStore(PROJECT).list()) == 1


def test_training_that_goes_on_without_its_workflow_is_waited_for(clock: time_machine.Traveller) -> None:
    job = a_started_job("running", "ABORTED")
    a_training_job(f"{job.id}-1")
    later(clock)

    assert whole.sweep() == []
    (finding,) = found()
    assert (finding.repair, status_of(job)) == (None, "running")
    assert "nobody waits for its end" in finding.says


def test_a_job_that_was_to_pause_is_paused_when_its_workflow_is_lost(clock: time_machine.Traveller) -> None:
    job = a_started_job("running", "ABORTED", pause_requested=True)
    later(clock)

    whole.sweep()

    assert status_of(job) == "paused"


def test_an_attempt_after_an_interruption_belongs_to_the_workflow_before(
    clock: time_machine.Traveller,
) -> None:
    a_started_job("running", "RUNNING", attempt=3, started_attempt=3)
    later(clock)

    assert found() == whole.sweep() == []


def test_a_job_that_ends_while_it_is_looked_at_is_let_be(clock: time_machine.Traveller) -> None:
    job = a_started_job("running", "ABORTED")
    later(clock)

    def end_it(_: object) -> None:
        if status_of(job) == "running":
            JobStore(PROJECT).transition(job.id, "succeeded", fine_tuned_model="ft:x", finished_at=now())

    with before("stepfunctions", "DescribeExecution", end_it):
        assert whole.sweep() == []

    assert status_of(job) == "succeeded"


def test_a_repair_that_comes_late_changes_nothing(clock: time_machine.Traveller) -> None:
    job = a_started_job("running", "ABORTED")
    later(clock)
    (finding,) = found()
    JobStore(PROJECT).transition(job.id, "cancelled", finished_at=now())

    assert whole.repaired(finding).error is None

    assert status_of(job) == "cancelled"


@pytest.mark.parametrize("status", ["cancelled", "failed", "paused", "succeeded"])
def test_training_for_a_job_that_does_not_train_is_stopped(
    clock: time_machine.Traveller, aws: Account, status: str
) -> None:
    job = an_ended_job(status)
    a_training_job(f"{job.id}-1")
    later(clock)

    (finding,) = found()
    whole.sweep()

    assert finding.about == f"training job {job.id}-1"
    assert finding.says == f"It trains, and its job is {status}."
    assert aws.stopped == [f"{job.id}-1"]


def test_training_of_an_attempt_that_is_over_is_stopped(clock: time_machine.Traveller, aws: Account) -> None:
    job = a_started_job("running", attempt=2, started_attempt=2)
    a_training_job(f"{job.id}-1")
    a_training_job(f"{job.id}-2")
    later(clock)

    whole.sweep()

    assert aws.stopped == [f"{job.id}-1"]


def test_training_that_another_machine_took_over_is_stopped(
    clock: time_machine.Traveller, aws: Account
) -> None:
    job = a_started_job("running")
    for name in (f"{job.id}-1", f"{job.id}-1-2"):
        a_training_job(name)
    JobStore(PROJECT).note_launch(job.id, 1, f"{job.id}-1-2")
    later(clock)

    whole.sweep()

    assert aws.stopped == [f"{job.id}-1"]


def test_training_that_has_just_begun_is_let_be(clock: time_machine.Traveller, aws: Account) -> None:
    job = an_ended_job("cancelled")
    a_training_job(f"{job.id}-1")

    assert found() == whole.sweep() == []


def test_training_and_executions_of_no_job_are_left_to_a_person(
    clock: time_machine.Traveller, aws: Account
) -> None:
    name = "ftjob-" + "0" * 24
    a_training_job(f"{name}-1")
    a_training_job("of-somebody-else-ftjob-1")
    training_jobs.start_execution("nobody", name, 1)
    later(clock)

    assert whole.sweep() == []
    assert [one.about for one in found()] == [f"training job {name}-1", f"execution {name}-1"]
    repair_all()
    assert aws.stopped == [f"{name}-1"]
    assert [one.about for one in found()] == [f"training job {name}-1"]  # moto does not stop it


def test_the_end_of_a_job_that_nobody_was_told_of_is_told(clock: time_machine.Traveller) -> None:
    job = factories.a_job(status="cancelled")
    factories.a_job(status="failed", finished_at=now() - 3 * 24 * 3600)
    later(clock)

    (swept,) = whole.sweep()

    assert job.id in swept.finding.about
    assert JobStore(PROJECT).get(job.id).end_told
    assert found() == []


def test_metrics_that_were_not_made_a_file_are(clock: time_machine.Traveller) -> None:
    job = an_ended_job("failed")
    data = {"step": 1, "train_mean_reward": 0.5}
    EventStore(PROJECT, job.id).append("info", "Step 1", type="metrics", data=data)
    later(clock)

    (finding,) = found()
    repair_all()

    assert "not made a file" in finding.says
    (result,) = JobStore(PROJECT).get(job.id).result_files
    assert FileStore(PROJECT).get(result).purpose == "fine-tune-results"
    assert found() == []


def test_jobs_that_have_left_the_line_are_dropped(clock: time_machine.Traveller) -> None:
    gone = factories.a_job(status="queued")
    training_jobs.start_execution(PROJECT, gone.id, 1)
    Line(PROJECT).place(gone.id, may_train=2)
    JobStore(PROJECT).transition(gone.id, "cancelled", finished_at=now())
    JobStore(PROJECT).note_end_told(gone.id)
    waiting = a_started_job("queued")
    later(clock)

    (swept,) = whole.sweep()

    assert gone.id in swept.finding.says
    assert Line(PROJECT).job_ids() == []
    assert Line(PROJECT).place(waiting.id, may_train=2).ahead == 0


def test_an_old_job_that_stands_in_line_is_swept_too(clock: time_machine.Traveller) -> None:
    old = a_started_job("queued", "ABORTED")
    Line(PROJECT).place(old.id, may_train=2)
    forgotten = factories.a_job(status="validating_files")
    later(clock, 100 * 24 * 3600)

    swept = [one.finding.about for one in whole.sweep()]

    assert swept == [f"job {old.id} of project {PROJECT}"]
    assert [one.about for one in found() if forgotten.id in one.about] != []  # fsck looks at all


def test_a_file_whose_workflow_was_not_started_is_looked_at(clock: time_machine.Traveller) -> None:
    file = factories.a_file(status="uploaded")
    later(clock)

    (finding,) = found()
    whole.sweep()

    assert finding.says == "Its rows were not looked at yet."
    assert workflows.find(settings().file_workflow_arn, file.id) is not None


def test_a_file_without_its_content_says_so(clock: time_machine.Traveller) -> None:
    file = factories.a_file()
    ObjectStore().delete(s3_keys.file(PROJECT, file.id))

    (finding,) = found()
    repair_all()

    assert finding.says == "Its content is not in the bucket."
    kept = FileStore(PROJECT).get(file.id)
    assert kept.status == "error"
    assert "content_missing" in (kept.status_details or "")
    assert found() == []


def test_content_without_a_file_is_deleted_after_a_day(clock: time_machine.Traveller) -> None:
    key = s3_keys.file(PROJECT, "file-nobody")
    ObjectStore().put(key, b"rows")
    ObjectStore().put(s3_keys.file(PROJECT, "file-expired"), b"rows", expires_in_days=3)

    assert found() == []
    later(clock, 24 * 3600)

    assert [one.about for one in found()] == [f"object {key}"]
    repair_all()
    assert not ObjectStore().exists(key)
    assert found() == []


@pytest.mark.parametrize(("status", "is_left"), [("pending", False), ("cancelled", True), ("expired", True)])
def test_parts_that_nothing_needs_are_deleted(
    clock: time_machine.Traveller, status: str, is_left: bool
) -> None:
    expires_at = now() + (GRACE_SECONDS if status == "expired" else 24 * 3600)
    upload = StoredUpload(
        id="upload_1",
        bytes=4,
        created_at=now(),
        expires_at=expires_at,
        filename="train.jsonl",
        purpose="fine-tune",
        status="cancelled" if status == "cancelled" else "pending",
    )
    UploadStore(PROJECT).put_new(upload)
    part = StoredPart(id="part_1", created_at=now(), upload_id=upload.id, bytes=4)
    UploadStore(PROJECT).put_part(part, b"rows")
    later(clock)

    assert [one.about for one in found()] == ([f"upload upload_1 of project {PROJECT}"] if is_left else [])
    repair_all()

    key = s3_keys.upload(PROJECT, upload.id) + part.id
    assert ObjectStore().exists(key) is not is_left


def test_a_model_without_its_adapter_is_told_of(clock: time_machine.Traveller) -> None:
    model = factories.a_tuned_model()
    checkpoint = factories.a_tuned_model(kind="checkpoint")
    later(clock)

    findings = found()

    assert {one.about for one in findings} == {f"model {model.id}", f"checkpoint {checkpoint.id}"}
    assert all(one.repair is None and "cannot answer" in one.says for one in findings)


def test_a_model_of_a_cancelled_job_is_none(clock: time_machine.Traveller) -> None:
    job = an_ended_job("cancelled")
    model = factories.a_tuned_model(job_id=job.id)
    later(clock)

    (finding,) = found()
    repair_all()

    assert finding.about == f"model {model.id}"
    assert ModelStore(PROJECT).get(model.id) is None


def test_what_may_not_be_looked_at_is_a_finding_and_the_rest_is_looked_at(
    clock: time_machine.Traveller,
) -> None:
    job = factories.a_job(status="validating_files")
    later(clock)

    with before("sagemaker", "ListTrainingJobs", lambda _: "AccessDeniedException"):
        findings = found()

    assert [one.about for one in findings] == [f"job {job.id} of project {PROJECT}", "training jobs"]
    assert "could not be looked at. These credentials may not call ListTrainingJobs" in findings[1].says


def test_one_that_cannot_be_repaired_keeps_no_other_from_it(clock: time_machine.Traveller) -> None:
    first, second = (factories.a_job(status="validating_files") for _ in range(2))
    later(clock)

    def refuse_the_first(asked: Asked) -> str | None:
        return "AccessDeniedException" if first.id in asked["name"] else None

    with before("stepfunctions", "StartExecution", refuse_the_first):
        swept = {one.finding.about.split()[1]: one.error for one in whole.sweep()}

    assert "AccessDenied" in str(swept[first.id])
    assert swept[second.id] is None
    assert execution(second) == "RUNNING"


def test_a_job_that_is_retrieved_is_started_before_any_sweep(clock: time_machine.Traveller) -> None:
    job = factories.a_job(status="validating_files")
    job_operations.retrieve(job.id, PROJECT)
    later(clock)

    assert found() == whole.sweep() == []

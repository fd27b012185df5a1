"""A step that is taken again tells its events again: the job's owner sees each once, as it was told last."""

import time

import time_machine

from outcrop.stores.events import EventStore
from tests import factories
from tests.account import Account
from training_image.trainer.step_events import StepEvents


def _told(project: str, job_id: str) -> list[tuple[str, object]]:
    return [(event.message, event.data) for event in EventStore(project, job_id).every()]


def test_a_step_that_is_taken_again_tells_its_events_where_it_told_them_first(aws: Account) -> None:
    job = factories.a_job(status="running")
    project = job.organization_id
    first = StepEvents(project, job.id)
    first.append("info", "Step 1/2", type="metrics", data={"step": 1, "train_mean_reward": 0.25})
    first.append("warn", "Groups are equal.", data={"step": 1})
    cursor = EventStore(project, job.id).list().data[0]

    again = StepEvents(project, job.id)
    again.append("info", "Training resumed.")
    again.append("info", "Step 1/2", type="metrics", data={"step": 1, "train_mean_reward": 0.5})
    again.append("warn", "Groups are equal.", data={"step": 1})
    again.append("warn", "Groups are equal.", data={"step": 2})

    assert _told(project, job.id) == [
        ("Step 1/2", {"step": 1, "train_mean_reward": 0.5}),
        ("Groups are equal.", {"step": 1}),
        ("Training resumed.", None),
        ("Groups are equal.", {"step": 2}),
    ]
    assert EventStore(project, job.id).every()[1] == cursor


def test_what_is_of_no_step_is_told_as_often_as_it_happens(aws: Account) -> None:
    job = factories.a_job(status="running")
    for _ in range(2):
        StepEvents(job.organization_id, job.id).append("info", "Training resumed.")

    assert len(_told(job.organization_id, job.id)) == 2


def test_whether_an_earlier_process_has_begun_is_known_from_its_steps(aws: Account) -> None:
    job = factories.a_job(status="running")
    project = job.organization_id
    EventStore(project, job.id).append("info", "The job waits for its machine.")

    assert not StepEvents(project, job.id).is_begun
    StepEvents(project, job.id).append("info", "Training started", data={"step": 0})
    assert StepEvents(project, job.id).is_begun


def test_what_a_machine_tells_whose_clock_is_behind_comes_after_what_was_told_before(aws: Account) -> None:
    job = factories.a_job(status="running")
    project = job.organization_id
    StepEvents(project, job.id).append("info", "Training started", data={"step": 0})

    with time_machine.travel(time.time() - 86_400):
        StepEvents(project, job.id).append("info", "Training resumed.")

    assert [message for message, _ in _told(project, job.id)] == ["Training started", "Training resumed."]

"""Checkpoints: one row for each job and step, newest first."""

from outcrop.stores.checkpoints import CheckpointStore
from tests.factories import a_checkpoint, a_job


def test_checkpoints_are_listed_newest_first_in_the_order_of_their_steps() -> None:
    job = a_job()
    for step in (5, 100, 20):
        a_checkpoint(job, step=step)

    listed = CheckpointStore("acme", job.id).list()

    assert [checkpoint.step_number for checkpoint in listed.data] == [100, 20, 5]


def test_a_checkpoint_written_twice_is_one_checkpoint_as_last_written() -> None:
    job = a_job()
    a_checkpoint(job, step=5, step_reward=0.25)
    again = a_checkpoint(job, step=5, step_reward=0.75)

    assert CheckpointStore("acme", job.id).list().data == [again]


def test_checkpoints_are_paged() -> None:
    job = a_job()
    for step in range(1, 6):
        a_checkpoint(job, step=step)

    first = CheckpointStore("acme", job.id).list(limit=2)
    rest = CheckpointStore("acme", job.id).list(limit=10, after=first.last_id)

    assert [checkpoint.step_number for checkpoint in first.data] == [5, 4]
    assert [checkpoint.step_number for checkpoint in rest.data] == [3, 2, 1]
    assert (first.has_more, rest.has_more) == (True, False)


def test_another_project_sees_none_of_them() -> None:
    job = a_job()
    a_checkpoint(job)

    assert CheckpointStore("umbrella", job.id).list().data == []

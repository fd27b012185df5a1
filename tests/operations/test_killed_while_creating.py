"""The process that creates a job may die at any call to AWS. One sweep later there is no job, or one whose
workflow runs; and when its customer asks again, there is one job."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Any, Literal

import botocore.endpoint
import pytest
import time_machine

from outcrop.operations import jobs
from outcrop.operations.reconcile import whole
from outcrop.operations.reconcile.finding import GRACE_SECONDS
from outcrop.settings import settings
from outcrop.stores import training_jobs, workflows
from outcrop.stores.jobs import JobStore
from outcrop.stores.projects import ProjectStore
from outcrop.types.call import Call
from outcrop.types.fine_tuning_job import CreateFineTuningJob
from tests import factories
from tests.account import Account
from tests.factories import PROJECT

_SEND = botocore.endpoint.Endpoint._do_get_response  # pyright: ignore[reportAttributeAccessIssue]

Moment = Literal["before", "after"]


class Killed(BaseException):
    """The process is gone: nothing catches this."""


@contextmanager
def killed_at(number: int, moment: Moment) -> Iterator[list[str]]:
    """Dies at the call of that number, just before it is sent or just after it was answered; the calls."""
    calls: list[str] = []

    def send(self: Any, request: Any, operation: Any, context: Any) -> Any:
        calls.append(operation.name)
        if len(calls) == number and moment == "before":
            raise Killed
        answer = _SEND(self, request, operation, context)
        if len(calls) == number:
            raise Killed
        return answer

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(botocore.endpoint.Endpoint, "_do_get_response", send)
        yield calls


def create(training_file: str, *, fingerprint: str, retry: int = 0) -> str:
    asked = CreateFineTuningJob(model="tiny-caps", training_file=training_file, method=factories.METHOD)
    call = Call(PROJECT, "key_1", "/fine_tuning/jobs", fingerprint, retry=retry)
    return jobs.create(asked, call).id


def is_whole(job_id: str) -> bool:
    execution = workflows.find(settings().state_machine_arn, training_jobs.name(job_id, 1))
    return execution is not None and execution.status == "RUNNING"


@pytest.mark.parametrize("asks_again", [False, True])
@pytest.mark.parametrize("moment", ["before", "after"])
def test_whatever_call_a_creation_dies_at_one_sweep_makes_it_whole(
    aws: Account, moment: Moment, asks_again: bool
) -> None:
    ProjectStore().ensure(PROJECT)
    file = factories.a_file().id
    with killed_at(0, moment) as calls:
        seen = {create(file, fingerprint="undisturbed")}
    assert calls[-1] == "StartExecution"

    for number, call in enumerate(calls, start=1):
        with time_machine.travel(datetime.now(UTC), tick=False) as clock:
            with killed_at(number, moment), pytest.raises(Killed):
                create(file, fingerprint=str(number))
            again = [create(file, fingerprint=str(number), retry=1)] if asks_again else []
            clock.shift(GRACE_SECONDS)
            whole.sweep()

            made = [job.id for job in JobStore(PROJECT).list().data if job.id not in seen]
            assert len(made) <= 1, call
            assert made == (again or made), call
            assert all(is_whole(job_id) for job_id in made), call
            assert [*whole.findings(whole.projects())] == []
        seen |= set(made)


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_sweep_that_dies_itself_is_finished_by_the_next(aws: Account, moment: Moment) -> None:
    ProjectStore().ensure(PROJECT)
    with time_machine.travel(datetime.now(UTC), tick=False) as clock:
        lost = factories.a_job(status="validating_files")
        clock.shift(GRACE_SECONDS)
        number = 0
        while not is_whole(lost.id):
            number += 1
            with killed_at(number, moment), suppress(Killed):
                whole.sweep()

        assert number > 1
        assert [*whole.findings(whole.projects())] == []

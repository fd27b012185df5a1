"""`outcrop fsck`: what it says, what it repairs, and how it ends."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
import time_machine
from typer.testing import CliRunner

from outcrop.cli.main import app
from outcrop.operations.reconcile.finding import GRACE_SECONDS
from outcrop.settings import settings
from outcrop.stores import training_jobs, workflows
from outcrop.stores.projects import ProjectStore
from tests import factories
from tests.account import BUCKET, TABLE, Account
from tests.command_process import a_stack
from tests.factories import PROJECT


@pytest.fixture
def stacks(aws: Account, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A deployment that is found by its stacks, and as much of it as fsck looks at."""
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.setenv(name, "us-west-2")
    a_stack("OutcropStorage", {"TableName": TABLE, "BucketName": BUCKET})
    a_stack("OutcropWorkflow", {"StateMachineArn": settings().state_machine_arn})
    ProjectStore().ensure(PROJECT)
    yield
    settings.cache_clear()


def fsck(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["fsck", *arguments])
    return result.exit_code, result.output


def test_where_everything_agrees_it_says_so(stacks: None) -> None:
    assert fsck() == (0, "Everything agrees (1 project).\n")


def test_it_says_what_does_not_agree_and_repairs_it_if_told_to(stacks: None) -> None:
    job = factories.a_job(status="validating_files")
    with time_machine.travel(datetime.now(UTC), tick=False) as clock:
        clock.shift(GRACE_SECONDS)

        code, told = fsck()
        assert code == 1
        assert f"job {job.id} of project {PROJECT}" in told
        assert "never started" in told
        assert "--repair: It is started." in told

        code, told = fsck("--repair")
        assert code == 0
        assert "1 found in 1 project, 1 repaired." in told

        assert workflows.find(settings().state_machine_arn, training_jobs.name(job.id, 1)) is not None
        assert fsck()[0] == 0


def test_what_nothing_repairs_stays_a_finding(stacks: None) -> None:
    model = factories.a_tuned_model()
    with time_machine.travel(datetime.now(UTC), tick=False) as clock:
        clock.shift(GRACE_SECONDS)

        code, told = fsck("--repair", "--json")

    (finding,) = json.loads(told)
    assert code == 1
    assert finding["about"] == f"model {model.id}"
    assert (finding["can_be_repaired"], finding["repaired"]) == (False, False)


def test_one_project_alone_can_be_looked_at(stacks: None) -> None:
    factories.a_tuned_model()
    with time_machine.travel(datetime.now(UTC), tick=False) as clock:
        clock.shift(GRACE_SECONDS)

        assert fsck("--project", "umbrella")[0] == 0
        assert fsck("--project", PROJECT)[0] == 1


def test_without_a_deployment_it_says_so(aws: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.setenv(name, "us-west-2")

    code, told = fsck()

    assert (code, "no Outcrop in us-west-2" in told) == (2, True)

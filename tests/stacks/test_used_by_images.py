"""What builds images and puts them away, and the roles that only a service uses, may do what that takes."""

import json
from collections.abc import Mapping

import pytest
import time_machine

from outcrop.ids import now
from outcrop.operations import training
from outcrop.operations.reconcile import images, whole
from outcrop.settings import settings
from outcrop.stores.jobs import JobStore
from tests import factories
from tests.account import Account as EmulatedAccount
from tests.factories import PROJECT
from tests.fakes.codebuild import CloudFormation, FakeCodeBuild
from tests.operations.test_image_builds import call, codebuild, push, stack  # noqa: F401 - fixtures
from tests.stacks.iam import Account, Policy
from tests.stacks.role_calls import Recorder
from tests.stacks.used import (
    BY_CODEBUILD,
    BY_LAMBDA,
    BY_LAMBDA_IN_A_NETWORK,
    refused,
    unused,
)

OF_IMAGES = ("codebuild:", "ecr:")


def deployed(account: Account) -> dict[str, str]:
    """The project and the repository, by the emulated ones."""
    here = "us-west-2:123456789012"
    return {
        f"arn:aws:codebuild:{here}:project/images": account.arn("OutcropImages", "ImageProject"),
        f"arn:aws:ecr:{here}:repository/trainer": account.arn("OutcropImages", "ImageRepository"),
    }


def of_images(policy: Policy) -> Policy:
    """The rest of what these roles may do is shown in test_used_by_jobs and test_used_by_the_sweeper."""
    return Policy(tuple(one for one in policy.statements if one["Action"][0].startswith(OF_IMAGES)))


def test_the_function_that_has_images_built_needs_what_it_may_and_no_more(
    aws: EmulatedAccount,
    default_account: Account,
    codebuild: FakeCodeBuild,  # noqa: F811 - the fixture
    stack: CloudFormation,  # noqa: F811
) -> None:
    recorder, role = Recorder(), "OutcropImages ImageStarter"

    with recorder.listening():
        with recorder.acting_as(role):
            call(stack.request("Create", "abc"))
        push("abc")
        with recorder.acting_as(role):
            call(codebuild.end("images:1", "SUCCEEDED"))

    policy = default_account.policies()[role]
    assert [answer["Status"] for answer in stack.answers] == ["SUCCESS"]
    names = deployed(default_account)
    assert refused(policy, recorder.made[role], names) == []
    assert unused(policy, recorder.made[role], BY_LAMBDA, names) == []


def test_what_builds_an_image_anew_and_what_puts_it_away_need_what_they_may_of_images_and_no_more(
    aws: EmulatedAccount,
    default_account: Account,
    codebuild: FakeCodeBuild,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    recorder, prepares, sweeps = Recorder(), "OutcropWorkflow PrepareTraining", "OutcropWorkflow Sweep"
    image = "123456789012.dkr.ecr.us-west-2.amazonaws.com/trainer:abc"
    monkeypatch.setenv("OUTCROP_TRAINING_IMAGE", image)
    monkeypatch.setenv("OUTCROP_IMAGE_PROJECTS", json.dumps({image: "images"}))
    settings.cache_clear()
    job = factories.a_job(training_file=factories.a_file().id)
    training.validate_files(PROJECT, job.id, 1)

    with recorder.listening():
        with recorder.acting_as(prepares):
            training.prepare(PROJECT, job.id, 1)
            training.prepare(PROJECT, job.id, 1)
        push("abc")
        JobStore(PROJECT).transition(job.id, "cancelled", finished_at=now())
        with time_machine.travel(now() + 31 * 24 * 3600), recorder.acting_as(sweeps):
            swept = [whole.repaired(finding) for finding in images.of_repositories([PROJECT])]

    assert [one.error for one in swept] == [None]
    for role in (prepares, sweeps):
        policy = of_images(default_account.policies()[role])
        made = [one for one in recorder.made[role] if one.action.startswith(OF_IMAGES)]
        assert refused(policy, made, deployed(default_account)) == [], role
        assert unused(policy, made, (), deployed(default_account)) == [], role


@pytest.mark.parametrize(
    ("role", "by_service"),
    [
        ("OutcropImages ImageBuild", BY_CODEBUILD),
        ("OutcropSandbox Sandbox", BY_LAMBDA_IN_A_NETWORK),
    ],
)
def test_a_role_that_our_code_makes_no_call_with_has_what_its_service_does_with_it(
    default_account: Account, role: str, by_service: Mapping[str, str]
) -> None:
    policy: Policy = default_account.policies()[role]
    may = {action for one in policy.statements if one["Effect"] == "Allow" for action in one["Action"]}

    assert may == by_service.keys()

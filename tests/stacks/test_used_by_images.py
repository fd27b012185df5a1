"""What builds images, and the roles that only a service uses, may do what that takes."""

from collections.abc import Mapping

import pytest

from tests.account import Account as EmulatedAccount
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


def test_the_function_that_has_images_built_needs_what_it_may_and_no_more(
    aws: EmulatedAccount,
    default_account: Account,
    codebuild: FakeCodeBuild,  # noqa: F811 - the fixture
    stack: CloudFormation,  # noqa: F811
) -> None:
    recorder, role = Recorder(), "OutcropImages ImageStarter"
    names = {
        "arn:aws:codebuild:us-west-2:123456789012:project/images": default_account.arn(
            "OutcropImages", "ImageProject"
        ),
        "arn:aws:ecr:us-west-2:123456789012:repository/trainer": default_account.arn(
            "OutcropImages", "ImageRepository"
        ),
    }

    with recorder.listening():
        with recorder.acting_as(role):
            call(stack.request("Create", "abc"))
        push("abc")
        with recorder.acting_as(role):
            call(codebuild.end("images:1", "SUCCEEDED"))

    policy = default_account.policies()[role]
    assert [answer["Status"] for answer in stack.answers] == ["SUCCESS"]
    assert refused(policy, recorder.made[role], names) == []
    assert unused(policy, recorder.made[role], BY_LAMBDA, names) == []


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

"""Each role may do what docs/roles.md lists, and no more; whatever is wide says why."""

import json
from typing import Any

import pytest

from scripts import roles_table, synthesis
from scripts.roles_table import Statement, shown, statements
from scripts.synthesis import reading
from stacks.uv import ROOT
from tests.serving.test_permissions import HOSTING
from tests.stacks.conftest import Templates
from tests.stacks.iam import Account, Policy
from tests.stacks.test_used_by_images import OF_IMAGES


def of_role(templates: Templates, role: str) -> list[Statement]:
    return [one for one in statements(templates) if one.role == role]


def test_docs_roles_lists_what_each_role_may_do() -> None:
    assert roles_table.PAGE.read_text() == roles_table.page(), "run: python -m scripts.roles_table"


def test_every_action_is_named(templates: Templates) -> None:
    wide = [(one.role, action) for one in statements(templates) for action in one.actions if "*" in action]

    assert wide == []


def test_every_resource_that_is_a_pattern_has_its_reason(templates: Templates) -> None:
    unexplained = [
        (one.role, shown(resource))
        for one in statements(templates)
        for resource in one.resources
        if one.effect == "Allow" and "*" in json.dumps(resource) and shown(resource) not in one.reasons
    ]

    assert unexplained == []


def test_training_jobs_of_others_are_out_of_reach(templates: Templates) -> None:
    for one in statements(templates):
        for action in one.actions:
            if action.startswith("sagemaker:") and action.endswith("TrainingJob"):
                assert all(":training-job/ftjob-*" in json.dumps(resource) for resource in one.resources), (
                    one.role
                )


def test_the_authorizer_writes_nothing_but_keys(templates: Templates) -> None:
    (writing,) = (
        one for one in of_role(templates, "OutcropApi Authorizer") if "dynamodb:UpdateItem" in one.actions
    )

    assert writing.condition == {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["P#*#KEY"]}}


@pytest.mark.parametrize("role", ["OutcropApi Api", "OutcropTraining"])
def test_a_grader_cannot_be_a_function_of_outcrops_own(templates: Templates, role: str) -> None:
    found = of_role(templates, role)

    (denied,) = (one for one in found if one.effect == "Deny")

    names = json.dumps(denied.resources)
    for stack in templates.keys() - {"OutcropSandbox"}:  # which it calls for Python graders
        assert f":function:{stack}-*" in names
    assert ":function:OutcropSandbox-*" not in names
    called = {action for one in found for action in one.actions if action.startswith("lambda:")}
    assert set(denied.actions) == called


def test_a_service_takes_a_role_for_this_account_alone(templates: Templates) -> None:
    anybodys = [
        service
        for template in templates.values()
        for role in reading(template, "AWS::IAM::Role").values()
        for trust in _properties(role)["AssumeRolePolicyDocument"]["Statement"]
        if (service := trust["Principal"]["Service"]) != "lambda.amazonaws.com"
        and trust.get("Condition", {}).get("StringEquals") != {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}
    ]

    assert anybodys == ["apigateway.amazonaws.com"]  # the Region's own, for API Gateway's logs: CDK makes it


def test_training_on_several_machines_takes_their_image_and_nothing_else() -> None:
    one, several = (
        {role: policy.statements for role, policy in Account(templates).policies().items()}
        for templates in (synthesis.templates(), synthesis.templates(instance_count={"qwen.qwen3-32b": 2}))
    )

    added = {
        role: sorted(
            action
            for new in several[role]
            if any("/OutcropImages-VerlImage" in resource for resource in new["Resource"])
            for action in new["Action"]
        )
        for role in one
    }

    assert several.keys() - one.keys() == {"OutcropImages VerlImageBuild", "OutcropImages VerlImageStarter"}
    for role in one:
        assert sum(len(new["Action"]) for new in several[role]) == len(added[role]) + sum(
            len(old["Action"]) for old in one[role]
        ), role
    assert {role: actions for role, actions in added.items() if actions} == {
        "OutcropTraining": [
            "ecr:BatchCheckLayerAvailability",
            "ecr:BatchGetImage",
            "ecr:GetDownloadUrlForLayer",
        ],
        "OutcropWorkflow PrepareTraining": [
            "codebuild:BatchGetBuilds",
            "codebuild:BatchGetProjects",
            "codebuild:ListBuildsForProject",
            "codebuild:StartBuild",
            "ecr:DescribeImages",
        ],
        "OutcropWorkflow Sweep": ["ecr:BatchDeleteImage", "ecr:DescribeImages"],
    }


def test_functions_have_no_managed_policy(templates: Templates) -> None:
    managed: list[str] = [
        id
        for template in templates.values()
        for id, role in reading(template, "AWS::IAM::Role").items()
        if _properties(role).get("ManagedPolicyArns")
    ]

    assert [id for id in managed if not id.startswith("RestApiCloudWatchRole")] == []


def test_every_function_and_every_state_machine_has_a_role_of_its_own(templates: Templates) -> None:
    roles = [
        (stack, json.dumps(_properties(one).get("Role") or _properties(one).get("RoleArn")))
        for stack, template in templates.items()
        for type in ("AWS::Lambda::Function", "AWS::StepFunctions::StateMachine")
        for one in reading(template, type).values()
    ]

    assert len(set(roles)) == len(roles)


def _properties(resource: dict[str, Any]) -> dict[str, Any]:
    return resource["Properties"]


SHOWN_IN = {
    "OutcropApi": "tests/stacks/test_used_permissions.py",
    "OutcropFiles FileStateMachine": "tests/stacks/test_used_by_jobs.py",
    "OutcropFiles ProcessFile": "tests/stacks/test_used_permissions.py",
    "OutcropImages": "tests/stacks/test_used_by_images.py",
    "OutcropSandbox": "tests/stacks/test_used_by_images.py",
    "OutcropServing ResponsesStateMachine": "tests/stacks/test_used_by_jobs.py",
    "OutcropServing RunResponse": "tests/stacks/test_used_permissions.py",
    "OutcropServing": "tests/serving/test_permissions.py",
    "OutcropTraining": "tests/stacks/test_used_by_the_trainer.py",
    "OutcropWeights WeightsStateMachine": "tests/stacks/test_used_by_jobs.py",
    "OutcropWeights": "tests/weights/test_weights_permissions.py",
    "OutcropWorkflow Sweep": "tests/stacks/test_used_by_the_sweeper.py",
    "OutcropWorkflow": "tests/stacks/test_used_by_jobs.py",
}
"""Where each role, or those of a stack that are not listed before it, is shown to need all that it may do."""


def test_each_role_is_shown_to_need_what_it_may_do(default_account: Account) -> None:
    for role in default_account.policies():
        test = next(test for name, test in SHOWN_IN.items() if role.startswith(name))
        name = role.rpartition(" ")[2]
        assert name in (ROOT / test).read_text(), (role, test)


def test_what_serving_and_images_add_to_a_role_is_shown_with_them(
    default_account: Account, policies: dict[str, Policy]
) -> None:
    """The other tests take the deployment of `outcrop local`, which has no endpoints and builds no image;
    those of weights take this one."""
    for role, policy in default_account.policies().items():
        if role in policies and not role.startswith(("OutcropWeights", "OutcropTraining")):
            added = _actions(policy) - _actions(policies[role])
            rows_of_endpoints = {"dynamodb:DeleteItem"}  # with a condition that leaves no other rows
            shown_elsewhere = (*HOSTING, *OF_IMAGES)
            others = {one for one in added - rows_of_endpoints if not one.startswith(shown_elsewhere)}
            assert others == set(), role


def _actions(policy: Policy) -> set[str]:
    return {action for one in policy.statements for action in one["Action"] if one["Effect"] == "Allow"}

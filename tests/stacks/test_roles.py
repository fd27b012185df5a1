"""Each role may do what docs/roles.md lists, and no more; whatever is wide says why."""

import json
from typing import Any

import pytest

from scripts import roles_table
from scripts.roles_table import Statement, shown, statements
from scripts.synthesis import reading
from tests.stacks.conftest import Templates


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

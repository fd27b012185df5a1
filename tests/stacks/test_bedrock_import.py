"""Serving by Bedrock's import: who may have models imported, ask them, and delete them; nobody else's."""

import json
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk.assertions import Template

from stacks.deployment import Deployment
from stacks.serving import ServingStack
from stacks.storage import StorageStack

Statements = list[dict[str, Any]]


@pytest.fixture(scope="module")
def template() -> dict[str, Any]:
    """OutcropServing."""
    app = cdk.App(context={"aws:cdk:bundling-stacks": []})
    deployment = Deployment(serving="bedrock_import")
    storage = StorageStack(app, "OutcropStorage", deployment=deployment)
    serving = ServingStack(app, "OutcropServing", deployment=deployment, storage=storage)
    return Template.from_stack(serving).to_json()["Resources"]


def statements(template: dict[str, Any], owner: str) -> Statements:
    (policy,) = (
        one["Properties"]["PolicyDocument"]["Statement"]
        for id, one in template.items()
        if one["Type"] == "AWS::IAM::Policy" and id.startswith(owner)
    )
    return policy


def bedrock(template: dict[str, Any], owner: str) -> dict[str, dict[str, Any]]:
    return {
        one["Action"]: one
        for one in statements(template, owner)
        if isinstance(one["Action"], str) and one["Action"].startswith("bedrock:")
    }


@pytest.mark.parametrize("owner", ["Inference", "RunResponse"])
def test_who_asks_may_have_models_imported_and_ask_those_that_are_tagged(
    template: dict[str, Any], owner: str
) -> None:
    may = bedrock(template, owner)

    assert may.keys() == {
        "bedrock:CreateModelImportJob",
        "bedrock:GetImportedModel",
        "bedrock:GetModelImportJob",
        "bedrock:InvokeModelWithResponseStream",
        "bedrock:TagResource",
    }
    ask, begin = may["bedrock:InvokeModelWithResponseStream"], may["bedrock:CreateModelImportJob"]
    assert ask["Condition"] == {"StringEquals": {"aws:ResourceTag/outcrop": "model"}}
    assert begin["Condition"] == {"StringEquals": {"aws:RequestTag/outcrop": "model"}}
    assert ":imported-model/*" in json.dumps(ask["Resource"])


def test_the_import_role_is_bedrocks_for_this_accounts_imports_and_reads_merged_weights_alone(
    template: dict[str, Any],
) -> None:
    (trust,) = (
        one["Properties"]["AssumeRolePolicyDocument"]["Statement"]
        for id, one in template.items()
        if one["Type"] == "AWS::IAM::Role" and id.startswith("Import")
    )
    reading, listing = statements(template, "Import")

    assert trust[0]["Principal"] == {"Service": "bedrock.amazonaws.com"}
    assert trust[0]["Condition"]["StringEquals"] == {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}
    assert ":model-import-job/*" in json.dumps(trust[0]["Condition"]["ArnLike"]["aws:SourceArn"])
    assert reading["Action"] == "s3:GetObject"
    assert "projects/*/jobs/*/merged/*" in json.dumps(reading["Resource"])
    assert listing["Action"] == "s3:ListBucket"


def test_only_bedrock_gets_the_import_role(template: dict[str, Any]) -> None:
    (passing,) = (one for one in statements(template, "Inference") if one["Action"] == "iam:PassRole")

    assert passing["Condition"] == {"StringEquals": {"iam:PassedToService": "bedrock.amazonaws.com"}}
    assert "ImportRole" in json.dumps(passing["Resource"])


def test_no_endpoint_is_made_or_tended(template: dict[str, Any]) -> None:
    assert "sagemaker:" not in json.dumps(template)
    assert not [one for one in template.values() if one["Type"] == "AWS::Events::Rule"]

"""OutcropWeights: its functions reach what base weights need, and nothing else."""

import json
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import assertions

from stacks.deployment import Deployment
from stacks.storage import StorageStack
from stacks.weights import WeightsStack

SECRET = "arn:aws:secretsmanager:us-west-2:123456789012:secret:hugging-face-AbCdEf"
OF_THE_BUCKET = {"s3:ListBucket", "s3:ListBucketMultipartUploads"}


def statements(**settings: Any) -> dict[str, list[dict[str, Any]]]:
    """By the function whose role has them."""
    app = cdk.App(context={"aws:cdk:bundling-stacks": []})
    deployment = Deployment(**settings)
    storage = StorageStack(app, "OutcropStorage", deployment=deployment)
    stack = WeightsStack(app, "OutcropWeights", deployment=deployment, storage=storage)
    policies = assertions.Template.from_stack(stack).find_resources("AWS::IAM::Policy")
    return {
        id.partition("RoleDefaultPolicy")[0]: policy["Properties"]["PolicyDocument"]["Statement"]
        for id, policy in policies.items()
    }


@pytest.fixture(scope="module")
def with_token() -> dict[str, list[dict[str, Any]]]:
    return statements(hugging_face_secret=SECRET)


def test_of_the_bucket_only_weights_are_in_reach(with_token: dict[str, list[dict[str, Any]]]) -> None:
    for function in ("ListWeights", "FetchWeights", "PublishWeights"):
        for statement in with_token[function]:
            listed = statement["Action"]
            actions = {listed} if isinstance(listed, str) else set(listed)
            resources = json.dumps(statement["Resource"])
            if (
                any(action.startswith("s3:") for action in actions - OF_THE_BUCKET)
                and "jumpstart" not in resources
            ):
                assert '"/models/*' in resources, statement


def test_only_the_token_can_be_read_and_only_by_those_who_ask_hugging_face(
    with_token: dict[str, list[dict[str, Any]]],
) -> None:
    readers = {
        function: statement["Resource"]
        for function, listed in with_token.items()
        for statement in listed
        if statement["Action"] == "secretsmanager:GetSecretValue"
    }

    assert readers == {"ListWeights": SECRET, "FetchWeights": SECRET}


def test_jumpstart_is_asked_for_the_models_that_are_offered(
    with_token: dict[str, list[dict[str, Any]]],
) -> None:
    (asks,) = (one for one in with_token["ListWeights"] if one["Action"] == "sagemaker:DescribeHubContent")
    (copies,) = (one for one in with_token["FetchWeights"] if "jumpstart" in json.dumps(one))

    named = [one["Fn::Join"][1][-1] for one in asks["Resource"]]
    assert named == [
        ":aws:hub/SageMakerPublicHub",
        ":aws:hub-content/SageMakerPublicHub/Model/openai-reasoning-gpt-oss-20b/*",
        ":aws:hub-content/SageMakerPublicHub/Model/huggingface-reasoning-qwen3-32b/*",
    ]
    assert copies["Action"] == "s3:GetObject"


def test_without_jumpstart_and_token_neither_is_in_reach() -> None:
    allowed = json.dumps(statements(weights_source="huggingface"))

    assert "jumpstart" not in allowed
    assert "HubContent" not in allowed
    assert "secretsmanager" not in allowed

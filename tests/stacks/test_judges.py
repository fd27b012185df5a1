"""The setting `judges`: what it may be, and what a role may ask because of it."""

import json
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import assertions

from outcrop.types.judge import BedrockJudge, OpenAIJudge, find, parse
from stacks.deployment import Deployment
from stacks.judges import allow_judges

GPT_OSS = {"provider": "bedrock", "model": "openai.gpt-oss-120b-1:0"}
SONNET = {"provider": "bedrock", "model": "us.anthropic.claude-sonnet-4-5-20250929-v1:0"}
OPENAI = {"provider": "openai", "base_url": "https://api.openai.com/v1"}
SECRET = "arn:aws:secretsmanager:us-west-2:123456789012:secret:openai-AbCdEf"


def statements(judges: dict[str, Any]) -> list[tuple[str, list[str], Any]]:
    """Action, resources and condition of all that is allowed; of ARNs, what follows the partition."""
    stack = cdk.Stack()
    principal: Any = cdk.aws_iam.ServicePrincipal("lambda.amazonaws.com")
    role = cdk.aws_iam.Role(stack, "Role", assumed_by=principal)
    allow_judges(role, Deployment(judges=parse(judges)))
    policies = assertions.Template.from_stack(stack).find_resources("AWS::IAM::Policy")
    return [
        (one["Action"], arns(one["Resource"]), one.get("Condition"))
        for policy in policies.values()
        for one in policy["Properties"]["PolicyDocument"]["Statement"]
    ]


def arns(resources: Any) -> list[str]:
    listed = resources if isinstance(resources, list) else [resources]
    return [
        one
        if isinstance(one, str)
        else "".join(part if isinstance(part, str) else "*" for part in one["Fn::Join"][1])
        for one in listed
    ]


def test_with_a_judge_for_every_name_only_listed_models_may_be_asked() -> None:
    judges = {"*": GPT_OSS, "gpt-5": OPENAI | {"secret": SECRET}}

    assert statements(judges) == [
        ("bedrock:InvokeModel", ["arn:*:bedrock:*::foundation-model/openai.gpt-oss-120b-1:0"], None),
        ("secretsmanager:GetSecretValue", [SECRET], None),
    ]


def test_judges_of_other_servers_need_nothing_of_bedrock() -> None:
    assert statements({"*": OPENAI}) == []


def test_the_models_behind_a_profile_may_be_asked_by_it_alone() -> None:
    profile, models = statements({"*": SONNET})

    assert profile[:2] == ("bedrock:InvokeModel", [f"arn:*:bedrock:*:*:inference-profile/{SONNET['model']}"])
    assert models[:2] == ("bedrock:InvokeModel", ["arn:*:bedrock:*::foundation-model/*"])
    assert arns(models[2]["ArnLike"]["bedrock:InferenceProfileArn"]) == profile[1]


def test_a_model_of_the_customers_is_listed_by_its_arn() -> None:
    arn = "arn:aws:bedrock:us-west-2:123456789012:imported-model/abc"

    assert statements({"*": {"provider": "bedrock", "model": arn}}) == [("bedrock:InvokeModel", [arn], None)]


def test_without_a_judge_for_every_name_graders_may_name_models_of_bedrocks() -> None:
    named, by_profile = statements({})

    assert named[1] == ["arn:*:bedrock:*:*:inference-profile/*", "arn:*:bedrock:*::foundation-model/*"]
    assert arns(by_profile[2]["ArnLike"]["bedrock:InferenceProfileArn"]) == [
        "arn:*:bedrock:*:*:inference-profile/*"
    ]


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("gpt-5-mini", "openai.gpt-oss-120b-1:0"),
        ("gpt-5", "gpt-5"),
        ("o4-mini", None),
        ("zai.glm-4.7", "zai.glm-4.7"),
        ("us.deepseek.r1-v1:0", "us.deepseek.r1-v1:0"),
        ("qwen2.5-7b", None),
        ("gpt", None),
    ],
)
def test_a_name_is_looked_up_as_it_is_then_by_its_beginning_then_at_bedrock(
    name: str, model: str | None
) -> None:
    judges = parse({"gpt-5-mini": GPT_OSS, "gpt-*": OPENAI})

    found = find(judges, name)

    assert (found and found.model) == model


def test_the_longest_beginning_wins() -> None:
    judges = parse({"*": OPENAI, "gpt-*": GPT_OSS, "gpt-5*": SONNET})

    assert isinstance(find(judges, "o4-mini"), OpenAIJudge)
    assert find(judges, "gpt-5-mini") == BedrockJudge.model_validate(SONNET)
    assert isinstance(find(judges, "anthropic.claude"), OpenAIJudge)


@pytest.mark.parametrize(
    ("judges", "message"),
    [
        ([1], "should be a valid dictionary"),
        ({"a": 1}, "a: should be an object whose 'provider' is 'bedrock' or 'openai'."),
        ({"a": {}}, "a: should be an object whose 'provider'"),
        ({"a": {"provider": "google"}}, "a: should be an object whose 'provider'"),
        ({"a": {"provider": "bedrock"}}, "a.model: Field required."),
        ({"a": {"provider": "bedrock", "model": "gpt-5"}}, "a.model: should be a Bedrock model id"),
        ({"openai": {"provider": "openai", "base_url": "x"}}, "openai.base_url: should be like https://api"),
        ({"a": OPENAI | {"base_url": "https://u:p@x/v1"}}, "a.base_url: should hold no password"),
        ({"a": OPENAI | {"secret": "sk-1"}}, "a.secret: should be the ARN of a secret"),
        ({"a": OPENAI | {"key": "sk-1"}}, "a.key: Extra inputs are not permitted."),
        ({"default": OPENAI}, "default: needs a 'model'"),
        ("{", "Expecting property name"),
    ],
)
def test_a_setting_of_another_shape_is_refused_by_its_judge(judges: Any, message: str) -> None:
    with pytest.raises(ValueError, match="judges must be like ") as caught:
        Deployment.from_context(cdk.App(context={"judges": judges}).node)

    assert message in str(caught.value)
    assert "sk-1" not in str(caught.value)


def test_the_functions_get_the_setting_as_it_is() -> None:
    judges = {"gpt-5": OPENAI | {"model": "", "secret": SECRET}, "default": GPT_OSS}

    deployment = Deployment.from_context(cdk.App(context={"judges": json.dumps(judges)}).node)

    assert json.loads(deployment.judges_json) == judges

"""The settings of a deployment, and what is said about a wrong one."""

import json
from typing import Any

import aws_cdk as cdk
import pytest

from outcrop.base_models import CATALOGUE
from scripts import settings_table
from stacks.bundle import ROOT
from stacks.deployment import Deployment


def deployment(**context: Any) -> Deployment:
    return Deployment.from_context(cdk.App(context=context).node)


def test_nothing_has_to_be_set() -> None:
    assert deployment() == Deployment()
    assert set(Deployment().models) <= set(CATALOGUE)


def test_settings_are_read_from_the_context() -> None:
    settings = deployment(
        models=["Qwen/Qwen3-32B", "tiny-caps"],
        serving_url="https://models.example.com/v1",
        training_image="123456789012.dkr.ecr.us-west-2.amazonaws.com/outcrop:1",
        instance_types='{"gpt-oss-20b": ["ml.p5.4xlarge"], "*": ["ml.g6e.xlarge"]}',
        max_runtime_seconds="3600",
        max_concurrent_jobs="4",
    )

    assert settings.model_ids == ["qwen.qwen3-32b", "tiny-caps"]
    assert settings.serving_url == "https://models.example.com/v1"
    assert settings.instance_types == {"openai.gpt-oss-20b": ["ml.p5.4xlarge"], "*": ["ml.g6e.xlarge"]}
    assert settings.max_runtime_seconds == 3600
    assert settings.max_concurrent_jobs == 4


def test_a_machine_without_a_price_may_be_asked_for_where_there_is_no_budget() -> None:
    settings = deployment(instance_types={"*": ["ml.x9.large"]}, job_budget_usd=0)

    assert settings.instance_types == {"*": ["ml.x9.large"]}


def test_models_may_be_joined_by_commas_on_the_command_line() -> None:
    assert deployment(models="tiny-caps, smollm2-135m-instruct").model_ids == [
        "tiny-caps",
        "smollm2-135m-instruct",
    ]


def test_a_model_of_ones_own_is_trained_on_and_served_by_what_the_settings_name() -> None:
    own = {
        "id": "acme.qwen3-8b",
        "like": "qwen.qwen3-8b",
        "repository": "acme/Qwen3-8B",
        "revision": "0" * 40,
    }

    settings = deployment(
        models=["tiny-caps", own],
        instance_types={"acme.qwen3-8b": ["ml.p5.4xlarge"]},
        serving_instances={"acme.qwen3-8b": "ml.g6e.2xlarge"},
    )

    assert settings.model_ids == ["tiny-caps", "acme.qwen3-8b"]
    assert json.loads(settings.own_models_json) == [own]
    assert deployment(models=json.dumps(["tiny-caps", own])) == deployment(models=["tiny-caps", own])


@pytest.mark.parametrize(
    ("context", "message"),
    [
        (
            {"models": "gpt-7"},
            "models: 'gpt-7' is not a model that can be fine-tuned. Known: openai.gpt-oss-20b,",
        ),
        (
            {"models": [{"id": "acme.qwen3-8b", "like": "qwen.qwen3-8b", "lora_rank": 8}]},
            "models: 'acme.qwen3-8b' has no field 'lora_rank'. There are: id, aliases, architecture,",
        ),
        ({"models": 7}, "models must be a list of model ids, not 7."),
        ({"serving_url": "models.example.com"}, "serving_url must be like 'https://models.example.com/v1'"),
        ({"serving_url": 7}, "serving_url must be a string, not 7."),
        ({"instance_types": "ml.g5.xlarge"}, "instance_types must be an object like {"),
        (
            {"instance_types": {"gpt-7": ["ml.g5.xlarge"]}},
            "instance_types: 'gpt-7' is neither '*' nor a model.",
        ),
        (
            {"instance_types": {"*": ["g5.xlarge"]}},
            "instance_types: '*' must have a list of one to 5 different SageMaker types, like {",
        ),
        ({"instance_types": {"*": []}}, "instance_types: '*' must have a list of one to 5 different"),
        ({"instance_types": {"*": ["ml.g5.xlarge"] * 2}}, "instance_types: '*' must have a list of one to 5"),
        (
            {"instance_types": {"*": ["ml.x9.large"]}},
            "instance_types: outcrop/prices.json has no price of 'ml.x9.large', so no job_budget_usd could",
        ),
        ({"instance_count": 2}, "instance_count must be an object like {"),
        ({"instance_count": {"gpt": 2}}, "instance_count: 'gpt' is not a model. Known: "),
        (
            {"instance_count": {"qwen.qwen3-32b": 0}},
            "instance_count: 'qwen.qwen3-32b' must have a whole number from 1 to 16",
        ),
        (
            {"instance_count": {"openai.gpt-oss-20b": 2}},
            "instance_count: 'openai.gpt-oss-20b' trains on one machine: attention other than sdpa",
        ),
        (
            {"instance_count": {"qwen.qwen3-32b": 2}, "training_image": "123.dkr.ecr/trainer:1"},
            "instance_count above 1 needs the images that a deployment builds by itself",
        ),
        ({"spot": "maybe"}, "spot must be true or false, not 'maybe'."),
        (
            {"spot": True, "warm_pool_seconds": 60},
            "warm_pool_seconds must be 0 where spot is true: SageMaker keeps no spot instance.",
        ),
        ({"warm_pool_seconds": 30_000}, "warm_pool_seconds must be a whole number from 0 to 21600"),
        ({"max_wait_seconds": -1}, "max_wait_seconds must be a whole number from 0 to 604800, not -1."),
        ({"job_budget_usd": "much"}, "job_budget_usd must be a number of at least 0, not 'much'."),
        ({"training_vpc": {"vpc_id": "vpc-0abc"}}, 'training_vpc must be like {"vpc_id": "vpc-0abc", '),
        (
            {"training_vpc": {"vpc_id": "vpc-0", "subnet_ids": ["eni-0"], "security_group_ids": ["sg-0"]}},
            "training_vpc: subnet_ids must be one to 16 ids like 'subnet-0abc', not ['eni-0'].",
        ),
        ({"max_runtime_seconds": "1h"}, "max_runtime_seconds must be a whole number from 60 to 432000"),
        ({"max_runtime_seconds": 1}, "max_runtime_seconds must be a whole number from 60 to 432000, not 1."),
        ({"sandbox_packages": "all"}, "sandbox_packages must be 'layer' or 'full', not 'all'."),
        (
            {"weights_source": "s3"},
            "weights_source must be 'auto' or 'huggingface' or 'jumpstart', not 's3'.",
        ),
        (
            {"hugging_face_secret": "hf_abc"},
            "hugging_face_secret must be an ARN like 'arn:aws:secretsmanager:us-west-2:123456789012:secret:",
        ),
        ({"max_concurrent_jobs": 0}, "max_concurrent_jobs must be a whole number from 1 to 100, not 0."),
    ],
)
def test_a_wrong_setting_names_itself_and_what_would_be_right(context: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError) as caught:
        deployment(**context)

    assert str(caught.value).startswith(message)


def test_every_setting_has_its_row_in_docs_settings() -> None:
    assert settings_table.PAGE.read_text() == settings_table.page(), "run: python -m scripts.settings_table"


def test_a_misspelt_setting_is_named() -> None:
    with pytest.raises(ValueError, match=r"^there is no setting 'sevring_url'. There are: alarm_email, "):
        deployment(sevring_url="https://models.example.com/v1")


def test_the_context_of_the_cdk_itself_is_no_setting_of_ours() -> None:
    settings = deployment(
        **{
            "@aws-cdk/core:newStyleStackSynthesis": True,
            "aws:cdk:bundling-stacks": [],
            "availability-zones:account=123456789012:region=us-west-2": ["us-west-2a"],
            "acknowledged-issue-numbers": [16603],
        }
    )

    assert settings == Deployment()


def test_cdk_json_sets_nothing_that_is_not_a_setting() -> None:
    context = json.loads((ROOT / "cdk.json").read_text())["context"]

    assert deployment(**context) == Deployment()

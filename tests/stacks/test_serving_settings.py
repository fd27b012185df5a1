"""The settings of serving, and what is said about a wrong one."""

from typing import Any

import aws_cdk as cdk
import pytest

from outcrop.base_models import CATALOGUE
from outcrop.serving.sagemaker_plan import gpus
from stacks.deployment import Deployment


def deployment(**context: Any) -> Deployment:
    return Deployment.from_context(cdk.App(context=context).node)


def test_models_are_served_on_sagemaker_unless_a_server_is_named() -> None:
    served = [deployment().serving, deployment(serving_url="https://models.example.com/v1").serving]

    assert served == ["sagemaker", "openai_compatible"]


def test_a_model_may_have_one_type_or_several() -> None:
    settings = deployment(
        serving_instances={
            "Qwen/Qwen3-32B": "ml.g6e.12xlarge",
            "openai.gpt-oss-20b": ["ml.g6e.2xlarge", "ml.g6e.4xlarge"],
        }
    )

    assert settings.serving_instances == {
        "qwen.qwen3-32b": ["ml.g6e.12xlarge"],
        "openai.gpt-oss-20b": ["ml.g6e.2xlarge", "ml.g6e.4xlarge"],
    }


@pytest.mark.parametrize(
    ("context", "message"),
    [
        ({"serving": "ollama"}, "serving must be 'sagemaker' or 'bedrock_import' or 'openai_compatible'"),
        ({"serving": "openai_compatible"}, "serving: 'openai_compatible' needs a serving_url"),
        (
            {"serving": "sagemaker", "serving_url": "https://models.example.com/v1"},
            "serving_url must be empty where serving is 'sagemaker'",
        ),
        ({"serving_image": "vllm:latest"}, "serving_image must be like '123456789012.dkr.ecr.us-west-2"),
        ({"serving_instances": "ml.g6e.2xlarge"}, "serving_instances must be an object like {"),
        ({"serving_instances": {"gpt-7": "ml.g6e.2xlarge"}}, "serving_instances: 'gpt-7' is no model that"),
        ({"serving_instances": {"tiny-caps": "ml.m5.large"}}, "serving_instances: 'tiny-caps' is no model"),
        (
            {"serving_instances": {"qwen.qwen3-32b": []}},
            "serving_instances: 'qwen.qwen3-32b' must have one to 5",
        ),
        (
            {"serving_instances": {"qwen.qwen3-32b": "g7e"}},
            "serving_instances: 'qwen.qwen3-32b' must have one",
        ),
        (
            {"serving_instances": {"qwen.qwen3-32b": ["ml.g7e.2xlarge", "ml.g6e.12xlarge"]}},
            "serving_instances: the types of 'qwen.qwen3-32b' must have equally many GPUs: ml.g7e.2xlarge",
        ),
        ({"max_adapters": 0}, "max_adapters must be a whole number from 1 to 1000, not 0."),
    ],
)
def test_a_wrong_setting_names_itself_and_what_would_be_right(context: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError) as caught:
        deployment(**context)

    assert str(caught.value).startswith(message)


def test_the_instances_of_a_model_have_equally_many_gpus_and_are_no_more_than_sagemaker_takes() -> None:
    for model in CATALOGUE:
        if model.serving:
            assert len({gpus(one) for one in model.serving.instance_types}) == 1
            assert len(model.serving.instance_types) <= 5


@pytest.mark.parametrize(
    ("instance_type", "count"),
    [
        ("ml.g6e.2xlarge", 1),
        ("ml.g5.16xlarge", 1),
        ("ml.p5.4xlarge", 1),
        ("ml.g7e.8xlarge", 1),
        ("ml.g7e.12xlarge", 2),
        ("ml.g7e.24xlarge", 4),
        ("ml.g5.24xlarge", 4),
        ("ml.g6e.12xlarge", 4),
        ("ml.g6e.48xlarge", 8),
        ("ml.p4d.24xlarge", 8),
        ("ml.p5en.48xlarge", 8),
    ],
)
def test_a_type_tells_how_many_gpus_it_has(instance_type: str, count: int) -> None:
    assert gpus(instance_type) == count

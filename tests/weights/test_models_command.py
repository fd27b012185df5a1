"""`outcrop models`: what of the catalogue is in the bucket, and having it brought there."""

import re
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from typer.testing import CliRunner

from outcrop import base_models
from outcrop.cli.models import app
from outcrop.stores import weights
from outcrop.types.weights import WeightsFile, WeightsManifest
from tests.command_process import a_stack, command_account

BUCKET = "outcrop-bucket"
MACHINE = "weights"


@pytest.fixture
def stack() -> Iterator[Any]:
    """A deployment whose syncs end at once, as the definition says that it hands out."""
    with command_account():
        boto3.client("s3").create_bucket(
            Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "us-west-2"}
        )
        machine = boto3.client("stepfunctions").create_state_machine(
            name=MACHINE,
            definition='{"StartAt": "Nothing", "States": {"Nothing": {"Type": "Succeed"}}}',
            roleArn="arn:aws:iam::123456789012:role/weights",
        )
        a_stack("OutcropStorage", {"TableName": "outcrop-table", "BucketName": BUCKET})
        a_stack("OutcropWeights", {"StateMachineArn": machine["stateMachineArn"]})
        yield boto3.client("stepfunctions")


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, arguments, env={"COLUMNS": "200", "NO_COLOR": "1"})
    return result.exit_code, result.output


def there(model_id: str) -> None:
    """Its weights, as far as the command can see."""
    model = base_models.find(model_id)
    assert model and model.repository and model.revision
    weights.put_manifest(
        WeightsManifest(
            model=model_id,
            repository=model.repository,
            revision=model.revision,
            license=model.license,
            synced_at=1,
            files=[
                WeightsFile(path="x.safetensors", size=2_500_000_000, sha256="0" * 64, source="huggingface")
            ],
        )
    )


def test_the_list_says_what_is_there(stack: Any) -> None:
    run("list")
    there("smollm2-135m-instruct")

    code, output = run("list")

    head, *lines = [re.split("  +", line) for line in output.splitlines()]
    assert code == 0
    assert head == ["MODEL", "WEIGHTS", "SIZE", "REVISION", "LICENSE"]
    assert ["openai.gpt-oss-20b", "-", "-", "6cee5e81ee83", "Apache-2.0"] in lines
    assert ["smollm2-135m-instruct", "complete", "2.5 GB", "12fd25f77366", "Apache-2.0"] in lines
    assert "tiny-caps" not in output


def test_sync_starts_one_and_says_its_name(stack: Any) -> None:
    code, output = run("sync", "openai/gpt-oss-20b")

    assert code == 0
    assert output == (
        "The weights of openai.gpt-oss-20b are on their way into the bucket "
        "(sync openai.gpt-oss-20b-6cee5e81ee83-1).\n"
    )
    machines = stack.list_state_machines()["stateMachines"]
    (execution,) = stack.list_executions(stateMachineArn=machines[0]["stateMachineArn"])["executions"]
    assert execution["name"] == "openai.gpt-oss-20b-6cee5e81ee83-1"


def test_weights_that_are_there_are_not_fetched_again(stack: Any) -> None:
    run("list")
    there("qwen.qwen3-32b")

    assert run("sync", "qwen.qwen3-32b", "--wait") == (
        0,
        "The weights of qwen.qwen3-32b are in the bucket.\n",
    )


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("gpt-7", "There is no model 'gpt-7'. There are: openai.gpt-oss-20b, qwen.qwen3-32b,"),
        ("tiny-caps", "tiny-caps has no repository that its weights could come from."),
    ],
)
def test_a_model_that_cannot_be_fetched_is_refused(model: str, said: str) -> None:
    code, output = run("sync", model)

    assert code == 2
    assert said in output


def test_where_nothing_is_deployed_the_command_says_so() -> None:
    with command_account():
        code, output = run("sync", "openai.gpt-oss-20b")

    assert code == 2
    assert output.startswith("outcrop: There is no Outcrop in us-west-2")


def test_a_deployment_of_before_is_told_to_be_deployed_again(stack: Any) -> None:
    boto3.client("cloudformation").delete_stack(StackName="OutcropWeights")

    code, output = run("list")

    assert code == 2
    assert "The stack OutcropWeights is not in us-west-2: deploy it" in output

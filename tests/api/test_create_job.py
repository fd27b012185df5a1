"""What `fine_tuning.jobs.create` accepts, what it refuses, and with which words."""

import json
from typing import Any

import boto3
import openai
import pytest
from openai import OpenAI

from outcrop.settings import settings
from outcrop.stores import clients
from tests.account import Account
from tests.api.wire import aws_calls, lost
from tests.factories import METHOD, STRING_CHECK, a_file

RETRY = {"x-stainless-retry-count": "1"}
ARN = "arn:aws:lambda:us-west-2:123456789012:function:my-grader"


def reinforcement(**fields: Any) -> dict[str, Any]:
    return {"type": "reinforcement", "reinforcement": {"grader": STRING_CHECK, **fields}}


FULL = reinforcement(hyperparameters={"finetuning_type": "full"})


def create(client: OpenAI, **fields: Any) -> Any:
    """Create a job that is right but for `fields`."""
    request = {"model": "tiny-caps", "training_file": fields.get("training_file") or a_file().id}
    return client.fine_tuning.jobs.create(**{**request, "method": METHOD, **fields})


def executions() -> list[Any]:
    workflow = clients.client("stepfunctions")
    listed = workflow.list_executions(stateMachineArn=settings().state_machine_arn)["executions"]
    return [workflow.describe_execution(executionArn=one["executionArn"]) for one in listed]


@pytest.fixture
def grader_function(aws: Account) -> str:
    """A customer's Lambda function, deployed."""
    role = boto3.client("iam").create_role(RoleName="grader", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
    boto3.client("lambda").create_function(
        FunctionName="my-grader",
        Runtime="python3.13",
        Role=role,
        Handler="grader.handler",
        Code={"ZipFile": b"PK\x05\x06" + b"\x00" * 18},
    )
    return ARN


def test_a_created_job_is_written_down_said_and_started(client: OpenAI) -> None:
    training, validation = a_file(), a_file()

    job = create(
        client,
        training_file=training.id,
        validation_file=validation.id,
        suffix="caps-1",
        seed=42,
        metadata={"team": "search"},
    )

    assert (job.status, job.model, job.organization_id) == ("validating_files", "tiny-caps", "acme")
    assert (job.training_file, job.validation_file, job.seed) == (training.id, validation.id, 42)
    assert (job.error, job.fine_tuned_model, job.finished_at) == (None, None, None)
    assert client.fine_tuning.jobs.retrieve(job.id) == job
    events = client.fine_tuning.jobs.list_events(job.id).data
    assert [event.message for event in events] == [f"Created fine-tuning job: {job.id}"]
    started = [(execution["name"], json.loads(execution["input"])) for execution in executions()]
    assert started == [(f"{job.id}-1", {"project": "acme", "job_id": job.id, "attempt": 1})]


def test_a_model_may_be_asked_for_in_any_of_its_spellings(client: OpenAI) -> None:
    job = create(client, model="HuggingFaceTB/SmolLM2-135M-Instruct")

    assert job.model == "smollm2-135m-instruct"


def test_a_seed_is_drawn_when_none_is_given(client: OpenAI) -> None:
    seeds = {create(client).seed for _ in range(3)}

    assert len(seeds) == 3


def test_hyperparameters_come_back_as_asked_and_the_rest_as_auto(client: OpenAI) -> None:
    job = create(
        client, method=reinforcement(hyperparameters={"n_epochs": 3, "learning_rate_multiplier": 0.5})
    )

    chosen = job.method.reinforcement.hyperparameters
    assert (chosen.n_epochs, chosen.learning_rate_multiplier, chosen.batch_size) == (3, 0.5, "auto")


def test_what_comes_beside_the_method_of_the_given_type_is_left_out(client: OpenAI) -> None:
    job = create(
        client, method={**METHOD, "supervised": {"hyperparameters": {"n_epochs": 3}}}, hyperparameters={}
    )

    assert job.method.supervised is None


@pytest.mark.parametrize(
    "grader",
    [{"type": "lambda", "lambda": {"function": ARN}}, {"type": "custom_code", "lambda_arn": ARN}],
)
def test_a_lambda_grader_is_accepted_in_bedrocks_form_and_the_announcements(
    client: OpenAI, grader_function: str, grader: dict[str, Any]
) -> None:
    response = client.fine_tuning.jobs.with_raw_response.create(
        model="tiny-caps", training_file=a_file().id, extra_body={"method": reinforcement(grader=grader)}
    )

    job = response.http_response.json()
    assert job["method"]["reinforcement"]["grader"] == {"name": grader["type"], **grader}


@pytest.mark.parametrize("arn", [ARN, "my-grader", "arn:aws:s3:::bucket"])
def test_a_grader_function_that_does_not_exist_is_refused(client: OpenAI, arn: str) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        create(client, method=reinforcement(grader={"type": "lambda", "lambda": {"function": arn}}))

    assert caught.value.param == "method.reinforcement.grader.lambda.function"
    assert arn in caught.value.message


@pytest.mark.parametrize("param", ["training_file", "validation_file"])
def test_unknown_deleted_and_foreign_files_are_refused_with_the_same_words(
    client: OpenAI, param: str
) -> None:
    deleted, foreign = a_file().id, a_file(project="umbrella").id
    client.files.delete(deleted)

    for file_id in ("file-unknown", deleted, foreign):
        with pytest.raises(openai.BadRequestError, match=f"{param}: No such file: '{file_id}'") as caught:
            create(client, **{param: file_id})
        assert (caught.value.param, caught.value.code) == (param, "file_not_found")


def test_a_file_of_another_purpose_is_refused(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="is 'batch'; it must be 'fine-tune'") as caught:
        create(client, training_file=a_file(purpose="batch").id)

    assert caught.value.param == "training_file"


def test_an_unknown_model_is_refused_with_those_on_offer(client: OpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="smollm2-135m-instruct, tiny-caps") as caught:
        create(client, model="o4-mini-2025-04-16")

    assert (caught.value.param, caught.value.code) == ("model", "model_not_found")


def test_a_model_too_big_for_this_deployment_is_refused_with_what_it_needs(client: OpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="it needs one GPU with at least 80 GB of memory"):
        create(client, model="openai/gpt-oss-20b")


@pytest.mark.parametrize("method", [None, {"type": "supervised"}, {"type": "dpo"}, {}, {"type": 3}])
def test_a_method_other_than_reinforcement_is_refused_with_what_is_supported(
    client: OpenAI, method: dict[str, Any] | None
) -> None:
    with pytest.raises(openai.BadRequestError, match="only 'reinforcement' is supported") as caught:
        create(client, method=method)

    assert str(caught.value.param).startswith("method")


@pytest.mark.parametrize(
    ("method", "param", "reason"),
    [
        ({"type": "reinforcement"}, "", "required"),
        ({"type": "reinforcement", "reinforcement": {}}, ".grader", "required"),
        (reinforcement(grader={}), ".grader.type", "required"),
        (reinforcement(grader={"type": "vibes"}), ".grader.type", "'vibes' is not supported; 'string_check'"),
        (reinforcement(grader={**STRING_CHECK, "operation": "same"}), ".grader.operation", "'eq', 'ne'"),
        (reinforcement(grader={"type": "string_check"}), ".grader.input", "required"),
        (reinforcement(grader={"type": "lambda", "lambda": {}}), ".grader.lambda.function", "required"),
        (reinforcement(hyperparameters={"batch_size": 257}), ".hyperparameters.batch_size", "256"),
        (reinforcement(hyperparameters={"n_epochs": 0}), ".hyperparameters.n_epochs", "'auto' or greater"),
        (reinforcement(hyperparameters={"n_epochs": "many"}), ".hyperparameters.n_epochs", "integer"),
        (reinforcement(hyperparameters={"epochs": 3}), ".hyperparameters.epochs", "no such field"),
        (reinforcement(hyperparameters={"n_epochs": "3"}), ".hyperparameters.n_epochs", "integer"),
        (reinforcement(hyperparameters={"n_epochs": True}), ".hyperparameters.n_epochs", "integer"),
        (reinforcement(hyperparameters={"n_epochs": 2.5}), ".hyperparameters.n_epochs", "integer"),
        (reinforcement(hyperparameters={"n_epochs": 51}), ".hyperparameters.n_epochs", "50"),
        (
            reinforcement(hyperparameters={"learning_rate_multiplier": "0.5"}),
            ".hyperparameters.learning_rate_multiplier",
            "number",
        ),
        (
            reinforcement(hyperparameters={"learning_rate_multiplier": 0}),
            ".hyperparameters.learning_rate_multiplier",
            "greater than 0",
        ),
        (
            reinforcement(hyperparameters={"compute_multiplier": 1e-5}),
            ".hyperparameters.compute_multiplier",
            "greater than 0.00001",
        ),
        (reinforcement(hyperparameters={"eval_interval": 0}), ".hyperparameters.eval_interval", "1"),
        (reinforcement(hyperparameters={"eval_samples": 0}), ".hyperparameters.eval_samples", "1"),
        (reinforcement(hyperparameters={"loss_type": "ppo"}), ".hyperparameters.loss_type", "'dr_grpo'"),
        (
            reinforcement(hyperparameters={"loss_type": "cispo", "epsilon": 0.2}),
            ".hyperparameters.epsilon",
            "the loss 'cispo' does not use it",
        ),
        (
            reinforcement(hyperparameters={"early_stopping_patience": 2}),
            ".hyperparameters.early_stopping_patience",
            "give validation_file",
        ),
        (
            reinforcement(hyperparameters={"reasoning_effort": "max"}),
            ".hyperparameters.reasoning_effort",
            "low",
        ),
        (reinforcement(response_format={}), ".response_format.type", "required"),
        (reinforcement(response_format={"type": "xml"}), ".response_format.type", "'json_object'"),
        (reinforcement(response_format={"type": "json_schema"}), ".response_format.json_schema", "required"),
    ],
)
def test_what_is_wrong_inside_the_method_is_named_by_its_path(
    client: OpenAI, method: dict[str, Any], param: str, reason: str
) -> None:
    with pytest.raises(openai.BadRequestError, match=reason) as caught:
        create(client, method=method)

    assert caught.value.param == f"method.reinforcement{param}"


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"suffix": "two words"}, "suffix"),
        ({"suffix": "a:b"}, "suffix"),
        ({"suffix": ""}, "suffix"),
        ({"suffix": "x" * 65}, "suffix"),
        ({"seed": -1}, "seed"),
        ({"seed": 2**31}, "seed"),
        ({"metadata": {"k": "v" * 513}}, "metadata.k"),
        ({"metadata": {f"k{i}": "v" for i in range(17)}}, "metadata"),
        ({"seed": True}, "seed"),
        ({"seed": "7"}, "seed"),
        ({"metadata": {"k" * 65: "v"}}, f"metadata.{'k' * 65}.[key]"),
        ({"metadata": {"k": 1}}, "metadata.k"),
        ({"validation_file": ""}, "validation_file"),
        ({"integrations": [{"type": "wandb", "wandb": {"project": "p"}}]}, "integrations"),
        ({"hyperparameters": {"n_epochs": 3}}, "hyperparameters"),
        ({"model": None}, "model"),
        ({"training_file": 5}, "training_file"),
    ],
)
def test_what_is_wrong_in_the_request_is_named(client: OpenAI, fields: dict[str, Any], param: str) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        create(client, **fields)

    assert caught.value.param == param
    assert caught.value.message.count(param) >= 1


def test_a_refused_job_leaves_no_trace(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError):
        create(client, suffix="two words")

    assert client.fine_tuning.jobs.list().data == []
    assert executions() == []


def test_a_workflow_that_could_not_be_started_is_started_by_the_next_try(client: OpenAI) -> None:
    training_file = a_file().id
    with (
        lost(clients.client("stepfunctions"), "sfn.StartExecution"),
        pytest.raises(openai.InternalServerError),
    ):
        create(client, training_file=training_file)

    job = create(client, training_file=training_file, extra_headers=RETRY)

    assert [listed.id for listed in client.fine_tuning.jobs.list()] == [job.id]
    assert [execution["name"] for execution in executions()] == [f"{job.id}-1"]


def test_a_job_whose_start_got_lost_is_started_by_whoever_looks_at_it(client: OpenAI) -> None:
    with (
        lost(clients.client("stepfunctions"), "sfn.StartExecution"),
        pytest.raises(openai.InternalServerError),
    ):
        create(client)
    [job] = client.fine_tuning.jobs.list().data

    retrieved = client.fine_tuning.jobs.retrieve(job.id)

    assert retrieved.status == "validating_files"
    assert [execution["name"] for execution in executions()] == [f"{job.id}-1"]


def test_a_retry_after_a_lost_reply_gets_the_job_that_its_first_try_made(client: OpenAI) -> None:
    training_file = a_file().id
    first = create(client, training_file=training_file, suffix="s")

    again = create(client, training_file=training_file, suffix="s", extra_headers=RETRY)
    different = create(client, training_file=training_file, suffix="t", extra_headers=RETRY)

    assert again == first
    assert different.id != first.id
    assert len(executions()) == 2
    assert len(client.fine_tuning.jobs.list_events(first.id).data) == 1


def test_the_same_request_made_twice_on_purpose_makes_two_jobs(client: OpenAI) -> None:
    training_file = a_file().id

    assert create(client, training_file=training_file).id != create(client, training_file=training_file).id


def test_an_idempotency_key_stands_for_one_job(client: OpenAI) -> None:
    training_file, key = a_file().id, {"Idempotency-Key": "monday"}
    first = create(client, training_file=training_file, extra_headers=key)

    again = create(client, training_file=training_file, extra_headers=key)
    with pytest.raises(openai.BadRequestError, match="another request"):
        create(client, training_file=training_file, suffix="t", extra_headers=key)

    assert again == first


def test_a_job_is_created_with_five_calls(client: OpenAI, aws: Account, grader_function: str) -> None:
    grader = {"type": "lambda", "lambda": {"function": grader_function}}
    files = {"training_file": a_file().id, "validation_file": a_file().id}
    loose = client.copy()  # a copy is not strict: OpenAI knows no Lambda graders

    with aws_calls(aws) as calls:
        create(loose, **files, method=reinforcement(grader=grader))

    made = calls[calls.index("BatchGetItem") :]
    assert made == [
        "BatchGetItem",
        "GetFunctionConfiguration",
        "PutItem",
        "TransactWriteItems",
        "StartExecution",
    ]


def test_a_file_with_bad_rows_is_refused_with_what_is_wrong_in_it(client: OpenAI) -> None:
    file = a_file(status="error", status_details="line 2 has no 'messages'.")

    with pytest.raises(openai.BadRequestError, match="line 2 has no 'messages'") as caught:
        create(client, validation_file=file.id)

    assert (caught.value.param, caught.value.code) == ("validation_file", "invalid_validation_file")


def test_a_file_that_is_still_looked_at_is_accepted(client: OpenAI) -> None:
    assert create(client, training_file=a_file(status="uploaded").id).status == "validating_files"


@pytest.mark.parametrize(
    "response_format",
    [
        {"type": "text"},
        {"type": "json_object"},
        {
            "type": "json_schema",
            "json_schema": {"name": "answer", "schema": {"type": "object"}, "strict": True},
        },
    ],
)
def test_a_response_format_comes_back_as_it_was_asked_for(
    client: OpenAI, response_format: dict[str, Any]
) -> None:
    job = create(client, method=reinforcement(response_format=response_format))

    method: Any = client.fine_tuning.jobs.retrieve(job.id).to_dict()["method"]
    assert method["reinforcement"]["response_format"] == response_format


def test_what_says_nothing_is_accepted(client: OpenAI) -> None:
    job = create(
        client,
        hyperparameters={"n_epochs": "auto", "batch_size": "auto"},
        integrations=[],
        validation_file=None,
        metadata={},
    )

    assert (job.hyperparameters.to_dict(), job.integrations, job.validation_file) == ({}, [], None)


def test_as_much_metadata_as_is_allowed_comes_back(client: OpenAI) -> None:
    metadata = {f"{i:064}": "v" * 512 for i in range(16)}

    job = create(client, metadata=metadata)

    assert client.fine_tuning.jobs.retrieve(job.id).metadata == metadata


def test_a_job_that_fits_none_of_the_machines_is_refused_with_one_that_it_would_fit(
    client: OpenAI, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OUTCROP_BASE_MODELS", "qwen.qwen3-14b")
    monkeypatch.setenv("OUTCROP_INSTANCE_TYPES", '{"*": ["ml.g6.xlarge", "ml.g5.xlarge"]}')
    settings.cache_clear()

    with pytest.raises(openai.BadRequestError, match=r"the deployment trains qwen\.qwen3-14b on") as caught:
        create(client, model="qwen.qwen3-14b")

    assert caught.value.code == "not_enough_memory"
    assert "ml.g6.xlarge with 24 GB, ml.g5.xlarge with 24 GB; it would fit on ml." in str(caught.value)


def test_all_weights_of_a_model_that_no_machine_holds_are_refused_and_an_adapter_is_not(
    client: OpenAI, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OUTCROP_BASE_MODELS", "qwen.qwen3-4b")
    monkeypatch.setenv("OUTCROP_INSTANCE_TYPES", '{"*": ["ml.g6e.xlarge"]}')
    settings.cache_clear()

    with pytest.raises(openai.BadRequestError, match="finetuning_type 'lora' takes far less") as caught:
        create(client, model="qwen.qwen3-4b", method=FULL)

    assert caught.value.code == "not_enough_memory"
    assert "it would fit on ml." in str(caught.value)
    assert create(client, model="qwen.qwen3-4b").status == "validating_files"


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("OUTCROP_SERVING", "sagemaker", "`serving` is sagemaker in cdk.json"),
        ("OUTCROP_INSTANCE_COUNT", '{"tiny-caps": 2}', "`instance_count` in cdk.json"),
        ("OUTCROP_SAMPLER_GPUS", "1", "`sampler_gpus` in cdk.json"),
    ],
)
def test_all_weights_are_refused_where_a_deployment_takes_adapters_alone(
    client: OpenAI, monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str
) -> None:
    monkeypatch.setenv(name, value)
    settings.cache_clear()

    with pytest.raises(openai.BadRequestError, match="Leave it out to train an adapter") as caught:
        create(client, method=FULL)

    assert said in str(caught.value)
    assert caught.value.param == "method.reinforcement.hyperparameters.finetuning_type"
    assert create(client).status == "validating_files"


def test_an_effort_that_the_models_template_does_not_take_is_refused(
    client: OpenAI, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OUTCROP_BASE_MODELS", "openai.gpt-oss-20b")
    settings.cache_clear()

    with pytest.raises(openai.BadRequestError, match="takes low, medium, high or default, not 'none'"):
        create(
            client,
            model="gpt-oss-20b",
            method=reinforcement(hyperparameters={"reasoning_effort": "none"}),
        )

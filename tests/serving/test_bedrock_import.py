"""Tuned models as Amazon Bedrock's imported models: imported when their job succeeds, answered by the SDK's
own patience, refused with a reason where they could never answer."""

import asyncio
import json
from collections.abc import Iterator

import openai
import pytest
from openai import OpenAI

from outcrop import s3_keys, settings
from outcrop.base_models import find
from outcrop.errors import APIError, UnavailableError
from outcrop.operations import training_end
from outcrop.serving import bedrock_import_limits, server, tuned_models
from outcrop.serving.bedrock_import import BedrockImport
from outcrop.serving.streaming import SILENT_SECONDS
from outcrop.stores.models import ModelStore
from outcrop.stores.objects import ObjectStore
from outcrop.training_spec import TrainingResult
from outcrop.types.model import ServedModel, TunedModel, as_served
from tests import factories
from tests.account import Account, sdk
from tests.fakes.bedrock_import import Events, FakeBedrock, Fault
from tests.fakes.clock import FakeClock

BASE = "qwen.qwen3-32b"
MODEL = f"ft:{BASE}:acme::1"
FILES = ("config.json", "tokenizer.json", "tokenizer_config.json", "model-00001-of-00001.safetensors")


@pytest.fixture
def bedrock(aws: Account, clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeBedrock]:
    for name, value in {
        "OUTCROP_SERVING": "bedrock_import",
        "OUTCROP_IMPORT_ROLE_ARN": "arn:aws:iam::123456789012:role/import",
        "OUTCROP_BASE_MODELS": f"{BASE},openai.gpt-oss-20b,tiny-caps",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(server, "CLOCK", clock.clock)
    monkeypatch.setattr("openai._base_client.time.sleep", clock.move)
    fake = FakeBedrock(clock)
    with fake.installed(aws.session):
        settings.settings.cache_clear()
        server.model_server.cache_clear()
        yield fake
    server.model_server.cache_clear()


@pytest.fixture
def client(function_url: str, bedrock: FakeBedrock) -> OpenAI:
    """The SDK of project `acme` as everybody has it, its two retries included."""
    context = {"authorizer": {"project_id": "acme", "key_id": "key_1", "scopes": "read write inference"}}
    return OpenAI(
        base_url=f"{function_url}/v1",
        api_key="checked by the authorizer",
        default_headers={"x-amzn-request-context": json.dumps(context)},
    )


def a_tuned_model(job_id: str = "ftjob-1", files: tuple[str, ...] = FILES) -> ServedModel:
    """A model of project `acme` whose job has just succeeded."""
    key = s3_keys.merged("acme", job_id)
    for name in files:
        ObjectStore().put(key + name, b"{}")
    model = TunedModel(
        id=MODEL,
        created=1,
        base_model=BASE,
        adapter_key=s3_keys.adapter("acme", job_id, 5),
        merged_key=key,
        job_id=job_id,
        kind="model",
    )
    ModelStore("acme").put(model)
    tuned_models.made(as_served(model))
    return as_served(model)


def ask(client: OpenAI, model: str = MODEL) -> str | None:
    answer = client.chat.completions.create(model=model, messages=[{"role": "user", "content": "hello"}])
    return answer.choices[0].message.content


def test_a_succeeded_jobs_model_is_imported_once_under_its_jobs_name(bedrock: FakeBedrock) -> None:
    model = a_tuned_model()

    tuned_models.made(model)

    (job,) = bedrock.jobs.values()
    assert (job.name, job.model) == ("outcrop-ftjob-1", "outcrop-ftjob-1")
    assert job.uri == "s3://outcrop-bucket/projects/acme/jobs/ftjob-1/merged/"
    assert job.tags == [{"key": "outcrop", "value": "model"}]


def test_an_unchanged_client_asks_while_the_model_is_imported_and_is_answered(
    client: OpenAI, bedrock: FakeBedrock, clock: FakeClock
) -> None:
    a_tuned_model()
    clock.move(600)

    assert ask(client) == "You said: hello"
    assert clock.now() - 1_800_000_000 > bedrock.import_seconds + bedrock.fetch_seconds - 10


def test_a_model_whose_import_was_never_begun_is_imported_by_whoever_asks(
    client: OpenAI, bedrock: FakeBedrock, clock: FakeClock
) -> None:
    bedrock.faults.append(Fault("CreateModelImportJob", "InternalServerException"))
    bedrock.import_seconds = 500
    a_tuned_model()
    assert not bedrock.jobs

    assert ask(client) == "You said: hello"


def test_the_lost_reply_of_a_begun_import_begins_no_second_one(bedrock: FakeBedrock) -> None:
    bedrock.faults.append(Fault("CreateModelImportJob", "lost"))

    tuned_models.made(a_tuned_model())

    assert len(bedrock.jobs) == 1
    assert bedrock.calls["CreateModelImportJob"] == 2


def test_a_warm_model_answers_at_once_and_with_one_call(
    client: OpenAI, bedrock: FakeBedrock, clock: FakeClock
) -> None:
    a_tuned_model()
    clock.move(1000)
    ask(client)
    bedrock.calls.clear()

    assert ask(client) == "You said: hello"
    assert bedrock.calls == {"InvokeModelWithResponseStream": 1}


def test_a_model_that_was_put_away_is_waited_for(
    client: OpenAI, bedrock: FakeBedrock, clock: FakeClock
) -> None:
    a_tuned_model()
    clock.move(1000)
    ask(client)
    clock.move(3600)
    before = clock.now()

    assert ask(client) == "You said: hello"
    assert bedrock.fetch_seconds <= clock.now() - before < bedrock.fetch_seconds + 30


def test_whoever_is_not_streamed_to_is_told_after_less_than_five_minutes_when_to_ask_again(
    client: OpenAI, bedrock: FakeBedrock, clock: FakeClock
) -> None:
    a_tuned_model()
    before = clock.now()

    with pytest.raises(openai.InternalServerError, match="Amazon Bedrock is importing it") as raised:
        ask(client.with_options(max_retries=0))

    assert raised.value.status_code == 503
    assert 0 < int(raised.value.response.headers["retry-after"]) < 60
    assert 240 < clock.now() - before <= SILENT_SECONDS


def test_a_stream_has_openais_chunks(client: OpenAI, bedrock: FakeBedrock, clock: FakeClock) -> None:
    a_tuned_model()
    clock.move(1000)

    chunks = [
        *client.chat.completions.create(
            model=MODEL, messages=[{"role": "user", "content": "hello"}], stream=True, max_completion_tokens=9
        )
    ]

    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "You said: hello"
    assert chunks[-1].choices[0].finish_reason == "stop"
    (asked,) = bedrock.asked
    assert asked["max_tokens"] == 9
    assert asked["stream"] is True
    assert not {"model", "max_completion_tokens"} & asked.keys()


def test_a_completion_is_asked_for_in_its_own_schema(
    client: OpenAI, bedrock: FakeBedrock, clock: FakeClock
) -> None:
    a_tuned_model()
    clock.move(1000)

    answer = client.completions.create(model=MODEL, prompt="once", max_tokens=5)

    assert answer.choices[0].text.startswith("You said: ")
    assert answer.usage and answer.usage.total_tokens == 7


def test_a_failed_import_is_told_with_bedrocks_reason_and_not_tried_again_at_once(
    client: OpenAI, bedrock: FakeBedrock, clock: FakeClock
) -> None:
    a_tuned_model(files=("config.json",))
    clock.move(1000)
    bedrock.calls.clear()

    with pytest.raises(
        openai.InternalServerError, match="outcrop-ftjob-1 has failed: The model source is missing"
    ):
        ask(client)

    assert bedrock.calls["GetModelImportJob"] == 1


def test_who_asks_an_hour_after_an_import_failed_has_it_tried_again(
    client: OpenAI, bedrock: FakeBedrock, clock: FakeClock
) -> None:
    model = a_tuned_model(files=("config.json",))
    clock.move(bedrock.import_seconds + 60)
    with pytest.raises(openai.InternalServerError, match="Ask again in an hour"):
        ask(client)
    for name in FILES:
        ObjectStore().put(f"{model.merged_key}{name}", b"{}")
    clock.move(3600)
    bedrock.import_seconds = 500

    assert ask(client) == "You said: hello"
    assert [(one.name, one.model) for one in bedrock.jobs.values()] == [
        ("outcrop-ftjob-1", "outcrop-ftjob-1"),
        ("outcrop-ftjob-1-2", "outcrop-ftjob-1"),
    ]


def test_an_import_that_failed_three_times_is_for_its_owner_to_mend(
    client: OpenAI, bedrock: FakeBedrock, clock: FakeClock
) -> None:
    model = a_tuned_model(files=("config.json",))
    for _ in range(5):
        clock.move(5000)
        with pytest.raises(openai.InternalServerError):
            ask(client)
    clock.move(5000)

    with pytest.raises(openai.InternalServerError, match="outcrop-ftjob-1-3 has failed") as raised:
        ask(client)
    assert f"Import s3://outcrop-bucket/{model.merged_key} again" in str(raised.value)
    assert len(bedrock.jobs) == 3


def test_a_model_that_was_deleted_in_bedrock_says_how_it_comes_back(
    client: OpenAI, bedrock: FakeBedrock, clock: FakeClock
) -> None:
    a_tuned_model()
    clock.move(1000)
    ask(client)
    bedrock.jobs["outcrop-ftjob-1"].is_deleted = True
    clock.move(1000)

    with pytest.raises(openai.InternalServerError, match="was deleted from Amazon Bedrock"):
        ask(client)


@pytest.mark.parametrize(
    ("model", "what"),
    [(BASE, "is a base model"), (f"{MODEL}:ckpt-step-5", "has no merged weights")],
)
def test_what_cannot_be_imported_is_refused_with_the_setting_to_change(
    client: OpenAI, bedrock: FakeBedrock, model: str, what: str
) -> None:
    checkpoint = TunedModel(
        id=f"{MODEL}:ckpt-step-5",
        created=1,
        base_model=BASE,
        adapter_key="a/",
        job_id="ftjob-1",
        kind="checkpoint",
    )
    ModelStore("acme").put(checkpoint)

    with pytest.raises(openai.BadRequestError, match=f"{what}.*`serving` is bedrock_import") as raised:
        ask(client, model)

    assert raised.value.code == "model_not_served"
    assert not bedrock.calls


@pytest.mark.parametrize(
    ("code", "status"),
    [("ThrottlingException", 503), ("InternalServerException", 503), ("ValidationException", 400)],
)
def test_bedrocks_errors_are_openais(
    client: OpenAI, bedrock: FakeBedrock, clock: FakeClock, code: str, status: int
) -> None:
    a_tuned_model()
    clock.move(1000)
    ask(client)
    bedrock.faults.append(Fault("InvokeModelWithResponseStream", code, times=9))

    with pytest.raises(openai.APIStatusError) as raised:
        ask(client.with_options(max_retries=0))

    assert raised.value.status_code == status


def test_an_answer_that_breaks_off_is_an_error_and_a_caller_who_leaves_stops_the_model(
    bedrock: FakeBedrock, clock: FakeClock
) -> None:
    model = a_tuned_model()
    clock.move(1200)
    chunk = json.dumps({"choices": [{"index": 0, "delta": {"content": "a"}}]}).encode()
    broken, left = Events([chunk], broken="modelStreamErrorException"), Events([chunk] * 9)
    answers = iter([broken, left])
    bedrock.says = lambda _: next(answers)
    bedrock.jobs["outcrop-ftjob-1"].asked_at = clock.now()

    async def first_words(breaks: bool) -> None:
        serving = BedrockImport(clock.clock)
        stream = serving.stream(model, {"messages": [{"role": "user", "content": "hello"}]})
        await anext(stream)
        if breaks:
            with pytest.raises(UnavailableError, match="broke off"):
                [one async for one in stream]
        await stream.aclose()
        await serving.close()

    asyncio.run(first_words(breaks=True))
    asyncio.run(first_words(breaks=False))

    assert broken.closed and left.closed


def test_deleting_a_model_deletes_the_imported_one_and_twice_is_no_error(
    bedrock: FakeBedrock, clock: FakeClock
) -> None:
    model = a_tuned_model()
    clock.move(1000)

    sdk("acme").models.delete(MODEL)
    tuned_models.deleted(model)

    assert bedrock.jobs["outcrop-ftjob-1"].is_deleted
    assert bedrock.calls["DeleteImportedModel"] == 1


def test_a_job_that_succeeds_has_its_merged_weights_imported(bedrock: FakeBedrock) -> None:
    job = factories.a_job(status="running", model=BASE)
    merged = s3_keys.merged("acme", job.id)
    for name in FILES:
        ObjectStore().put(merged + name, b"{}")
    adapter = s3_keys.adapter("acme", job.id, 5)
    result = TrainingResult(step=5, adapter_key=adapter, merged_key=merged, trained_tokens=1, metrics={})
    ObjectStore().put(s3_keys.result("acme", job.id, 1), result.model_dump_json().encode())

    for _ in range(2):  # as a step may run
        job = training_end.register_model("acme", job.id, 1)

    assert job.status == "succeeded"
    assert [one.uri for one in bedrock.jobs.values()] == [f"s3://outcrop-bucket/{merged}"]


def test_a_job_whose_model_could_not_be_imported_is_refused(bedrock: FakeBedrock) -> None:
    client = sdk("acme")
    file = client.files.create(file=("train.jsonl", factories.ROWS), purpose="fine-tune")

    with pytest.raises(openai.BadRequestError, match="a GptOssForCausalLM in us-east-1 only") as raised:
        client.fine_tuning.jobs.create(
            model="openai.gpt-oss-20b", training_file=file.id, extra_body={"method": factories.METHOD}
        )

    assert raised.value.code == "model_not_importable"
    assert client.fine_tuning.jobs.list().data == []


@pytest.mark.parametrize(
    ("model", "region", "said"),
    [
        ("openai.gpt-oss-20b", "us-west-2", "a GptOssForCausalLM in us-east-1 only, and this is us-west-2"),
        (BASE, "eu-west-1", "Qwen3ForCausalLM in us-east-1, us-east-2, us-west-2, eu-central-1 only"),
    ],
)
def test_what_bedrock_would_not_import_is_said_before_training(model: str, region: str, said: str) -> None:
    entry = find(model)
    assert entry

    with pytest.raises(APIError, match=said) as raised:
        bedrock_import_limits.check(entry, region)

    assert (raised.value.code, raised.value.param) == ("model_not_importable", "model")


@pytest.mark.parametrize("model", ["openai.gpt-oss-20b", BASE, "smollm2-135m-instruct"])
def test_the_models_on_offer_are_imported_in_us_east_1(model: str) -> None:
    entry = find(model)
    assert entry

    bedrock_import_limits.check(entry, "us-east-1")


@pytest.mark.parametrize("quota", [3, None])
def test_a_job_is_refused_while_the_account_has_no_room_for_its_model(
    bedrock: FakeBedrock, clock: FakeClock, quota: int | None
) -> None:
    bedrock.quota = quota
    for number in range(3):
        a_tuned_model(f"ftjob-{number}")
    clock.move(1000)
    entry = find(BASE)
    assert entry

    with pytest.raises(APIError, match="has 3 imported models in Amazon Bedrock, and may have 3") as raised:
        tuned_models.check(entry)

    assert raised.value.code == "import_quota_reached"

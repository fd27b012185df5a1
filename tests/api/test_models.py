"""`/v1/models`: what can be trained, and what was."""

import contextlib
from urllib.parse import quote

import openai
import pytest
from openai import OpenAI
from openai.types import Model, ModelDeleted

from outcrop import settings
from outcrop.errors import NotFoundError
from outcrop.operations import models
from outcrop.types.model import ServedModel
from tests.account import Account, make_clients_anew
from tests.conftest import ClientOf
from tests.factories import a_job, a_tuned_model


def test_base_models_are_listed_before_tuned_ones_newest_first(client: OpenAI) -> None:
    old, new = a_tuned_model(created=100), a_tuned_model(created=200)
    a_tuned_model(id=f"{new.id}:ckpt-step-5", kind="checkpoint")
    a_tuned_model(project="umbrella")

    listed = client.models.list().data

    assert [model.id for model in listed] == ["smollm2-135m-instruct", "tiny-caps", new.id, old.id]
    assert [model.owned_by for model in listed] == ["outcrop", "outcrop", "acme", "acme"]


@pytest.mark.parametrize(
    "spelling", ["smollm2-135m-instruct", "HuggingFaceTB/SmolLM2-135M-Instruct", "SMOLLM2-135M-Instruct"]
)
def test_a_base_model_is_found_in_any_of_its_spellings(client: OpenAI, spelling: str) -> None:
    assert client.models.retrieve(spelling).id == "smollm2-135m-instruct"
    assert models.resolve(spelling, "acme") == ServedModel(
        id="smollm2-135m-instruct", base_model="smollm2-135m-instruct"
    )


def test_a_tuned_model_and_its_checkpoints_are_found_by_id(client: OpenAI) -> None:
    tuned = a_tuned_model()
    checkpoint = a_tuned_model(id=f"{tuned.id}:ckpt-step-5", kind="checkpoint", adapter_key="elsewhere/")

    for model in (tuned, checkpoint):
        assert client.models.retrieve(model.id).id == model.id
        assert models.resolve(model.id, "acme") == ServedModel(
            id=model.id, base_model="tiny-caps", adapter_key=model.adapter_key, job_id=model.job_id
        )


def test_unknown_and_foreign_models_are_not_found(client: OpenAI) -> None:
    foreign = a_tuned_model(project="umbrella")

    for model_id in ("ft:tiny-caps:acme:caps:00000000", foreign.id, "gpt-4o", "a/b/c", "x" * 2000):
        with pytest.raises(openai.NotFoundError, match="does not exist") as caught:
            client.models.retrieve(model_id)
        assert (caught.value.code, caught.value.param) == ("model_not_found", "model")


def test_a_base_model_that_is_not_offered_says_what_it_needs(client: OpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="141 GB"):
        client.models.retrieve("Qwen/Qwen3-32B")


@pytest.mark.parametrize(
    ("spelling", "model_id"),
    [
        ("openai/gpt-oss-20b", "openai.gpt-oss-20b"),
        ("openai.gpt-oss-20b-1:0", "openai.gpt-oss-20b"),
        ("GPT-OSS-20B", "openai.gpt-oss-20b"),
        ("Qwen/Qwen3-32B", "qwen.qwen3-32b"),
        ("qwen.qwen3-32b-v1:0", "qwen.qwen3-32b"),
    ],
)
@pytest.mark.parametrize("safe", [":/", ""])
def test_hugging_face_and_bedrock_spellings_arrive_raw_or_escaped(
    client: OpenAI, monkeypatch: pytest.MonkeyPatch, spelling: str, model_id: str, safe: str
) -> None:
    monkeypatch.setenv("OUTCROP_BASE_MODELS", "openai.gpt-oss-20b,qwen.qwen3-32b")
    settings.settings.cache_clear()

    model = client.get(f"/models/{quote(spelling, safe=safe)}", cast_to=Model)

    assert model.id == model_id


@pytest.mark.parametrize("safe", [":", ""])
def test_a_tuned_models_id_arrives_raw_or_escaped(client: OpenAI, safe: str) -> None:
    tuned = a_tuned_model()

    model = client.get(f"/models/{quote(tuned.id, safe=safe)}", cast_to=Model)
    deleted = client.delete(f"/models/{quote(tuned.id, safe=safe)}", cast_to=ModelDeleted)

    assert model.id == deleted.id == tuned.id


def test_a_deleted_model_is_gone_and_its_checkpoints_stay(client: OpenAI) -> None:
    job = a_job(status="succeeded")
    tuned = a_tuned_model(id=job.fine_tuned_model, job_id=job.id)
    checkpoint = a_tuned_model(id=f"{tuned.id}:ckpt-step-5", kind="checkpoint", job_id=job.id)

    deleted = client.models.delete(tuned.id)

    assert (deleted.id, deleted.deleted, deleted.object) == (tuned.id, True, "model")
    assert [model.id for model in client.models.list()] == ["smollm2-135m-instruct", "tiny-caps"]
    with pytest.raises(NotFoundError):
        models.resolve(tuned.id, "acme")
    with pytest.raises(openai.NotFoundError, match="does not exist"):
        client.models.retrieve(tuned.id)
    assert client.models.retrieve(checkpoint.id).id == checkpoint.id
    assert client.fine_tuning.jobs.retrieve(job.id).fine_tuned_model == tuned.id


def test_a_checkpoint_can_be_deleted_by_itself(client: OpenAI) -> None:
    tuned = a_tuned_model()
    checkpoint = a_tuned_model(id=f"{tuned.id}:ckpt-step-5", kind="checkpoint")

    client.models.delete(checkpoint.id)

    with pytest.raises(openai.NotFoundError):
        client.models.retrieve(checkpoint.id)
    assert client.models.retrieve(tuned.id).id == tuned.id


def test_a_deleted_model_is_gone_where_it_was_shared(client: OpenAI, client_of: ClientOf) -> None:
    tuned = a_tuned_model()
    client.fine_tuning.checkpoints.permissions.create(tuned.id, project_ids=["umbrella", "hooli"])

    client.models.delete(tuned.id)

    for project in ("umbrella", "hooli"):
        with pytest.raises(openai.NotFoundError):
            client_of(project).models.retrieve(tuned.id)
        assert all(model.owned_by == "outcrop" for model in client_of(project).models.list())


def test_a_model_deleted_again_is_unknown_unless_the_first_reply_was_lost(client: OpenAI) -> None:
    tuned = a_tuned_model()
    client.models.delete(tuned.id)

    repeated = client.models.delete(tuned.id, extra_headers={"x-stainless-retry-count": "1"})

    assert repeated.deleted
    with pytest.raises(openai.NotFoundError) as caught:
        client.models.delete(tuned.id)
    assert caught.value.code == "model_not_found"


@pytest.mark.parametrize("spelling", ["tiny-caps", "TINY-CAPS", "Qwen/Qwen3-32B"])
def test_a_base_model_cannot_be_deleted(client: OpenAI, spelling: str) -> None:
    with pytest.raises(openai.BadRequestError, match="is a base model; only tuned models") as caught:
        client.models.delete(spelling)

    assert (caught.value.code, caught.value.param) == ("model_not_deletable", "model")


def test_another_projects_model_cannot_be_deleted(client: OpenAI) -> None:
    foreign = a_tuned_model(project="umbrella")

    with pytest.raises(openai.NotFoundError, match="does not exist"):
        client.models.delete(foreign.id)

    assert models.resolve(foreign.id, "umbrella").id == foreign.id


@pytest.mark.parametrize(("project", "more"), [("acme", []), ("umbrella", ["BatchGetItem"]), ("hooli", [])])
def test_resolving_reads_the_table_once_or_twice_if_shared(
    aws: Account, client: OpenAI, project: str, more: list[str]
) -> None:
    tuned = a_tuned_model()
    client.fine_tuning.checkpoints.permissions.create(tuned.id, project_ids=["umbrella"])
    calls: list[str] = []
    event = "before-call.dynamodb"
    count = lambda model, **_: calls.append(model.name)  # noqa: E731
    aws.session.events.register(event, count)
    make_clients_anew()

    with contextlib.suppress(NotFoundError):
        models.resolve(tuned.id, project)

    aws.session.events.unregister(event, count)
    make_clients_anew()
    assert calls == ["GetItem", *more]

"""`/v1/models`: what can be trained, and what was."""

import openai
import pytest
from openai import OpenAI

from outcrop.operations import models
from outcrop.types.model import ServedModel
from tests.factories import a_tuned_model


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
            id=model.id, base_model="tiny-caps", adapter_key=model.adapter_key
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

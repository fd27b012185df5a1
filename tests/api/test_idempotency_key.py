"""`Idempotency-Key`: one request with a key is one object, whoever sends it how often."""

from collections.abc import Callable
from typing import Any

import openai
import pytest
import time_machine
from openai import OpenAI

from outcrop.stores.claims import KEY_SECONDS
from tests import factories
from tests.conftest import ClientOf

KEY = {"Idempotency-Key": "my key"}
Create = Callable[..., str]


def create_file(client: OpenAI, content: bytes = factories.ROWS, headers: dict[str, str] = KEY) -> str:
    return client.files.create(file=("a.jsonl", content), purpose="fine-tune", extra_headers=headers).id


def create_upload(client: OpenAI, size: int = 10) -> str:
    return client.uploads.create(
        bytes=size, filename="a.jsonl", mime_type="text/jsonl", purpose="fine-tune", extra_headers=KEY
    ).id


def create_job(client: OpenAI, **fields: Any) -> str:
    file = fields.pop("training_file", None) or factories.a_file().id
    return client.fine_tuning.jobs.create(
        model="tiny-caps",
        training_file=file,
        extra_body={"method": factories.METHOD} | fields,
        extra_headers=KEY,
    ).id


def test_the_same_request_is_answered_with_the_same_object(client: OpenAI) -> None:
    file = factories.a_file().id

    for create in (create_file, create_upload, lambda client: create_job(client, training_file=file)):
        assert create(client) == create(client)


def test_both_prefixes_are_one_place(client: OpenAI) -> None:
    other = client.with_options(base_url="https://api.outcrop.test/openai/v1")

    assert create_file(client) == create_file(other)


def test_another_request_with_the_key_is_refused(client: OpenAI) -> None:
    create_upload(client, 10)

    with pytest.raises(openai.BadRequestError, match="another request") as caught:
        create_upload(client, 11)

    assert caught.value.code == "idempotency_key_reused"


def test_while_the_first_request_runs_the_second_is_told_to_ask_again(client: OpenAI) -> None:
    create_file(client)
    (file,) = client.files.list()
    client.files.delete(file.id)  # as if it were not made yet

    with pytest.raises(openai.ConflictError) as caught:
        create_file(client)

    assert caught.value.code == "idempotency_key_in_use"
    assert caught.value.response.headers["x-should-retry"] == "true"
    assert 0 < int(caught.value.response.headers["retry-after"]) < 120


def test_a_key_means_something_to_one_route_and_one_api_key_alone(client_of: ClientOf) -> None:
    acme, colleague, umbrella = client_of("acme"), client_of("acme"), client_of("umbrella")

    made = {create_file(acme), create_upload(acme), create_file(colleague), create_file(umbrella)}

    assert len(made) == 4


def test_a_key_is_forgotten_after_a_day(client: OpenAI) -> None:
    with time_machine.travel(1_800_000_000, tick=False) as clock:
        first = create_upload(client)
        clock.shift(KEY_SECONDS + 1)

        assert create_upload(client, 11) != first


@pytest.mark.parametrize("key", ["", "k" * 256])
def test_a_key_has_1_to_255_characters(client: OpenAI, key: str) -> None:
    with pytest.raises(openai.BadRequestError, match="1 to 255 characters"):
        create_file(client, headers={"Idempotency-Key": key})

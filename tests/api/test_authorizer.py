"""Who gets in."""

from typing import Any

import httpx2
import openai
import pytest
from openai import OpenAI

from lambdas.authorizer.handler import handler
from outcrop.ids import now
from outcrop.stores.clients import dynamodb_table
from outcrop.stores.keys import KeyStore
from outcrop.types.api_key import Scope
from tests.account import Account
from tests.api.wire import answered
from tests.in_process import in_process_http_client

ARN = "arn:aws:execute-api:us-west-2:123456789012:abc123/v1/POST/fine_tuning/jobs/x/cancel"


def authorize(headers: dict[str, str]) -> dict[str, object]:
    return handler({"type": "REQUEST", "methodArn": ARN, "headers": headers}, None)


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
@pytest.mark.parametrize("header", ["Authorization", "authorization"])
def test_a_good_key_opens_every_route_of_the_stage_for_its_project(
    aws: Account, scheme: str, header: str
) -> None:
    key = KeyStore("acme").create("laptop")

    answer = authorize({header: f"{scheme} {key}"})

    assert answer["context"] == {
        "project_id": "acme",
        "key_id": KeyStore("acme").list().data[0].id,
        "scopes": "read write inference",
    }
    assert answer["policyDocument"] == {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Action": "execute-api:Invoke",
                "Effect": "Allow",
                "Resource": "arn:aws:execute-api:us-west-2:123456789012:abc123/v1/*",
            }
        ],
    }


@pytest.mark.parametrize(
    ("project", "asked", "granted"),
    [("acme", ["inference"], "inference"), ("acme", ["write", "read"], "read write"), ("admin", [], "admin")],
)
def test_what_a_key_may_do_goes_with_the_call(
    aws: Account, project: str, asked: list[Scope], granted: str
) -> None:
    key = KeyStore(project).create("laptop", scopes=asked)

    context = authorize({"Authorization": f"Bearer {key}"})["context"]

    assert isinstance(context, dict)
    assert context["scopes"] == granted


@pytest.mark.parametrize("value", ["Bearer {}", "bearer   {}", "  BEARER {}  ", "Bearer\t{}"])
@pytest.mark.parametrize("key", ["My API Key", "a  key with  two spaces"])
def test_a_key_may_hold_spaces_and_stand_among_more(aws: Account, value: str, key: str) -> None:
    KeyStore("acme").adopt(key, "theirs")

    context = authorize({"Authorization": value.format(key)})["context"]

    assert isinstance(context, dict)
    assert context["project_id"] == "acme"


@pytest.mark.parametrize(
    "value",
    [
        "",
        " ",
        "Bearer",
        "Bearer ",
        "Bearer My API Key",
        "Basic {key}",
        "{key}",
        "Bearer{key}",
        "Bearer {key}x",
        "Bearer {key} {key}",
        "Bearer Bearer {key}",
        "Bearer {key}\x00",
        "Bearer ÿþ",
        "Bearer " + "x" * 9000,
    ],
)
def test_anything_else_is_unauthorized(aws: Account, value: str) -> None:
    key = KeyStore("acme").create("laptop")

    with pytest.raises(Exception, match=r"^Unauthorized$"):
        authorize({"Authorization": value.format(key=key)})


def test_a_request_without_headers_is_unauthorized(aws: Account) -> None:
    with pytest.raises(Exception, match=r"^Unauthorized$"):
        handler({"type": "REQUEST", "methodArn": ARN, "headers": None}, None)


def test_an_expired_key_is_unauthorized(aws: Account) -> None:
    key = KeyStore("acme").create("laptop", expires_at=now())

    with pytest.raises(Exception, match=r"^Unauthorized$"):
        authorize({"Authorization": f"Bearer {key}"})


def test_the_use_of_a_key_is_noted(aws: Account) -> None:
    key = KeyStore("acme").create("laptop")
    before = now()

    authorize({"Authorization": f"Bearer {key}"})

    last_used_at = KeyStore("acme").list().data[0].last_used_at
    assert last_used_at is not None
    assert before <= last_used_at <= now()


def test_a_key_gets_in_even_if_its_use_cannot_be_noted(aws: Account) -> None:
    def refuse(**_: Any) -> Any:
        return httpx2.Response(400), {"Error": {"Code": "AccessDeniedException", "Message": "."}}

    key = KeyStore("acme").create("laptop")

    with answered(dynamodb_table().meta.client, "before-call.dynamodb.UpdateItem", refuse):
        answer = authorize({"Authorization": f"Bearer {key}"})

    assert answer["principalId"] == "acme"
    assert KeyStore("acme").list().data[0].last_used_at is None


def test_a_revoked_key_opens_nothing(client: OpenAI) -> None:
    KeyStore("acme").revoke(KeyStore("acme").list().data[0].id)

    with pytest.raises(openai.AuthenticationError):
        client.files.list()


def test_the_sdk_with_a_wrong_key_raises_what_it_should(aws: Account) -> None:
    stranger = OpenAI(
        base_url="https://api.outcrop.test/v1",
        api_key="sk-wrong",
        http_client=in_process_http_client(),
        max_retries=0,
    )

    with pytest.raises(openai.AuthenticationError) as caught:
        stranger.models.list()

    assert caught.value.code == "invalid_api_key"
    assert caught.value.request_id

"""Who gets in."""

import openai
import pytest
from openai import OpenAI

from lambdas.authorizer.handler import handler
from outcrop.stores.keys import KeyStore
from tests.account import Account
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

    assert answer["context"] == {"project_id": "acme"}
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
    "value",
    [
        "",
        "Bearer",
        "Bearer ",
        "Bearer My API Key",
        "Basic {key}",
        "{key}",
        "Bearer {key}x",
        "Bearer {key} {key}",
    ],
)
def test_anything_else_is_unauthorized(aws: Account, value: str) -> None:
    key = KeyStore("acme").create("laptop")

    with pytest.raises(Exception, match=r"^Unauthorized$"):
        authorize({"Authorization": value.format(key=key)})


def test_a_request_without_headers_is_unauthorized(aws: Account) -> None:
    with pytest.raises(Exception, match=r"^Unauthorized$"):
        handler({"type": "REQUEST", "methodArn": ARN, "headers": None}, None)


def test_a_revoked_key_opens_nothing(client: OpenAI) -> None:
    KeyStore("acme").revoke(KeyStore("acme").list()[0].id)

    with pytest.raises(openai.AuthenticationError):
        client.files.list()


def test_the_sdk_with_a_wrong_key_raises_what_it_should(aws: Account) -> None:
    stranger = OpenAI(
        base_url="https://api.outcrop.test/v1",
        api_key="sk-wrong",
        http_client=in_process_http_client(),
        max_retries=0,
    )

    with pytest.raises(openai.AuthenticationError):
        stranger.models.list()

"""Whatever goes wrong, wherever: one envelope, a request id, no word of what the server was doing."""

import io
import json
import re
from types import SimpleNamespace
from typing import Any

import boto3
import httpx2
import pytest
from openai import OpenAI

from lambdas.api.answers import logger
from lambdas.api.handler import app, handler
from outcrop.stores.clients import dynamodb_table
from outcrop.stores.keys import KeyStore
from tests.api.wire import answered
from tests.factories import a_file
from tests.in_process import a_context, as_event, in_process_http_client

ROUTES = sorted(
    (route.method, re.sub(r"<\w+>|\.\+|\[\^/\]\+", "x", route.path))
    for route in app._static_routes + app._dynamic_routes
)
AUTHORIZED = {"project_id": "acme", "key_id": "key_1", "scopes": "read write inference"}
ADMIN = {"project_id": "admin", "key_id": "key_2", "scopes": "admin"}


@pytest.fixture
def http(client: OpenAI) -> httpx2.Client:
    """A plain HTTP client with a good key for whatever it calls."""
    admin_key = KeyStore("admin").create("test")

    def authorize(request: httpx2.Request) -> httpx2.Request:
        key = admin_key if "/organization" in request.url.path else client.api_key
        request.headers["authorization"] = f"Bearer {key}"
        return request

    http = in_process_http_client()
    http.auth = authorize
    return http


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What the function writes to its log."""
    log = io.StringIO()
    monkeypatch.setattr(logger.registered_handler, "stream", log)
    return log


def error_of(response: httpx2.Response) -> dict[str, Any]:
    """The error, once it is known to have the envelope's shape."""
    body = response.json()
    assert list(body) == ["error"]
    error = body["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert isinstance(error["message"], str) and isinstance(error["type"], str)
    assert isinstance(error["param"], str | None) and isinstance(error["code"], str | None)
    assert response.headers["x-request-id"]
    assert response.headers["content-type"] == "application/json"
    return error


@pytest.mark.parametrize(
    ("method", "path"), [(method, path) for method, path in ROUTES if method != "POST" and "/x" in path]
)
def test_an_unknown_id_is_a_404_on_every_route_that_takes_one(
    http: httpx2.Client, method: str, path: str
) -> None:
    response = http.request(method, f"https://api.outcrop.test/v1{path}")

    assert response.status_code == 404
    assert error_of(response)["code"].endswith("_not_found")


@pytest.mark.parametrize("path", sorted({path for _, path in ROUTES}))
def test_a_method_that_a_route_has_not_is_a_405_that_names_those_it_has(
    http: httpx2.Client, path: str
) -> None:
    response = http.patch(f"https://api.outcrop.test/v1{path}")

    methods = {method for method, other in ROUTES if other == path}
    if "GET" in methods:
        methods.add("HEAD")
    if path == "/chat/completions":
        methods.add("POST")  # the inference function's
    assert response.status_code == 405
    assert error_of(response)["code"] == "method_not_allowed"
    assert set(response.headers["allow"].split(", ")) == methods


@pytest.mark.parametrize(
    "path", ["/", "/nothing", "/files/a/b/c", "/fine_tuning", "/organization", "/organization/admin_api_keys"]
)
def test_an_unknown_path_is_a_404(http: httpx2.Client, path: str) -> None:
    response = http.get(f"https://api.outcrop.test/v1{path}")

    assert response.status_code == 404
    assert error_of(response)["code"] == "unknown_url"


READS_ROWS = [(method, path) for method, path in ROUTES if method != "POST" and path != "/openapi.json"]


@pytest.mark.parametrize(
    ("method", "path"), [*READS_ROWS, ("POST", "/fine_tuning/jobs"), ("POST", "/organization/projects")]
)
def test_what_nobody_foresaw_is_a_bare_500_on_every_route(
    http: httpx2.Client, logged: io.StringIO, method: str, path: str
) -> None:
    grader = {"type": "string_check", "input": "secret-body", "reference": "b", "operation": "eq"}
    job = {
        "model": "tiny-caps",
        "training_file": "file-1",
        "method": {"type": "reinforcement", "reinforcement": {"grader": {**grader, "name": "exact"}}},
    }
    body: dict[str, Any] = {"json": {**job, "name": "secret-body"}} if method == "POST" else {}
    event = as_event(http.build_request(method, f"https://api.outcrop.test/v1{path}", **body))
    event["requestContext"]["authorizer"] = ADMIN if "/organization" in path else AUTHORIZED
    boto3.client("dynamodb").delete_table(TableName="outcrop-table")

    answer = handler(event, a_context())

    response = httpx2.Response(
        answer["statusCode"],
        headers={name: values[0] for name, values in answer["multiValueHeaders"].items()},
        content=answer["body"],
    )
    assert response.status_code == 500
    error = error_of(response)
    assert error["message"] == "The server had an error while processing your request."
    assert error["type"] == "server_error"
    log = logged.getvalue()
    assert "request failed" in log and "ResourceNotFoundException" in log
    assert "secret-body" not in log


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, "ThrottlingException"),
        (400, "ProvisionedThroughputExceededException"),
        (500, "InternalServerError"),
        (503, "ServiceUnavailable"),
    ],
)
def test_what_passes_by_itself_is_a_503_that_says_when_to_come_back(
    http: httpx2.Client, status: int, code: str
) -> None:
    def busy(**_: Any) -> Any:
        error = {"Error": {"Code": code, "Message": "."}, "ResponseMetadata": {"HTTPStatusCode": status}}
        return SimpleNamespace(status_code=status), error

    event = as_event(http.build_request("GET", "https://api.outcrop.test/v1/files/file-1"))
    event["requestContext"]["authorizer"] = AUTHORIZED

    with answered(dynamodb_table().meta.client, "before-call.dynamodb.GetItem", busy):
        answer = handler(event, a_context())

    assert answer["statusCode"] == 503
    assert 0 < int(answer["multiValueHeaders"]["retry-after"][0]) < 120
    assert json.loads(answer["body"])["error"]["code"] == "service_unavailable"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "must be a JSON object"),
        (b"null", "must be a JSON object"),
        (b"[1]", "must be a JSON object"),
        (b'"text"', "must be a JSON object"),
        (b"{", "not valid JSON"),
        (b'{"model": NaN}', "not valid JSON"),
        (b'{"model": "\\ud800"}', "not valid JSON"),
        (b'{"a":' * 5000 + b"1" + b"}" * 5000, "not valid JSON"),
        (b'{"model": "\xff"}', "not UTF-8"),
    ],
)
def test_a_body_that_is_no_json_object_is_a_400(http: httpx2.Client, content: bytes, message: str) -> None:
    response = http.post(
        "https://api.outcrop.test/v1/fine_tuning/jobs",
        content=content,
        headers={"content-type": "application/json"},
    )

    assert response.status_code == 400
    assert message in error_of(response)["message"]


def test_a_body_that_is_not_utf_8_is_a_400(http: httpx2.Client) -> None:
    request = http.build_request("POST", "https://api.outcrop.test/v1/fine_tuning/jobs", json={})
    event = as_event(request) | {"body": "/w==", "isBase64Encoded": True}
    event["requestContext"]["authorizer"] = AUTHORIZED

    answer = handler(event, a_context())

    assert answer["statusCode"] == 400
    assert json.loads(answer["body"])["error"]["message"] == "The request body is not UTF-8."


def test_a_body_that_is_something_else_is_a_415(http: httpx2.Client) -> None:
    response = http.post(
        "https://api.outcrop.test/v1/fine_tuning/jobs", content=b"x", headers={"content-type": "text/plain"}
    )

    assert response.status_code == 415
    assert "application/json" in error_of(response)["message"]


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "application/json; charset=utf-8",
        "Application/JSON",
        "application/vnd.api+json",
        "text/plain",
        "application/x-www-form-urlencoded",
        "nonsense",
    ],
)
def test_a_json_body_is_one_whatever_its_content_type_says(
    http: httpx2.Client, content_type: str | None
) -> None:
    response = http.post(
        "https://api.outcrop.test/v1/fine_tuning/jobs",
        content=b'{"model": "x"}',
        headers={"content-type": content_type} if content_type else {},
    )

    assert response.status_code == 400
    assert error_of(response)["param"] == "training_file"


def test_a_json_body_may_come_base64_encoded_as_a_gateway_with_binary_types_sends_it(
    http: httpx2.Client,
) -> None:
    request = http.build_request("POST", "https://api.outcrop.test/v1/fine_tuning/jobs", json={})
    event = as_event(request) | {"body": "eyJtb2RlbCI6ICJ4In0=", "isBase64Encoded": True}
    event["requestContext"]["authorizer"] = AUTHORIZED

    answer = handler(event, a_context())

    assert json.loads(answer["body"])["error"]["param"] == "training_file"


@pytest.mark.parametrize("content_type", ["application/json", "text/plain", "application/octet-stream", None])
def test_a_post_with_no_body_is_fine_where_none_is_needed(
    http: httpx2.Client, content_type: str | None
) -> None:
    response = http.post(
        "https://api.outcrop.test/v1/fine_tuning/jobs/x/cancel",
        headers={"content-type": content_type} if content_type else {},
    )

    assert error_of(response)["code"] == "fine_tuning_job_not_found"


@pytest.mark.parametrize("prefix", ["/v1", "/v1/v1", "/openai/v1"])
def test_every_prefix_answers_the_same_and_with_a_request_id(http: httpx2.Client, prefix: str) -> None:
    file = a_file()

    response = http.get(f"https://api.outcrop.test{prefix}/files/{file.id}")

    assert response.status_code == 200
    assert response.json()["id"] == file.id
    assert response.headers["x-request-id"]


@pytest.mark.parametrize("path", ["/models", "/models/tiny-caps", "/files/nothing"])
def test_head_is_get_without_a_body(http: httpx2.Client, path: str) -> None:
    got = http.get(f"https://api.outcrop.test/v1{path}")

    head = http.head(f"https://api.outcrop.test/v1{path}")

    assert (head.status_code, head.content) == (got.status_code, b"")
    assert head.headers["content-type"] == got.headers["content-type"]
    assert head.headers["x-request-id"]


@pytest.mark.parametrize("path", ["/models", "/files", "/fine_tuning/jobs"])
def test_a_trailing_slash_changes_nothing(http: httpx2.Client, path: str) -> None:
    assert (
        http.get(f"https://api.outcrop.test/v1{path}/").json()
        == http.get(f"https://api.outcrop.test/v1{path}").json()
    )


@pytest.mark.parametrize("length", [1025, 8000])
def test_an_endless_id_is_only_unknown(http: httpx2.Client, length: int) -> None:
    for path in (
        "/files/{}",
        "/files/{}/content",
        "/fine_tuning/jobs/{}",
        "/fine_tuning/jobs/{}/events",
        "/models/{}",
    ):
        response = http.get("https://api.outcrop.test/v1" + path.format("x" * length))
        assert response.status_code == 404
        error_of(response)

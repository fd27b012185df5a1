"""The real authorizer and the real API function behind an HTTP client's transport, with no network between.

Requests become REST API events (payload 1.0) as API Gateway makes them, for stages `v1` and `openai`.
"""

import base64
import json
import uuid
from types import SimpleNamespace
from typing import Any, cast

import httpx2
import requests
from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.api.handler import handler as api
from lambdas.authorizer.handler import handler as authorizer
from stacks.gateway_errors import GATEWAY_ERRORS


class InProcess(httpx2.BaseTransport):
    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        if request.url.host.endswith(".amazonaws.com"):  # a redirect to S3, which moto plays for `requests`
            found = requests.get(str(request.url), headers={"accept": "*/*"}, timeout=10)
            return httpx2.Response(found.status_code, headers=dict(found.headers), content=found.content)
        event = as_event(request)
        stage = event["requestContext"]["stage"]
        call = f"{stage}/{request.method}{event['path']}"
        authorized = event | {"methodArn": f"arn:aws:execute-api:us-west-2:123456789012:api/{call}"}
        try:
            policy = authorizer(authorized, None)
        except Exception as error:
            if str(error) != "Unauthorized":
                raise
            request_id = event["requestContext"]["requestId"]
            return httpx2.Response(
                401,
                headers={"content-type": "application/json", "x-request-id": request_id},
                content=GATEWAY_ERRORS["UNAUTHORIZED"].template().encode(),
            )
        event["requestContext"]["authorizer"] = {"principalId": policy["principalId"], **policy["context"]}
        answer = api(event, a_context())
        body = answer["body"] or ""
        return httpx2.Response(
            answer["statusCode"],
            headers=[
                (name, value) for name, values in answer["multiValueHeaders"].items() for value in values
            ],
            content=base64.b64decode(body) if answer["isBase64Encoded"] else body.encode(),
        )


def in_process_http_client() -> httpx2.Client:
    return httpx2.Client(transport=InProcess(), follow_redirects=True)  # as the SDK makes its own


def a_context() -> LambdaContext:
    """What Lambda tells the function about its invocation."""
    return cast(
        LambdaContext,
        SimpleNamespace(
            function_name="api",
            memory_limit_in_mb=512,
            invoked_function_arn="arn:aws:lambda:us-west-2:123456789012:function:api",
            aws_request_id=str(uuid.uuid4()),
            get_remaining_time_in_millis=lambda: 900_000,
        ),
    )


def as_event(request: httpx2.Request) -> dict[str, Any]:
    stage, path = _split(request.url.raw_path.decode().partition("?")[0])
    content = request.read()
    query: dict[str, list[str]] = {}
    for name, value in request.url.params.multi_items():
        query.setdefault(name, []).append(value)
    event = {
        "resource": "/{proxy+}",
        "path": path,
        "httpMethod": request.method,
        "headers": dict(request.headers),
        "multiValueHeaders": {name: [value] for name, value in request.headers.items()},
        "queryStringParameters": {name: values[-1] for name, values in query.items()} or None,
        "multiValueQueryStringParameters": query or None,
        "requestContext": {
            "requestId": str(uuid.uuid4()),
            "stage": stage,
            "path": f"/{stage}{path}",
            "httpMethod": request.method,
        },
        "body": base64.b64encode(content).decode() or None,
        "isBase64Encoded": bool(content),
    }
    return json.loads(json.dumps(event))


def _split(path: str) -> tuple[str, str]:
    stage, _, rest = path.lstrip("/").partition("/")
    return stage, f"/{rest}"

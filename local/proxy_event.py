"""The Lambda proxy event of a REST API (payload 1.0), and the HTTP response in a function's answer.

https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-lambda-proxy-integrations.html
"""

import base64
import binascii
import json
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import Response

from local.emulated_account import ACCOUNT, REGION
from local.routes import RestApi, Route


@dataclass(frozen=True)
class Call:
    """One request on its way through the gateway."""

    request: Request
    api: RestApi
    stage: str
    path: str
    """Without the stage, as it came: neither `%2F` nor `:` is touched."""
    id: str = field(default_factory=lambda: str(uuid.uuid4()))

    def method_arn(self) -> str:
        path = self.path.lstrip("/")
        return (
            f"arn:aws:execute-api:{REGION}:{ACCOUNT}:{self.api.id}/{self.stage}/{self.request.method}/{path}"
        )

    def is_binary(self, media_types: str) -> bool:
        """Whether the first media type of a Content-Type or Accept header is among the API's binary ones."""
        first = media_types.split(",")[0].split(";")[0].strip().lower()
        return bool({first, "*/*"} & self.api.binary_media_types)

    def event(
        self, route: Route, parameters: dict[str, str], *, authorizer: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """What all of the API's functions get; an integration's event has the body as well."""
        headers = [
            (name.decode("latin-1").title(), value.decode("latin-1"))
            for name, value in self.request.headers.raw
        ]
        query = parse_qsl(self.request.url.query, keep_blank_values=True)
        return {
            "resource": route.resource,
            "path": self.path,
            "httpMethod": self.request.method,
            "headers": dict(headers),
            "multiValueHeaders": _grouped(headers),
            "queryStringParameters": dict(query) or None,
            "multiValueQueryStringParameters": _grouped(query) or None,
            "pathParameters": parameters or None,
            "stageVariables": None,
            "requestContext": self._context(route, authorizer),
        }

    def authorizer_event(self, route: Route, parameters: dict[str, str]) -> dict[str, Any]:
        return {"type": "REQUEST", "methodArn": self.method_arn(), **self.event(route, parameters)}

    def proxy_event(
        self, route: Route, parameters: dict[str, str], authorizer: dict[str, Any] | None, body: bytes
    ) -> dict[str, Any]:
        binary = self.is_binary(self.request.headers.get("content-type", ""))
        text = base64.b64encode(body).decode() if binary else body.decode(errors="replace")
        return self.event(route, parameters, authorizer=authorizer) | {
            "body": text or None,
            "isBase64Encoded": binary and bool(body),
        }

    def _context(self, route: Route, authorizer: dict[str, Any] | None) -> dict[str, Any]:
        now = time.time()
        host = self.request.headers.get("host", "")
        context = {
            "accountId": ACCOUNT,
            "apiId": self.api.id,
            "domainName": host,
            "domainPrefix": host.split(".")[0],
            "extendedRequestId": self.id,
            "httpMethod": self.request.method,
            "identity": {
                "sourceIp": self.request.client.host if self.request.client else "127.0.0.1",
                "userAgent": self.request.headers.get("user-agent"),
            },
            "path": f"/{self.stage}{self.path}",
            "protocol": "HTTP/1.1",
            "requestId": self.id,
            "requestTime": time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(now)),
            "requestTimeEpoch": int(now * 1000),
            "resourceId": route.resource_id,
            "resourcePath": route.resource,
            "stage": self.stage,
        }
        return context | ({"authorizer": authorizer} if authorizer is not None else {})


def response(answer: bytes, call: Call) -> Response:
    """The HTTP response a function's answer asks for. Raises: ValueError for an answer of another shape."""
    match json.loads(answer):
        case {"statusCode": int(status), **rest}:
            body = rest.get("body")
        case _:
            raise ValueError("The answer is not an object with a statusCode.")
    if not isinstance(body, str | None):
        raise ValueError("The answer's body is not a string.")
    content = (body or "").encode()
    if rest.get("isBase64Encoded") and call.is_binary(call.request.headers.get("accept", "")):
        try:
            content = base64.b64decode(content, validate=True)
        except binascii.Error as error:
            raise ValueError("The answer's body is not base64.") from error
    result = Response(content, status)
    for name, value in (rest.get("headers") or {}).items():
        result.headers[name] = str(value)
    for name, values in (rest.get("multiValueHeaders") or {}).items():
        del result.headers[name]
        for value in values:
            result.headers.append(name, str(value))
    result.headers["content-length"] = str(len(content))
    return result


def _grouped(pairs: Sequence[tuple[str, str]]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for name, value in pairs:
        groups.setdefault(name, []).append(value)
    return groups

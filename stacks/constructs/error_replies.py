"""Errors that API Gateway itself answers, in OpenAI's envelope, so that the SDK raises what it should."""

import json
from dataclasses import dataclass

from aws_cdk import aws_apigateway as apigateway


@dataclass(frozen=True)
class _Reply:
    type: apigateway.ResponseType
    message: str | None
    """None: API Gateway's own words."""
    error_type: str
    code: str | None
    status: str | None = None
    """None: API Gateway's own status."""


_INVALID = "invalid_request_error"
_SERVER = "server_error"
_TYPES = apigateway.ResponseType

_REPLIES = (
    _Reply(
        _TYPES.UNAUTHORIZED,
        "Missing or incorrect API key. Send it in the Authorization header, as 'Bearer sk-outcrop-...'.",
        _INVALID,
        "invalid_api_key",
        "401",
    ),
    _Reply(_TYPES.ACCESS_DENIED, "Incorrect API key provided.", _INVALID, "invalid_api_key", "401"),
    _Reply(
        _TYPES.THROTTLED, "Too many requests: slow down.", "rate_limit_error", "rate_limit_exceeded", "429"
    ),
    _Reply(
        _TYPES.REQUEST_TOO_LARGE,
        "The request is too large: at most 10 MB, and a file of at most 4.5 MB.",
        _INVALID,
        "request_too_large",
        "413",
    ),
    # API Gateway's name for a path or a method that no route has.
    _Reply(_TYPES.MISSING_AUTHENTICATION_TOKEN, "Unknown request URL.", _INVALID, "unknown_url", "404"),
    _Reply(_TYPES.INTEGRATION_TIMEOUT, "The request took too long.", _SERVER, "timeout", "504"),
    _Reply(_TYPES.INTEGRATION_FAILURE, "The server could not answer.", _SERVER, "server_error", "500"),
    _Reply(_TYPES.DEFAULT_4_XX, None, _INVALID, None),
    _Reply(_TYPES.DEFAULT_5_XX, "The server had an error.", _SERVER, "server_error"),
)


def add_error_replies(api: apigateway.RestApi) -> None:
    for reply in _REPLIES:
        api.add_gateway_response(
            reply.type.response_type.title().replace("_", "") + "Reply",
            type=reply.type,
            status_code=reply.status,
            response_headers={"x-request-id": "context.requestId"},
            templates={"application/json": _envelope(reply)},
        )


def _envelope(reply: _Reply) -> str:
    """The template; `$context.error.messageString` is API Gateway's message as a quoted JSON string."""
    message = "$context.error.messageString" if reply.message is None else json.dumps(reply.message)
    error_type, code = json.dumps(reply.error_type), json.dumps(reply.code)
    return f'{{"error": {{"message": {message}, "type": {error_type}, "param": null, "code": {code}}}}}'

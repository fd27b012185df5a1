"""What API Gateway itself answers, by its own name for what went wrong, in OpenAI's envelope.

Plain data, apart from the construct that deploys it, so that tests answer as the deployed API does.
https://docs.aws.amazon.com/apigateway/latest/developerguide/supported-gateway-response-types.html
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

_INVALID = "invalid_request_error"
_SERVER = "server_error"
_RATE_LIMIT = "rate_limit_error"


@dataclass(frozen=True)
class GatewayError:
    message: str | None
    """None: API Gateway's own words."""
    type: str
    code: str | None
    status: int | None = None
    """None: API Gateway's own status."""
    headers: Mapping[str, str] = field(default_factory=dict)

    def template(self) -> str:
        """The reply's body; `$context.error.messageString` is API Gateway's message, quoted for JSON."""
        message = "$context.error.messageString" if self.message is None else json.dumps(self.message)
        type, code = json.dumps(self.type), json.dumps(self.code)
        return f'{{"error": {{"message": {message}, "type": {type}, "param": null, "code": {code}}}}}'


GATEWAY_ERRORS = {
    "UNAUTHORIZED": GatewayError(
        "Missing or incorrect API key. Send it in the Authorization header, as 'Bearer sk-outcrop-...'.",
        _INVALID,
        "invalid_api_key",
        401,
    ),
    "ACCESS_DENIED": GatewayError("This API key may not call this.", _INVALID, "access_denied", 403),
    "WAF_FILTERED": GatewayError(
        "The deployment's firewall refused this request.", _INVALID, "request_blocked", 403
    ),
    "THROTTLED": GatewayError(
        "Too many requests: slow down.", _RATE_LIMIT, "rate_limit_exceeded", 429, {"retry-after": "2"}
    ),
    "QUOTA_EXCEEDED": GatewayError(
        "The quota of requests is used up.", _RATE_LIMIT, "rate_limit_exceeded", 429, {"retry-after": "60"}
    ),
    "REQUEST_TOO_LARGE": GatewayError(
        "The request is too large: a body has at most 4.5 MB. Send a larger file through the Uploads API "
        "(POST /v1/uploads) in parts of 4 MiB.",
        _INVALID,
        "request_too_large",
        413,
    ),
    # API Gateway's name for a path or a method that no route has.
    "MISSING_AUTHENTICATION_TOKEN": GatewayError("Unknown request URL.", _INVALID, "unknown_url", 404),
    "RESOURCE_NOT_FOUND": GatewayError("Unknown request URL.", _INVALID, "unknown_url", 404),
    "BAD_REQUEST_BODY": GatewayError(None, _INVALID, "invalid_request_body", 400),
    "BAD_REQUEST_PARAMETERS": GatewayError(None, _INVALID, "invalid_request_parameters", 400),
    "UNSUPPORTED_MEDIA_TYPE": GatewayError(None, _INVALID, "unsupported_media_type", 415),
    "INTEGRATION_TIMEOUT": GatewayError("The request took too long.", _SERVER, "timeout", 504),
    "INTEGRATION_FAILURE": GatewayError("The server could not answer.", _SERVER, "server_error", 503),
    "DEFAULT_4XX": GatewayError(None, _INVALID, None),
    "DEFAULT_5XX": GatewayError("The server had an error.", _SERVER, "server_error"),
}

"""What replies look like where no pydantic type says so: errors, and what the inference function passes on
from the model server."""

from typing import Any

Json = dict[str, Any]


def _object(required: str, **properties: Json) -> Json:
    """An object of these properties; those in `required` (split by spaces) are always there."""
    return {"type": "object", "properties": properties, "required": required.split()}


def _ref(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


def _list(items: Json) -> Json:
    return {"type": "array", "items": items}


_TEXT: Json = {"type": "string"}
_TEXT_OR_NULL: Json = {"type": ["string", "null"]}
_INTEGER: Json = {"type": "integer"}
_FINISH_REASON: Json = {"enum": ["stop", "length", "tool_calls", "content_filter", "function_call"]}
_USAGE_OR_NULL: Json = {"anyOf": [_ref("CompletionUsage"), {"type": "null"}]}


def _completion(kind: str, choice: Json, usage: Json) -> Json:
    """What all completions and their chunks have in common."""
    return _object(
        "id object created model choices",
        id=_TEXT,
        object={"const": kind},
        created=_INTEGER,
        model=_TEXT,
        choices=_list(choice),
        usage=usage,
    )


SCHEMAS: dict[str, Json] = {
    "Error": _object(
        "error",
        error=_object(
            "message type param code", message=_TEXT, type=_TEXT, param=_TEXT_OR_NULL, code=_TEXT_OR_NULL
        ),
    ),
    "CompletionUsage": _object(
        "prompt_tokens completion_tokens total_tokens",
        prompt_tokens=_INTEGER,
        completion_tokens=_INTEGER,
        total_tokens=_INTEGER,
    ),
    "ChatCompletion": _completion(
        "chat.completion",
        _object(
            "index finish_reason message",
            index=_INTEGER,
            finish_reason=_FINISH_REASON,
            message=_object(
                "role content", role={"const": "assistant"}, content=_TEXT_OR_NULL, refusal=_TEXT_OR_NULL
            ),
        ),
        _ref("CompletionUsage"),
    ),
    "InputTokens": _object(
        "object input_tokens", object={"const": "response.input_tokens"}, input_tokens=_INTEGER
    ),
    "ResponseDeleted": _object(
        "id object deleted", id=_TEXT, object={"const": "response"}, deleted={"const": True}
    ),
    "ResponseEvent": _object("type sequence_number", type=_TEXT, sequence_number=_INTEGER),
    "ResponseItemList": _object(
        "object data has_more first_id last_id",
        object={"const": "list"},
        data=_list(_object("id type", id=_TEXT, type=_TEXT)),
        has_more={"type": "boolean"},
        first_id=_TEXT_OR_NULL,
        last_id=_TEXT_OR_NULL,
    ),
    "Completion": _completion(
        "text_completion",
        _object(
            "index finish_reason text logprobs",
            index=_INTEGER,
            text=_TEXT,
            finish_reason={"enum": ["stop", "length", "content_filter", None]},
            logprobs={"type": ["object", "null"]},
        ),
        _USAGE_OR_NULL,
    ),
    "ChatCompletionChunk": _completion(
        "chat.completion.chunk",
        _object(
            "index delta finish_reason",
            index=_INTEGER,
            finish_reason={"enum": [*_FINISH_REASON["enum"], None]},
            delta={"type": "object"},
        ),
        _USAGE_OR_NULL,
    ),
}


def _error(name: str, description: str, **headers: str) -> tuple[str, Json]:
    return name, {
        "description": description,
        "headers": {
            "x-request-id": {"description": "Names this request in the logs.", "schema": _TEXT},
            **{
                header.replace("_", "-"): {"description": text, "schema": _TEXT}
                for header, text in headers.items()
            },
        },
        "content": {"application/json": {"schema": _ref("Error")}},
    }


ERRORS: dict[str, tuple[str, Json]] = {
    "400": _error("BadRequest", "The request cannot be served as it is; asking again does not help."),
    "401": _error("Unauthorized", "There is no key, or it is unknown, expired or revoked."),
    "403": _error("Forbidden", "The key lacks the scope."),
    "404": _error("NotFound", "What the request names is not in the key's project."),
    "409": _error(
        "StillRunning",
        "The first request with this Idempotency-Key is still running.",
        x_should_retry="`true`: ask again.",
        retry_after="Seconds.",
    ),
    "413": _error("TooLarge", "The body is larger than one request may be."),
    "415": _error("UnsupportedMediaType", "The body is not of the type that is documented."),
    "414": _error("UriTooLong", "The URL is longer than 10 kB, or its path than about 1.5 kB."),
    "429": _error("TooManyRequests", "Slow down.", retry_after="Seconds, at most 120."),
    "431": _error("HeadersTooLarge", "The headers have more than 10 kB."),
    "5XX": _error("ServerError", "Not the caller's mistake; asking again may help.", retry_after="Seconds."),
}
"""Status to the name and the content of the reply."""

ELSEWHERE: Json = {
    "description": "The bytes are at a URL of S3, which needs no key and is good for minutes.",
    "headers": {"location": {"schema": _TEXT}},
}

"""What a caller is told when the model server says no."""

import re
from typing import Any

import orjson

from outcrop.errors import APIError, UnavailableError

# How vLLM, SGLang, llama.cpp and others say that a prompt is too long; OpenAI's own words are the first.
_OVERFLOW = re.compile(
    r"maximum context length|maximum model length|context (length|size|window)|max_model_len", re.IGNORECASE
)
_LONGEST_WAIT_SECONDS = 60
"""The SDK obeys a `retry-after` up to two minutes, and gives up at once above."""


def meaning(status: int, body: bytes, path: str, *, retry_after: str = "") -> APIError:
    """The server's own words about a bad request to `path`, ours about anything else."""
    error = error_in(body)
    if status not in (400, 413, 422):
        seconds = int(retry_after) if re.fullmatch(r"[0-9]{1,5}", retry_after) else 2
        return UnavailableError(
            f"The model server answered {status}: {error.get('message')}",
            retry_after_seconds=min(max(seconds, 1), _LONGEST_WAIT_SECONDS),
        )
    message = str(error.get("message") or "The model server refused the request.")
    if _OVERFLOW.search(message):  # some say so with a number as the code
        asked = "messages" if path == "chat/completions" else "prompt"
        return APIError(message, param=asked, code="context_length_exceeded")
    param, code = error.get("param"), error.get("code")
    return APIError(
        message,
        param=param if isinstance(param, str) else None,
        code=code if isinstance(code, str) else None,
    )


def error_in(body: bytes) -> dict[str, Any]:
    """The `error` of an envelope, or an error without one, as older servers answer; empty if the body is
    neither (a proxy's page, say)."""
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    if not isinstance(answer, dict):
        return {}
    error = answer.get("error") or (answer if answer.get("object") == "error" else answer.get("detail"))
    return error if isinstance(error, dict) else {"message": error} if error else {}

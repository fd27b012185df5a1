"""The errors a caller can make happen, and the OpenAI envelope they travel in.

A caller's mistake raises an `APIError`. Handlers never catch it: the resolver answers with `status` and
`envelope()`. The SDK retries 408, 409, 429 and 5xx, so a permanent conflict is a 400
(https://github.com/openai/openai-python#retries).
"""

from typing import Any


class APIError(Exception):
    """A 400 unless a child says otherwise. `param` names the field at fault, `code` the kind of mistake."""

    status = 400
    type = "invalid_request_error"
    code: str | None = None

    def __init__(self, message: str, *, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.code = code or self.code

    @property
    def headers(self) -> dict[str, str]:
        """What the reply carries beside the envelope."""
        return {}

    def envelope(self) -> dict[str, Any]:
        return envelope(self.message, type=self.type, param=self.param, code=self.code)


class AuthenticationError(APIError):
    status = 401
    code = "invalid_api_key"


class PermissionDeniedError(APIError):
    """The key is good, and it may not do this."""

    status = 403
    code = "missing_scope"


class NotFoundError(APIError):
    """An id that is not in the caller's project. An id of another project gets the very same answer."""

    status = 404


class StateError(APIError):
    """The object's state does not allow the call. Permanent, hence not a 409, which the SDK would retry."""

    code = "invalid_state"


class StillRunningError(APIError):
    """What the call is about is still being made, by default an earlier request with the same idempotency
    key; the SDK asks again by itself."""

    status = 409
    code = "idempotency_key_in_use"

    @property
    def headers(self) -> dict[str, str]:
        return {"x-should-retry": "true", "retry-after": "2"}


class TooLargeError(APIError):
    status = 413
    code = "request_too_large"


class UnavailableError(APIError):
    """A part the answer needs cannot be reached now; the SDK retries it, unless only a person can help."""

    status = 503
    type = "server_error"
    code = "service_unavailable"

    def __init__(
        self,
        message: str,
        *,
        param: str | None = None,
        retry_after_seconds: int = 2,
        should_retry: bool = True,
    ) -> None:
        super().__init__(message, param=param)
        self._retry_after_seconds = retry_after_seconds
        self._should_retry = should_retry

    @property
    def headers(self) -> dict[str, str]:
        if not self._should_retry:
            return {"x-should-retry": "false"}
        return {"retry-after": str(self._retry_after_seconds)}


def envelope(message: str, *, type: str, param: str | None = None, code: str | None = None) -> dict[str, Any]:
    """The body of every error reply; all four keys are always there."""
    return {"error": {"message": message, "type": type, "param": param, "code": code}}


def invalid_cursor(after: str) -> APIError:
    """The one answer for an `after` that is no place in the list."""
    return APIError(
        f"after: '{after}' is not the id of an object in this list.", param="after", code="invalid_cursor"
    )


def no_such(kind: str, id: str, *, param: str | None = None) -> NotFoundError:
    """The one answer for an id that is unknown, deleted or another project's: `no_such("file", "file-1")`."""
    return NotFoundError(f"No such {kind}: '{id}'.", param=param, code=f"{kind.replace(' ', '_')}_not_found")

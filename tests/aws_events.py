"""What happens at a call to AWS: something is done just before it, it is refused, or its answer is changed.
Undone at the end."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

from outcrop.stores import clients

Asked = dict[str, Any]


@contextmanager
def before(service: str, operation: str, do: Callable[[Asked], object]) -> Iterator[None]:
    """`do` gets the call's parameters; an error code that it answers refuses the call."""

    def handle(params: dict[str, Any], **_: Any) -> Any:
        body = params.get("body") or b"{}"
        asked = json.loads(body) if body[:1] in (b"{", "{") else {}
        code = do(asked)
        if isinstance(code, str):
            error = {"Code": code, "Message": f"not authorized to perform {operation}"}
            return SimpleNamespace(status_code=400), {
                "Error": error,
                "ResponseMetadata": {"HTTPStatusCode": 400},
            }
        return None

    made = clients.client(service)
    name = f"before-call.{made.meta.service_model.service_id.hyphenize()}.{operation}"
    made.meta.events.register(name, handle)
    try:
        yield
    finally:
        made.meta.events.unregister(name, handle)


@contextmanager
def answering(service: str, operation: str, change: Callable[[dict[str, Any]], object]) -> Iterator[None]:
    """`change` gets what AWS answers."""

    def handle(parsed: dict[str, Any], **_: Any) -> None:
        change(parsed)

    made = clients.client(service)
    name = f"after-call.{made.meta.service_model.service_id.hyphenize()}.{operation}"
    made.meta.events.register(name, handle)
    try:
        yield
    finally:
        made.meta.events.unregister(name, handle)

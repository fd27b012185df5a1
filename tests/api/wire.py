"""What goes over the wire to AWS: calls that get lost, and which ones there were."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tests.account import Account, make_clients_anew


class Lost(Exception):
    """A call that never arrived."""


@contextmanager
def lost(client: Any, call: str) -> Iterator[None]:
    """Every call like `sfn.StartExecution` that `client` makes meanwhile fails before it gets anywhere."""

    def lose(**_: Any) -> None:
        raise Lost(call)

    with answered(client, f"before-call.{call}", lose):
        yield


@contextmanager
def answered(client: Any, event: str, by: Callable[..., Any]) -> Iterator[None]:
    """Meanwhile `by` is called first at such an event of `client`, and may answer the call."""
    client.meta.events.register_first(event, by)
    try:
        yield
    finally:
        client.meta.events.unregister(event, by)


@contextmanager
def aws_calls(account: Account) -> Iterator[list[str]]:
    """The names of the calls made meanwhile; the list grows as they are made."""
    calls: list[str] = []

    def note(model: Any, **_: Any) -> None:
        calls.append(model.name)

    account.session.events.register_first("before-call", note)
    make_clients_anew()
    try:
        yield calls
    finally:
        account.session.events.unregister("before-call", note)
        make_clients_anew()

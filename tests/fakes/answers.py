"""An AWS account that answers calls from a table, for services and settings that no emulator has.

What is asked is checked by botocore, as always; what is answered is checked here against the output that
botocore's model of the service describes, so an answer that AWS could not give fails the test.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import cache
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.validate import ParamValidator

from outcrop.stores import clients

Parameters = Mapping[str, Any]
Answer = Mapping[str, Any] | Callable[[Parameters], Mapping[str, Any]]


class Refusal(Exception):
    """What a service answers instead."""

    def __init__(self, code: str, message: str = "", status: int = 400) -> None:
        super().__init__(code)
        self.code, self.message, self.status = code, message, status


class Answers:
    """Answers by `service.Operation`, as botocore calls both."""

    def __init__(self) -> None:
        self._answers: dict[str, Answer] = {}
        self.asked: list[tuple[str, Parameters]] = []
        self.clock: datetime | None = None
        """What AWS's clock shows; the right time if None."""

    def __setitem__(self, call: str, answer: Answer) -> None:
        self._answers[_full_name(call)] = answer

    def refuse(self, call: str, code: str, message: str = "", status: int = 400) -> None:
        def refused(_: Parameters) -> Mapping[str, Any]:
            raise Refusal(code, message, status)

        self[call] = refused

    def changed(self, call: str, change: Callable[[Any, Parameters], object]) -> None:
        """Let `change` do something to the answer that there is already."""
        before = self._answers[_full_name(call)]

        def answer(parameters: Parameters) -> Mapping[str, Any]:
            given = _copied(before(parameters) if callable(before) else before)
            change(given, parameters)
            return given

        self[call] = answer

    def calls(self, call: str) -> list[Parameters]:
        return [parameters for name, parameters in self.asked if name == call]

    def on_call(self, model: Any, context: dict[str, Any]) -> Any:
        call = f"{model.service_model.service_id.hyphenize()}.{model.name}"
        parameters = context.get("asked") or {}
        self.asked.append((call, parameters))
        if call not in self._answers:
            raise AssertionError(f"The account has no answer to {call} {dict(parameters)}.")
        answer = self._answers[call]
        date = format_datetime(self.clock or datetime.now(UTC), usegmt=True)
        try:
            given = _copied(answer(parameters) if callable(answer) else answer)
        except Refusal as refusal:
            error = {"Code": refusal.code, "Message": refusal.message}
            metadata = {"HTTPStatusCode": refusal.status, "HTTPHeaders": {"date": date}}
            return SimpleNamespace(status_code=refusal.status), {"Error": error, "ResponseMetadata": metadata}
        if model.output_shape is not None:
            problems = ParamValidator().validate(given, model.output_shape).generate_report()
            assert not problems, f"{call} cannot answer so: {problems}"
        metadata = {"HTTPStatusCode": 200, "HTTPHeaders": {"date": date}}
        return SimpleNamespace(status_code=200), {**given, "ResponseMetadata": metadata}


class _Session(boto3.Session):
    """Makes each client once: that takes longer than all of a test. They ask whichever answers there are."""

    answers: Answers | None = None

    def __init__(self) -> None:
        super().__init__(region_name="us-west-2")
        self.events.register_first("before-parameter-build", self._keep_parameters)
        self.events.register_first("before-call", self._answer)
        self.client = cache(super().client)
        self.resource = cache(super().resource)

    def _keep_parameters(self, params: Any, context: dict[str, Any], **_: Any) -> None:
        context["asked"] = params

    def _answer(self, model: Any, context: dict[str, Any], **_: Any) -> Any:
        assert self.answers is not None
        return self.answers.on_call(model, context)


@cache
def _session() -> _Session:
    return _Session()


@cache
def _full_name(call: str) -> str:
    service, _, operation = call.partition(".")
    model = _session()._session.get_service_model(service)
    model.operation_model(operation)  # raises for one that there is not
    return f"{model.service_id.hyphenize()}.{operation}"


@contextmanager
def answering(answers: Answers) -> Iterator[None]:
    """All clients that are asked for meanwhile ask `answers`."""
    session = _session()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(boto3, "DEFAULT_SESSION", session)
        patch.setattr(session, "answers", answers)
        clients.forget()
        try:
            yield
        finally:
            clients.forget()


def _copied(value: Any) -> Any:
    """Deep, but for what is read like a file."""
    if isinstance(value, Mapping):
        return {key: _copied(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_copied(one) for one in value]
    return value

"""SageMaker as it serves models: its control plane, questions and answers, and faults to be had.

Every request is checked against botocore's service model, patterns and enums included. What the container
answers follows vLLM's `/invocations`: SageMaker's header names the adapter, and a `route` leads past it
(https://github.com/vllm-project/vllm/tree/main/vllm/entrypoints/sagemaker). Time is a `FakeClock`'s.
"""

import copy
import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from types import SimpleNamespace
from typing import Any

import boto3
from botocore.exceptions import ConnectionClosedError

from tests.account import make_clients_anew
from tests.fakes.aws_requests import check
from tests.fakes.sagemaker_control import ACCOUNT, ControlPlane
from tests.fakes.sagemaker_things import Refused
from tests.fakes.vllm_answers import Events, says_its_name

_SERVICES = ("sagemaker", "sagemaker-runtime", "application-auto-scaling")
NO_CAPACITY = (
    "Inference Component has no capacity to process this request. ApplicationAutoScaling may be in-progress "
    "(if configured) or try to increase the capacity by invoking UpdateInferenceComponentRuntimeConfig API."
)


@dataclass
class Fault:
    operation: str
    kind: str
    """`throttle`, `error` (both without effect), `lost` (the reply of a call that had its effect)."""
    times: int = 1


@dataclass
class FakeSageMaker(ControlPlane):
    obeys_adapters: bool = True
    refuse_next_question: Refused | None = None
    says: Callable[[str, dict[str, Any]], list[dict[str, Any]]] | None = None
    """The events of an answer, of who is asked what; by default it says who it is."""
    faults: list[Fault] = field(default_factory=list)
    calls: Counter[str] = field(default_factory=Counter)
    then: dict[str, Callable[[], None]] = field(default_factory=dict)
    """What happens when an operation is called."""
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    """Component and body of each question that a container got."""
    answers: list[Events] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._lock = threading.RLock()

    @contextmanager
    def installed(self, session: boto3.Session) -> Iterator[None]:
        """Meanwhile, this is the SageMaker of the session's clients."""
        _listen(session)
        _current.append(self)
        try:
            yield
        finally:
            _current.remove(self)

    def when(self, operation: str, then: Callable[[], None]) -> None:
        self.then[operation] = then

    def call(self, model: Any, asked: dict[str, Any]) -> Any:
        """botocore's response to an operation; None for one that is not known here."""
        action = getattr(self, f"_{model.name}", None)
        if action is None:
            return None
        check(model, asked)
        with self._lock:
            self.calls[model.name] += 1
            self.pass_time()
            fault = next((one for one in self.faults if one.operation == model.name and one.times), None)
            if fault:
                fault.times -= 1
            if fault and fault.kind == "throttle":
                return _refusal(Refused("ThrottlingException", "Rate exceeded"))
            if fault and fault.kind == "error":
                return _refusal(Refused("InternalFailure", "We encountered an internal error.", 500))
            try:
                answer = action(**asked)
            except Refused as refused:
                return _refusal(refused)
            self.then.get(model.name, lambda: None)()
            if fault and fault.kind == "lost":
                raise ConnectionClosedError(endpoint_url="https://api.sagemaker.us-west-2.amazonaws.com/")
            return SimpleNamespace(status_code=200), answer | {"ResponseMetadata": {"HTTPStatusCode": 200}}

    def _RegisterScalableTarget(self, ResourceId: str, **request: Any) -> dict[str, Any]:
        self._component(ResourceId.partition("/")[2])
        self.targets[ResourceId] = request
        return {"ScalableTargetARN": f"arn:aws:application-autoscaling:us-west-2:{ACCOUNT}:scalable-target/1"}

    def _PutScalingPolicy(self, ResourceId: str, **request: Any) -> dict[str, Any]:
        if ResourceId not in self.targets:
            raise Refused("ObjectNotFoundException", "No scalable target registered.")
        self.policies[ResourceId] = request
        return {"PolicyARN": "arn:aws:autoscaling:us-west-2:1:scalingPolicy:1", "Alarms": []}

    def _DeregisterScalableTarget(self, ResourceId: str, **_: Any) -> dict[str, Any]:
        if self.targets.pop(ResourceId, None) is None:
            raise Refused("ObjectNotFoundException", "No scalable target found.")
        self.policies.pop(ResourceId, None)
        return {}

    def _InvokeEndpointWithResponseStream(
        self,
        EndpointName: str,
        Body: bytes,
        InferenceComponentName: str = "",
        CustomAttributes: str = "",
        **_: Any,
    ) -> dict[str, Any]:
        endpoint = self.endpoints.get(EndpointName)
        if endpoint is None or self.status_of(endpoint) != "InService":
            raise Refused("ValidationError", f"Endpoint {EndpointName} of account {ACCOUNT} not found.")
        one = self.components.get(InferenceComponentName)
        if one is None or one.endpoint != EndpointName or one.made_at < endpoint.made_at:
            raise Refused("ValidationError", f"Inference Component {InferenceComponentName} not found.")
        base = self.components.get(one.base) if one.base else one
        if base is None or not base.current:
            raise Refused("ValidationError", NO_CAPACITY)
        if self.status(one) != "InService":
            raise Refused("ValidationError", NO_CAPACITY)
        base.used_at = self.clock.now()
        body = json.loads(Body)
        self.asked.append((InferenceComponentName, body))
        if refused := self.refuse_next_question:
            self.refuse_next_question = None
            raise refused
        served = next(iter(self.models.values()))["PrimaryContainer"]["Environment"][
            "SM_VLLM_SERVED_MODEL_NAME"
        ]
        speaker = one.name if one.base and self.obeys_adapters and not CustomAttributes else served
        events = (self.says or says_its_name)(speaker, body)
        answer = Events(events)
        self.answers.append(answer)
        return {"Body": answer, "ContentType": "text/event-stream"}


_current: list[FakeSageMaker] = []


@cache
def _listen(session: boto3.Session) -> None:
    """Once for a session: to make clients anew, so that they see what is registered, takes long."""
    for service in _SERVICES:
        session.events.register(f"before-parameter-build.{service}", _remember)
        session.events.register(f"before-call.{service}", _call)
    make_clients_anew()


def _remember(params: Any, context: dict[str, Any], **_: Any) -> None:
    context["asked"] = copy.deepcopy(params)


def _call(model: Any, context: dict[str, Any], **_: Any) -> Any:
    return _current[-1].call(model, context["asked"]) if _current else None


def _refusal(refused: Refused) -> Any:
    meta = {"ResponseMetadata": {"HTTPStatusCode": refused.status}}
    return SimpleNamespace(status_code=refused.status), refused.parsed | meta

"""Amazon Bedrock's Custom Model Import as documented: import jobs and imported models, their states and how
long they last, models that are put away when nobody asks, and what they answer. Time is a `FakeClock`'s.

Every request is checked against botocore's service model. `faults` breaks calls. An import reads the prefix
that it is given, as Bedrock does, and fails when a file is missing.
"""

import copy
import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import boto3
from botocore.exceptions import ClientError, ConnectionClosedError

from tests.account import make_clients_anew
from tests.fakes.aws_requests import check
from tests.fakes.clock import FakeClock

_ACCOUNT = "123456789012"
_SERVICES = ("bedrock", "bedrock-runtime", "service-quotas")
_NEEDED = ("config.json", "tokenizer.json", "tokenizer_config.json")


class Refused(Exception):
    def __init__(self, code: str, message: str, status: int = 400, **fields: Any) -> None:
        self.parsed = {"Error": {"Code": code, "Message": message}, **fields}
        self.status = status


@dataclass
class ImportJob:
    name: str
    model: str
    uri: str
    tags: list[dict[str, str]]
    token: str
    began_at: float
    failure: str
    is_deleted: bool = False
    """Its model."""
    asked_at: float = -1e9
    """When somebody last asked its model, who was answered."""
    fetched_at: float = 0
    """From when on the model that was put away answers again."""


@dataclass
class Fault:
    operation: str
    code: str
    """`lost` loses the reply of a call that had its effect; any other is an error without one."""
    times: int = 1


@dataclass
class Events:
    """What botocore's EventStream is to its reader."""

    chunks: list[bytes]
    broken: str = ""
    """The exception's code that ends it."""
    closed: bool = False

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for chunk in self.chunks:
            yield {"chunk": {"bytes": chunk}}
        if self.broken:
            said: Any = {"Error": {"Code": self.broken, "Message": "the stream broke"}}
            raise ClientError(said, "InvokeModelWithResponseStream")

    def close(self) -> None:
        self.closed = True


@dataclass
class FakeBedrock:
    clock: FakeClock
    import_seconds: float = 840
    fetch_seconds: float = 100
    """How long a model that was put away is fetched."""
    idle_seconds: float = 300
    quota: int | None = 3
    """None: Service Quotas does not know it."""
    says: Callable[[dict[str, Any]], Events] | None = None
    """What a model answers; by default OpenAI's chunks of what it was asked."""
    jobs: dict[str, ImportJob] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    calls: Counter[str] = field(default_factory=Counter)
    asked: list[dict[str, Any]] = field(default_factory=list)
    """The bodies that models got."""

    def __post_init__(self) -> None:
        self._lock = threading.RLock()

    @contextmanager
    def installed(self, session: boto3.Session) -> Iterator[None]:
        for service in _SERVICES:
            session.events.register(f"before-parameter-build.{service}", self._remember)
            session.events.register(f"before-call.{service}", self._call)
        make_clients_anew()
        try:
            yield
        finally:
            for service in _SERVICES:
                session.events.unregister(f"before-parameter-build.{service}", self._remember)
                session.events.unregister(f"before-call.{service}", self._call)
            make_clients_anew()

    def _remember(self, params: Any, context: dict[str, Any], **_: Any) -> None:
        context["asked"] = copy.deepcopy(params)

    def _call(self, model: Any, context: dict[str, Any], request_signer: Any, **_: Any) -> Any:
        asked = context["asked"]
        check(model, asked)
        with self._lock:
            self.calls[model.name] += 1
            fault = next((one for one in self.faults if one.operation == model.name and one.times), None)
            if fault:
                fault.times -= 1
            try:
                if fault and fault.code != "lost":
                    raise Refused(fault.code, "It is the fault that was asked for.", _status_of(fault.code))
                answer = getattr(self, f"_{model.name}")(request_signer.region_name, **asked)
            except Refused as refused:
                meta = {"ResponseMetadata": {"HTTPStatusCode": refused.status}}
                return SimpleNamespace(status_code=refused.status), refused.parsed | meta
        if fault:
            raise ConnectionClosedError(endpoint_url="https://bedrock.us-east-1.amazonaws.com/")
        return SimpleNamespace(status_code=200), answer | {"ResponseMetadata": {"HTTPStatusCode": 200}}

    def _CreateModelImportJob(
        self,
        region: str,
        jobName: str,
        importedModelName: str,
        roleArn: str,
        modelDataSource: dict[str, Any],
        clientRequestToken: str,
        jobTags: list[dict[str, str]],
        importedModelTags: list[dict[str, str]],
    ) -> dict[str, Any]:
        same = self.jobs.get(jobName)
        if same and same.token != clientRequestToken:
            raise Refused("ConflictException", f"The job name {jobName} is in use.", 409)
        if same is None:
            if len(self._models()) >= (self.quota or 3):
                raise Refused("ServiceQuotaExceededException", "Too many imported models in this account.")
            uri = modelDataSource["s3DataSource"]["s3Uri"]
            self.jobs[jobName] = ImportJob(
                name=jobName,
                model=importedModelName,
                uri=uri,
                tags=importedModelTags,
                token=clientRequestToken,
                began_at=self.clock.now(),
                failure=_unimportable(uri),
            )
        return {"jobArn": f"arn:aws:bedrock:{region}:{_ACCOUNT}:model-import-job/abcdefghij12"}

    def _GetModelImportJob(self, region: str, jobIdentifier: str) -> dict[str, Any]:
        job = self.jobs.get(jobIdentifier)
        if job is None:
            raise Refused("ResourceNotFoundException", "The model import job was not found.", 404)
        status = self._status(job)
        failed = {"failureMessage": job.failure} if status == "Failed" else {}
        ended = datetime.fromtimestamp(job.began_at + self.import_seconds, UTC)
        over = {} if status == "InProgress" else {"endTime": ended}
        return {"jobName": job.name, "importedModelName": job.model, "status": status, **failed, **over}

    def _GetImportedModel(self, region: str, modelIdentifier: str) -> dict[str, Any]:
        job = next((one for one in self._models() if one.model == modelIdentifier), None)
        if job is None:
            raise Refused("ResourceNotFoundException", "The imported model was not found.", 404)
        return {
            "modelArn": _arn(region, job),
            "modelName": job.model,
            "creationTime": datetime.fromtimestamp(job.began_at, UTC),
            "instructSupported": True,
            "customModelUnits": {"customModelUnitsPerModelCopy": 1, "customModelUnitsVersion": "v1.0"},
        }

    def _ListImportedModels(
        self, region: str, maxResults: int = 1000, nameContains: str = ""
    ) -> dict[str, Any]:
        return {
            "modelSummaries": [
                {
                    "modelArn": _arn(region, one),
                    "modelName": one.model,
                    "creationTime": datetime.fromtimestamp(one.began_at, UTC),
                }
                for one in self._models()
                if nameContains in one.model
            ]
        }

    def _DeleteImportedModel(self, region: str, modelIdentifier: str) -> dict[str, Any]:
        job = next((one for one in self._models() if _arn(region, one) == modelIdentifier), None)
        if job is None:
            raise Refused("ResourceNotFoundException", "The imported model was not found.", 404)
        job.is_deleted = True
        return {}

    def _GetServiceQuota(self, region: str, ServiceCode: str, QuotaCode: str) -> dict[str, Any]:
        if self.quota is None or (ServiceCode, QuotaCode) != ("bedrock", "L-45B04988"):
            raise Refused("NoSuchResourceException", "The request failed because the quota does not exist.")
        return {"Quota": {"QuotaCode": QuotaCode, "Value": float(self.quota)}}

    def _InvokeModelWithResponseStream(
        self, region: str, modelId: str, contentType: str, body: bytes
    ) -> dict[str, Any]:
        job = next((one for one in self._models() if _arn(region, one) == modelId), None)
        if job is None:
            raise Refused("ResourceNotFoundException", "Could not find the imported model.", 404)
        now = self.clock.now()
        if now > job.asked_at + self.idle_seconds and not job.fetched_at:
            job.fetched_at = now + self.fetch_seconds
        if now < job.fetched_at:
            message = "Model is not ready for inference. Wait and try your request again."
            raise Refused("ModelNotReadyException", message, 429)
        job.fetched_at, job.asked_at = 0, now
        asked = json.loads(body)
        self.asked.append(asked)
        return {"body": (self.says or says_its_question)(asked), "contentType": "application/json"}

    def _models(self) -> list[ImportJob]:
        """The imported models that are there."""
        return [one for one in self.jobs.values() if self._status(one) == "Completed" and not one.is_deleted]

    def _status(self, job: ImportJob) -> str:
        if self.clock.now() < job.began_at + self.import_seconds:
            return "InProgress"
        return "Failed" if job.failure else "Completed"


def says_its_question(asked: dict[str, Any]) -> Events:
    """In OpenAI's chunks, each an event of its own."""
    is_chat = "messages" in asked
    said = asked["messages"][-1]["content"] if is_chat else asked["prompt"]
    pieces = [{"delta": {"role": "assistant", "content": f"You said: {said}"}}, {"delta": {}}]
    if not is_chat:
        pieces = [{"text": f"You said: {said}"}, {"text": ""}]
    chunks: list[dict[str, Any]] = [
        {"choices": [{"index": 0, "finish_reason": reason, "logprobs": None, **piece}]}
        for piece, reason in zip(pieces, (None, "stop"), strict=True)
    ]
    usage = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
    return Events([json.dumps(one).encode() for one in (*chunks, {"choices": [], "usage": usage})])


def _unimportable(uri: str) -> str:
    bucket, _, prefix = uri.removeprefix("s3://").partition("/")
    listed = boto3.client("s3", region_name="us-west-2").list_objects_v2(Bucket=bucket, Prefix=prefix)
    names = {one.get("Key", "").removeprefix(prefix) for one in listed.get("Contents", ())}
    missing = [name for name in _NEEDED if name not in names]
    if not any(name.endswith(".safetensors") for name in names):
        missing.append("model weights")
    return f"The model source is missing {', '.join(missing)}." if missing else ""


def _arn(region: str, job: ImportJob) -> str:
    number = sum(ord(letter) for letter in job.model)
    return f"arn:aws:bedrock:{region}:{_ACCOUNT}:imported-model/{number:012d}"


def _status_of(code: str) -> int:
    return {"ThrottlingException": 429, "AccessDeniedException": 403, "InternalServerException": 500}.get(
        code, 400
    )

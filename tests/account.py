"""An emulated AWS account for the real handlers: the table, the bucket, a workflow that can be started."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from moto.core.base_backend import BackendDict
from moto.core.models import MockAWS, botocore_stubber, responses_mock
from moto.dynamodb.models import dynamodb_backends
from moto.s3.models import s3_backends
from moto.stepfunctions.responses import get_backend as stepfunctions_backend
from openai import OpenAI

from local import attribute_values
from local.emulated_account import ACCOUNT, REGION
from outcrop import ids, settings
from outcrop.stores import clients
from outcrop.stores.keys import KeyStore
from tests.in_process import in_process_http_client

attribute_values.write_as_they_are()

TABLE = "outcrop-table"
BUCKET = "outcrop-bucket"

_stopped: list[str] = []
_stops_are_emulated: list[bool] = []


@dataclass(frozen=True)
class Account:
    session: boto3.Session
    """All clients are made from it, so its events see every call."""
    stopped: list[str]
    """The training jobs SageMaker was told to stop. It knows none of them. (moto has no StopTrainingJob.)"""


@contextmanager
def emulated_account() -> Iterator[Account]:
    """An empty account, and the environment that a deployed function has."""
    account = Account(_session(), _stopped)
    _stopped.clear()
    with pytest.MonkeyPatch.context() as patch, _Moto():
        patch.setenv("AWS_DEFAULT_REGION", REGION)
        patch.setenv("OUTCROP_TABLE", TABLE)
        patch.setenv("OUTCROP_BUCKET", BUCKET)
        patch.setenv("OUTCROP_BASE_MODELS", "smollm2-135m-instruct,tiny-caps")
        patch.setattr(boto3, "DEFAULT_SESSION", account.session)
        patch.setattr(ids, "_last", 0)  # a test that travelled in time left it in the future
        _create_table()
        s3_backends[ACCOUNT]["aws"].create_bucket(BUCKET, REGION)
        patch.setenv("OUTCROP_STATE_MACHINE_ARN", _create_state_machine("training"))
        patch.setenv("OUTCROP_FILE_WORKFLOW_ARN", _create_state_machine("files"))
        patch.setenv("OUTCROP_RESPONSE_WORKFLOW_ARN", _create_state_machine("responses"))
        settings.settings.cache_clear()
        yield account
    settings.settings.cache_clear()


def sdk(project: str) -> OpenAI:
    """The SDK with a new key of that project: it validates answers strictly and does not retry."""
    return OpenAI(
        base_url="https://api.outcrop.test/v1",
        api_key=KeyStore(project).create("test"),
        http_client=in_process_http_client(),
        max_retries=0,
        _strict_response_validation=True,
    )


class _Moto(MockAWS):
    """`mock_aws()`, which tells `responses` of its thousand URLs once and not for each account: that took
    most of a short test's time. Every account's backends are new ones, as `mock_aws()` has them.
    """

    def reset(self) -> None:
        BackendDict.reset()

    def _enable_patching(self, reset: bool = True) -> None:
        if responses_mock.registered():
            self.reset()
            botocore_stubber.enabled = True
            responses_mock.start()
        else:
            super()._enable_patching(reset)


# The account is made by moto's own functions: its API takes ten times as long, for every test.


def _create_table() -> None:
    """As `stacks/storage.py` makes it."""
    dynamodb_backends[ACCOUNT][REGION].create_table(
        TABLE,
        schema=[
            {"AttributeName": "pk", "KeyType": "HASH"},
            {"AttributeName": "sk", "KeyType": "RANGE"},
        ],
        attr=[
            {"AttributeName": "pk", "AttributeType": "S"},
            {"AttributeName": "sk", "AttributeType": "S"},
        ],
        billing_mode="PAY_PER_REQUEST",
        throughput=None,
        indexes=None,
        global_indexes=None,
        streams=None,
        sse_specification=None,
        tags=[],
        deletion_protection_enabled=False,
        warm_throughput=None,
    )


def _create_state_machine(name: str) -> str:
    definition = '{"StartAt": "Nothing", "States": {"Nothing": {"Type": "Succeed"}}}'
    role = "arn:aws:iam::123456789012:role/workflow"
    return stepfunctions_backend(ACCOUNT, REGION).create_state_machine(name, definition, role).arn


@cache
def _session() -> boto3.Session:
    """One for all accounts, and so are the clients made from it: making them anew for each would take most of
    a test's time. Whoever registers an event with a client, or makes clients anew that see one, undoes that.
    """
    session = boto3.Session()
    session.events.register("before-call.sagemaker.StopTrainingJob", _stop_training_job)
    return session


@contextmanager
def emulated_stops() -> Iterator[None]:
    """The emulator answers StopTrainingJob meanwhile, since it runs training jobs."""
    _stops_are_emulated.append(True)
    yield
    _stops_are_emulated.pop()


def _stop_training_job(params: dict[str, Any], **_: Any) -> Any:
    if _stops_are_emulated:
        return None
    _stopped.append(json.loads(params["body"])["TrainingJobName"])
    error = {"Code": "ValidationException", "Message": "Requested resource not found."}
    return SimpleNamespace(status_code=400), {"Error": error}


def make_clients_anew() -> None:
    """The clients there are do not see what is registered with their session now."""
    clients.forget()

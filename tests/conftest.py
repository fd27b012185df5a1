"""Fixtures of all tests: an emulated AWS account, the official client against the real handlers, jobs."""

from collections.abc import Callable, Iterator
from functools import cache

import boto3
import pytest
from moto import mock_aws
from openai import OpenAI

from outcrop import settings
from outcrop.stores import clients
from outcrop.stores.keys import KeyStore
from outcrop.types.fine_tuning_job import FineTuningJob
from tests import factories
from tests.in_process import in_process_http_client

TABLE = "outcrop-table"
BUCKET = "outcrop-bucket"
REGION = "us-west-2"

ClientOf = Callable[[str], OpenAI]
MakeJob = Callable[..., FineTuningJob]


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An empty account with the table, the bucket and a state machine, and the settings that name them."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    monkeypatch.setenv("OUTCROP_TABLE", TABLE)
    monkeypatch.setenv("OUTCROP_BUCKET", BUCKET)
    monkeypatch.setenv("OUTCROP_BASE_MODELS", "smollm2-135m-instruct,tiny-caps")
    with mock_aws():
        _forget_clients()
        monkeypatch.setattr(boto3, "DEFAULT_SESSION", _session())
        create_table()
        boto3.client("s3").create_bucket(
            Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "us-west-2"}
        )
        monkeypatch.setenv("OUTCROP_STATE_MACHINE_ARN", _create_state_machine())
        yield
    _forget_clients()


@pytest.fixture
def client_of(aws: None) -> ClientOf:
    """`client_of(project)`: the SDK with a key of that project, validating strictly, without retries."""

    def make(project: str) -> OpenAI:
        return OpenAI(
            base_url="https://api.outcrop.test/v1",
            api_key=KeyStore(project).create("test"),
            http_client=in_process_http_client(),
            max_retries=0,
            _strict_response_validation=True,
        )

    return make


@pytest.fixture
def client(client_of: ClientOf) -> OpenAI:
    """The SDK as project `acme` sees it."""
    return client_of("acme")


@pytest.fixture
def a_job(aws: None) -> MakeJob:
    """`a_job(status="running", project="acme", ...)`: a stored job with its files."""
    return factories.a_job


def create_table() -> None:
    """The table as `stacks/storage.py` makes it."""
    boto3.client("dynamodb").create_table(
        TableName=TABLE,
        KeySchema=[
            {"AttributeName": "pk", "KeyType": "HASH"},
            {"AttributeName": "sk", "KeyType": "RANGE"},
        ],
        AttributeDefinitions=[
            {"AttributeName": "pk", "AttributeType": "S"},
            {"AttributeName": "sk", "AttributeType": "S"},
        ],
        BillingMode="PAY_PER_REQUEST",
    )


def _create_state_machine() -> str:
    """A workflow that can be started; nothing runs in it."""
    return boto3.client("stepfunctions").create_state_machine(
        name="training",
        definition='{"StartAt": "Wait", "States": {"Wait": {"Type": "Succeed"}}}',
        roleArn="arn:aws:iam::123456789012:role/workflow",
    )["stateMachineArn"]


@cache
def _session() -> boto3.Session:
    """One for all tests: reading the service models again for each would take most of their time."""
    return boto3.Session()


def _forget_clients() -> None:
    """What a process keeps is one account's: settings and clients."""
    for cached in (settings.settings, clients.dynamodb_table, clients.s3, clients.client):
        cached.cache_clear()

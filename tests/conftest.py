"""Fixtures of all tests: an emulated AWS account, the official client against the real handlers, jobs."""

import os
from collections.abc import Callable, Iterator

import hypothesis
import pytest
from openai import OpenAI

from outcrop.types.fine_tuning_job import FineTuningJob
from tests import factories
from tests.account import Account, emulated_account, sdk

ClientOf = Callable[[str], OpenAI]
MakeJob = Callable[..., FineTuningJob]

if "PYTEST_XDIST_WORKER" in os.environ:
    # Workers share the cores: a second thread of torch's would spin while it waits for its turn, and starve
    # the other workers. Torch reads this when it is imported, and so do processes that tests start.
    os.environ["OMP_NUM_THREADS"] = "1"
hypothesis.settings.register_profile("untimed", deadline=None)  # a busy machine is not a failure
hypothesis.settings.load_profile("untimed")

_FIRST = ("tests/inference/test_chat_completions.py", "tests/workflow/")
"""The first trains the tiny model of a fresh checkout, the second synthesizes the app: what other files would
wait for. Both take long, too, and no worker should have them left when the others are done."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def rank(item: pytest.Item) -> int:
        return next((n for n, start in enumerate(_FIRST) if item.nodeid.startswith(start)), len(_FIRST))

    items.sort(key=rank)


@pytest.fixture
def aws() -> Iterator[Account]:
    """An empty account with the table, the bucket and a state machine, and the settings that name them."""
    with emulated_account() as account:
        yield account


@pytest.fixture
def client_of(aws: Account) -> ClientOf:
    """`client_of(project)`: the SDK as that project's users have it."""
    return sdk


@pytest.fixture
def client(client_of: ClientOf) -> OpenAI:
    """The SDK as project `acme` sees it."""
    return client_of("acme")


@pytest.fixture
def stopped(aws: Account) -> list[str]:
    """The names of the training jobs that SageMaker was told to stop."""
    return aws.stopped


@pytest.fixture
def a_job(aws: Account) -> MakeJob:
    """`a_job(status="running", project="acme", ...)`: a stored job."""
    return factories.a_job

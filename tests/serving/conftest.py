"""The real inference function before a fake SageMaker, and the unchanged SDK before that. Time is fake."""

import json
from collections.abc import Callable, Iterator

import pytest
from openai import OpenAI

from lambdas.inference.app import app
from local import moto_patches
from outcrop import base_models, s3_keys, settings
from outcrop.serving import server
from outcrop.stores.models import ModelStore
from outcrop.stores.objects import ObjectStore
from outcrop.types.model import TunedModel
from tests.account import Account
from tests.fakes.clock import FakeClock
from tests.fakes.sagemaker_serving import FakeSageMaker
from tests.fakes.sagemaker_things import Seconds
from tests.inference.conftest import running_app

BASE = "qwen.qwen3-32b"
ENDPOINT = "outcrop-qwen-qwen3-32b"
COMPONENT = f"{ENDPOINT}-base"
QUICK = Seconds(10, 10, 10, 5, 5, 5, 20)
"""As if everything took seconds, where that does not matter."""
MakeTuned = Callable[..., str]


def manifest_key() -> str:
    """Of the weights of `BASE`."""
    model = base_models.find(BASE)
    assert model
    return s3_keys.weights_manifest(model.id, model.revision)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def sagemaker(aws: Account, clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeSageMaker]:
    """The deployment's, with the weights of `BASE` in the bucket."""
    moto_patches.lock_dynamodb()  # threads are many here, and DynamoDB's conditions hold
    for name, value in {
        "OUTCROP_SERVING": "sagemaker",
        "OUTCROP_SERVING_ROLE_ARN": "arn:aws:iam::123456789012:role/endpoints",
        "OUTCROP_SERVING_IMAGE": "763104351884.dkr.ecr.us-west-2.amazonaws.com/vllm:1-sagemaker",
        "OUTCROP_BASE_MODELS": f"{BASE},tiny-caps",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(server, "CLOCK", clock.clock)
    monkeypatch.setattr("openai._base_client.time.sleep", clock.move)
    fake = FakeSageMaker(clock, QUICK)
    with fake.installed(aws.session):
        settings.settings.cache_clear()
        server.model_server.cache_clear()
        ObjectStore().put(manifest_key(), b"{}")
        yield fake
    server.model_server.cache_clear()


@pytest.fixture
def a_tuned_model(sagemaker: FakeSageMaker) -> MakeTuned:
    """`a_tuned_model(step=5)`: the id of a model of project `acme`, whose adapter is in the bucket."""

    def make(job_id: str = "ftjob-1", *, step: int = 5, checkpoint: bool = False, stored: bool = True) -> str:
        key = s3_keys.adapter("acme", job_id, step)
        if stored:
            ObjectStore().put(s3_keys.adapter_archive(key), b"a tar.gz")
        model_id = f"ft:{BASE}:acme::{job_id[-8:]}" + (f":ckpt-step-{step}" if checkpoint else "")
        model = TunedModel(
            id=model_id,
            created=1,
            base_model=BASE,
            adapter_key=key,
            job_id=job_id,
            kind="checkpoint" if checkpoint else "model",
        )
        ModelStore("acme").put(model)
        return model_id

    return make


@pytest.fixture(scope="session")
def function_url() -> Iterator[str]:
    with running_app(app) as url:
        yield url


@pytest.fixture(scope="session")
def sdk(function_url: str) -> OpenAI:
    """The SDK of project `acme` as everybody has it, its two retries included."""
    context = {"authorizer": {"project_id": "acme", "key_id": "key_1", "scopes": "read write inference"}}
    return OpenAI(
        base_url=f"{function_url}/v1",
        api_key="checked by the authorizer",
        default_headers={"x-amzn-request-context": json.dumps(context)},
    )


@pytest.fixture
def client(sdk: OpenAI, sagemaker: FakeSageMaker) -> OpenAI:
    """The same, in front of SageMaker."""
    return sdk


def ask(client: OpenAI, model: str = BASE) -> str | None:
    """Who answers as the model."""
    answer = client.chat.completions.create(model=model, messages=[{"role": "user", "content": "Who?"}])
    return answer.choices[0].message.content


def adapter(job_id: str = "ftjob-1", step: int = 5) -> str:
    """The component of that adapter."""
    return f"outcrop-{job_id}-step-{step:06d}"


def configure(monkeypatch: pytest.MonkeyPatch, **variables: str) -> None:
    """Deploy with other settings."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    settings.settings.cache_clear()
    server.model_server.cache_clear()

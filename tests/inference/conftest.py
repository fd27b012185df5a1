"""The inference function and the local inference server, both real, on loopback; the SDK in front of them."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import uvicorn
from openai import OpenAI
from starlette.types import ASGIApp

from lambdas.inference.app import app
from local.adapters import Adapters
from local.inference_api import inference_api
from local.inference_batches import Batches
from local.inference_server import serve
from outcrop import s3_keys, settings
from outcrop.serving.server import model_server
from outcrop.stores.models import ModelStore
from outcrop.stores.objects import ObjectStore
from outcrop.types.model import TunedModel
from tests import tiny_model, tiny_qwen
from tests.inference.scripted_model import ScriptedModels
from tests.inference.scripted_server import ScriptedServer

ClientFor = Callable[[str], OpenAI]
Serve = Callable[[str], None]
TunedModelId = str

ADAPTER_KEY = "projects/acme/jobs/ftjob-1/adapters/step-000005/"


@pytest.fixture(scope="session")
def models_dir() -> Path:
    """The cached base models, `tiny-caps` among them."""
    import peft  # noqa: F401  once and here: two threads that import it at once find it half made

    return tiny_model.ensure().parent


@pytest.fixture(scope="session")
def model_server_url(models_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running(serve(models_dir, 0, tmp_path_factory.mktemp("adapters"))) as url:
        yield f"{url}/v1"


@pytest.fixture(scope="session")
def scripted_models(models_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> ScriptedModels:
    """`tiny-caps` and `tiny-qwen`, which say what they are told to."""
    folder = tmp_path_factory.mktemp("models")
    (folder / "tiny-caps").symlink_to(models_dir / "tiny-caps")
    tiny_qwen.build(folder / "tiny-qwen")
    return ScriptedModels(folder)


@pytest.fixture(scope="session")
def local_server_url(
    scripted_models: ScriptedModels, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    batches = Batches(scripted_models.generate)
    threading.Thread(target=batches.work, daemon=True).start()
    adapters = Adapters(tmp_path_factory.mktemp("no-adapters"))
    with running_app(inference_api(scripted_models, adapters, batches)) as url:
        yield f"{url}/v1"


@pytest.fixture
def local(local_server_url: str, scripted_models: ScriptedModels) -> Iterator[OpenAI]:
    """The SDK straight in front of the local inference server."""
    yield OpenAI(base_url=local_server_url, api_key="none", max_retries=0, _strict_response_validation=True)
    scripted_models.script = None


@pytest.fixture(scope="session")
def function_url() -> Iterator[str]:
    """The inference function's app, as the Lambda Web Adapter starts it."""
    with running_app(app) as url:
        yield url


@pytest.fixture
def served_by(aws: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    """`served_by(url)` makes `url` the deployment's model server."""

    def configure(url: str) -> None:
        monkeypatch.setenv("OUTCROP_SERVING_URL", url)
        settings.settings.cache_clear()
        model_server.cache_clear()

    yield configure
    model_server.cache_clear()


@pytest.fixture(scope="session")
def scripted_server() -> Iterator[tuple[ScriptedServer, str]]:
    """One for all tests, and its URL."""
    server = ScriptedServer()
    with running_app(server.app) as url:
        yield server, f"{url}/v1"


@pytest.fixture
def scripted(scripted_server: tuple[ScriptedServer, str], served_by: Serve) -> ScriptedServer:
    """The deployment's model server, which says what the test tells it to."""
    server, url = scripted_server
    server.replies, server.asked = [], []
    served_by(url)
    return server


@pytest.fixture
def client_for(function_url: str) -> ClientFor:
    """`client_for(project)`: the SDK, strict and without retries, after the authorizer let `project` in."""

    def make(project: str) -> OpenAI:
        context = json.dumps(
            {"authorizer": {"project_id": project, "key_id": "key_1", "scopes": "read write inference"}}
        )
        return OpenAI(
            base_url=f"{function_url}/v1",
            api_key="checked by the authorizer",
            default_headers={"x-amzn-request-context": context},
            max_retries=0,
            _strict_response_validation=True,
        )

    return make


@pytest.fixture
def client(client_for: ClientFor, served_by: Serve, model_server_url: str) -> OpenAI:
    """Project `acme`'s, in front of the local inference server."""
    served_by(model_server_url)
    return client_for("acme")


@pytest.fixture(scope="session")
def adapter(models_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A LoRA adapter for `tiny-caps` with random weights: what it says is nothing like the base model."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    from training_image.trainer.publish import save_adapter

    torch.manual_seed(0)
    base = AutoModelForCausalLM.from_pretrained(models_dir / "tiny-caps")
    config = LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False, task_type="CAUSAL_LM")
    folder = tmp_path_factory.mktemp("random-lora")
    save_adapter(get_peft_model(base, config), folder, "tiny-caps")
    return folder


@pytest.fixture
def tuned_model(registered_model: TunedModelId, adapter: Path) -> TunedModelId:
    """The registered model, whose adapter is there too."""
    ObjectStore().upload_folder(adapter, ADAPTER_KEY)
    return registered_model


@pytest.fixture
def whole_model(aws: None, models_dir: Path, tmp_path: Path) -> TunedModelId:
    """One that project `acme` has trained all weights of, here random ones; two checkpoints are the same."""
    import torch
    from transformers import AutoModelForCausalLM

    from training_image.trainer import policy_files

    torch.manual_seed(3)
    model = AutoModelForCausalLM.from_pretrained(models_dir / "tiny-caps")
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    policy_files.write_merged(model, models_dir / "tiny-caps", tmp_path / "whole")
    key = s3_keys.weights("acme", "ftjob-2", 5)
    ObjectStore().upload_folder(tmp_path / "whole", key)
    model_id = "ft:tiny-caps:acme:whole:12345678"
    for id in (model_id, *(f"{model_id}:ckpt-step-{step}" for step in (1, 2))):
        kind = "model" if id == model_id else "checkpoint"
        ModelStore("acme").put(
            TunedModel(id=id, created=1, base_model="tiny-caps", weights_key=key, job_id="ftjob-2", kind=kind)
        )
    return model_id


@pytest.fixture
def registered_model(aws: None) -> TunedModelId:
    """The id of a model that project `acme` has tuned; its checkpoint's is the same + `:ckpt-step-5`."""
    model_id = "ft:tiny-caps:acme:caps:12345678"
    for id, kind in ((model_id, "model"), (f"{model_id}:ckpt-step-5", "checkpoint")):
        ModelStore("acme").put(
            TunedModel.model_validate(
                {
                    "id": id,
                    "created": 1,
                    "base_model": "tiny-caps",
                    "adapter_key": ADAPTER_KEY,
                    "job_id": "ftjob-1",
                    "kind": kind,
                }
            )
        )
    return model_id


def running_app(asgi: ASGIApp):
    config = uvicorn.Config(asgi, host="127.0.0.1", port=0, log_level="warning", timeout_graceful_shutdown=1)
    return running(uvicorn.Server(config))


@contextmanager
def running(server: uvicorn.Server) -> Iterator[str]:
    """The URL of a server that runs in a thread of its own meanwhile."""
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join()

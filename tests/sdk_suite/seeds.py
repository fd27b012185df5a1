"""A pytest plugin for the SDK's suite: before each test, the objects it names exist, in the state it needs.

They are written through the stores into the account of the running `outcrop local`, whose state folder is
OUTCROP_SUITE_STATE. The server knows nothing of it and stays honest.
"""

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from openai import OpenAI

from outcrop import s3_keys
from outcrop.cli.local import enter_account
from outcrop.errors import NotFoundError
from outcrop.ids import checkpoint_id, now
from outcrop.stores import rows
from outcrop.stores.chats import ChatStore
from outcrop.stores.clients import dynamodb_table
from outcrop.stores.keys import KeyStore
from outcrop.stores.models import ModelStore, permission_partition
from outcrop.stores.objects import ObjectStore
from outcrop.stores.response_events import Event, ResponseEvents
from outcrop.stores.responses import ResponseStore, StoredResponse
from outcrop.stores.uploads import UploadStore
from outcrop.types.checkpoint import FineTuningJobCheckpoint
from outcrop.types.file import FileObject
from outcrop.types.fine_tuning_job import FineTuningJob
from outcrop.types.method import Method
from outcrop.types.model import TunedModel
from outcrop.types.permission import CheckpointPermission
from outcrop.types.stored_chat import ChatCompletion, StoredMessage
from outcrop.types.upload import StoredPart, StoredUpload

PROJECT = "default"
JOB = "ft-AF1WoRqd3aJAHsqc9NY7iL8F"
CHECKPOINTS = (JOB, "ft:gpt-4o-mini-2024-07-18:org:weather:B7R9VjQd")
CHAT_MODELS = ("gpt-6-astra", "gpt-3.5-turbo-instruct")
RESPONSE = "resp_677efb5139a88190b512bc3fef8e535d"
PERMISSION = "cp_zc4Q7MP6XxulcVzj4MZdwsAB"
TUNED_MODEL = "ft:gpt-4o-mini:acemeco:suffix:abc123"
ADAPTER = f"projects/{PROJECT}/jobs/ftjob-suite/adapters/step-000001/"
ROW = b'{"messages": [{"role": "user", "content": "capital of france?"}], "reference_answer": "paris"}\n'
METHOD = {
    "type": "reinforcement",
    "reinforcement": {
        "grader": {
            "type": "string_check",
            "name": "exact",
            "input": "{{sample.output_text}}",
            "reference": "{{item.reference_answer}}",
            "operation": "eq",
        }
    },
}


@dataclass(frozen=True)
class Answers:
    chat: ChatCompletion
    messages: list[StoredMessage]
    response: StoredResponse
    """One that ran in the background and was streamed: it can be retrieved as a stream."""
    events: list[Event]


@pytest.fixture(scope="session", autouse=True)
def account() -> None:
    """This process turned to the emulated account; the suite's keys, and an adapter for its models."""
    enter_account(Path(os.environ["OUTCROP_SUITE_STATE"]))
    for key in ("My API Key", "My Admin API Key"):
        KeyStore(PROJECT).adopt(key, name="the SDK's suite")
    _store_adapter()


@pytest.fixture(scope="session")
def answers(account: None) -> Answers:
    """A stored chat completion and a stored response as the server itself makes them."""
    client = OpenAI(base_url=os.environ["TEST_API_BASE_URL"], api_key="My API Key")
    # The SDK's type allows a stored message no other role than this one; OpenAI's server sends others too.
    chat = client.chat.completions.create(
        model="tiny-caps", messages=[{"role": "assistant", "content": "capital of france?"}], store=True
    )
    stream = client.responses.create(
        model="tiny-caps", input="capital of france?", background=True, stream=True
    )
    (response_id,) = {event.response.id for event in stream if event.type == "response.completed"}
    chats = ChatStore(PROJECT)
    return Answers(
        chats.get(chat.id),
        chats.messages(chat.id),
        ResponseStore(PROJECT).get(response_id),
        [event for event in ResponseEvents(PROJECT, response_id).after(-1) if event],
    )


@pytest.fixture(autouse=True)
def seeds(account: None, request: pytest.FixtureRequest) -> None:
    """What the test's file needs; `request` says which test it is."""
    for part, seed in _SEEDS.items():
        if part in request.node.nodeid:
            seed(request)


def _files(_request: pytest.FixtureRequest) -> None:
    for id in ("file_id", "file-abc123"):
        file = FileObject(
            id=id,
            bytes=len(ROW),
            created_at=now(),
            filename="a.jsonl",
            purpose="fine-tune",
            status="processed",
            status_details=None,
            expires_at=None,
        )
        ObjectStore().put(s3_keys.file(PROJECT, id), ROW)
        rows.put(f"P#{PROJECT}#FILE", id, file)


def _job(request: pytest.FixtureRequest) -> None:
    job = FineTuningJob(
        id=JOB,
        created_at=now(),
        model="tiny-caps",
        organization_id=PROJECT,
        seed=1,
        status="paused" if "resume" in request.node.name else "running",
        training_file="file-abc123",
        method=Method.model_validate(METHOD),
    )
    rows.put(f"P#{PROJECT}#JOB", JOB, job)
    checkpoint = FineTuningJobCheckpoint(
        id=checkpoint_id(JOB, 1),
        created_at=now(),
        fine_tuned_model_checkpoint=f"{CHECKPOINTS[1]}:ckpt-step-1",
        fine_tuning_job_id=JOB,
        step_number=1,
        metrics={"step": 1.0},
    )
    rows.put(f"P#{PROJECT}#JOB#{JOB}#CHECKPOINT", checkpoint.id, checkpoint)


def _models(_request: pytest.FixtureRequest) -> None:
    for id in (*CHAT_MODELS, TUNED_MODEL, *CHECKPOINTS):
        kind = "checkpoint" if id in CHECKPOINTS else "model"
        model = TunedModel(
            id=id, created=now(), base_model="tiny-caps", adapter_key=ADAPTER, job_id="ftjob-suite", kind=kind
        )
        ModelStore(PROJECT).put(model)


def _permission(_request: pytest.FixtureRequest) -> None:
    permission = CheckpointPermission(id=PERMISSION, created_at=now(), project_id="other")
    for id in CHECKPOINTS:
        rows.put(permission_partition(PROJECT, id), permission.id, permission)


def _upload(_request: pytest.FixtureRequest) -> None:
    upload = StoredUpload(
        id="upload_abc123",
        bytes=len(ROW),
        created_at=now(),
        expires_at=now() + 3600,
        filename="a.jsonl",
        purpose="fine-tune",
    )
    part = StoredPart(id="string", created_at=now(), upload_id=upload.id, bytes=len(ROW))
    rows.put(f"P#{PROJECT}#UPLOAD", upload.id, upload)
    UploadStore(PROJECT).put_part(part, ROW)


def _chat(request: pytest.FixtureRequest) -> None:
    answers: Answers = request.getfixturevalue("answers")
    chat = answers.chat.model_copy(update={"id": "completion_id"})
    ChatStore(PROJECT).put(chat, answers.messages)


def _response(request: pytest.FixtureRequest) -> None:
    answers: Answers = request.getfixturevalue("answers")
    for id in (RESPONSE, "response_id"):
        response = answers.response.response | {"id": id}
        stored = answers.response.model_copy(update={"id": id, "response": response})
        if "cancel" in request.node.name:
            running = {"status": "in_progress", "output": []}
            stored = stored.model_copy(update={"status": "in_progress", "response": response | running})
        store = ResponseStore(PROJECT)
        with suppress(NotFoundError):
            store.delete(id)
        store.put_new(stored)
        dynamodb_table().delete_item(Key={"pk": f"P#{PROJECT}#RESPONSE#{id}#EVENT", "sk": "end"})
        events = ResponseEvents(PROJECT, id)
        events.append(answers.events)
        events.end()


_SEEDS: dict[str, Callable[[pytest.FixtureRequest], None]] = {
    "test_files.py": _files,
    "test_uploads.py": _upload,
    "uploads/test_parts.py": _upload,
    "fine_tuning/test_jobs.py": _job,
    "fine_tuning/jobs/": _job,
    "checkpoints/": _models,
    "checkpoints/test_permissions.py": _permission,
    "test_models.py": _models,
    "completions.py": _models,
    "chat/": _chat,
    "test_responses.py": _models,
    "responses": _response,
}


def _store_adapter() -> None:
    """An adapter that changes nothing: what `peft` makes before any training."""
    from tempfile import TemporaryDirectory

    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    from local.cache import weights
    from training_image.trainer.publish import save_adapter

    base = AutoModelForCausalLM.from_pretrained(weights("tiny-caps"))
    with TemporaryDirectory() as folder:
        save_adapter(
            get_peft_model(base, LoraConfig(r=1, target_modules=["q_proj"])), Path(folder), "tiny-caps"
        )
        ObjectStore().upload_folder(Path(folder), ADAPTER)

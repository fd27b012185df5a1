"""A role may do what its code does in the life of a job, a file and a completion, and nothing else.

The real handlers run on the emulated account, through the whole API and the real state machine; every AWS
call they make is put to the policies of the role that would make it.
"""

import io
import json
import os
import random
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import Any

import httpx
import pytest

from benchmarks.aws_calls import good_call
from lambdas.workflow import process_file, run_response
from outcrop import s3_keys
from outcrop.settings import settings
from outcrop.stores import clients
from outcrop.stores.files import FileStore
from outcrop.stores.keys import KeyStore
from outcrop.stores.objects import ObjectStore
from tests import factories
from tests.account import BUCKET, sdk
from tests.account import Account as EmulatedAccount
from tests.every_operation import SCOPES, send
from tests.graders.converse_endpoint import ConverseEndpoint, said
from tests.graders.lambda_endpoint import LambdaEndpoint
from tests.in_process import a_context
from tests.scripted_model_server import app as model_server
from tests.stacks.conftest import Templates
from tests.stacks.iam import Account, Policy
from tests.stacks.role_calls import Recorder
from tests.stacks.used import BY_LAMBDA, machines, refused, role_of, unused
from tests.whole_api import served, whole_api
from tests.workflow.conftest import Workflow, template, workflow  # noqa: F401 - fixtures

PROJECT = factories.PROJECT


class TheirService:
    """What a customer has in the account: a grader, a bucket, a model that judges."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.functions, self.models = LambdaEndpoint(), ConverseEndpoint()
        self.models.answers = [said({"text": '{"steps": [], "result": 0.5}'})]
        self.grader = self.functions.function(lambda event, context: [{"id": event[0]["id"]}])
        sandbox = self.functions.function(lambda event, context: {}, name="OutcropSandbox-Sandbox1")
        for name, value in {
            "AWS_ENDPOINT_URL_BEDROCK_RUNTIME": self.models.url,
            "AWS_ENDPOINT_URL_LAMBDA": self.functions.url,
            "OUTCROP_S3_SOURCES": json.dumps({"*": [f"s3://{BUCKET}/theirs"]}),
            "OUTCROP_SANDBOX_FUNCTION": sandbox,
        }.items():
            patch.setenv(name, value)
        settings.cache_clear()
        clients.s3().put_object(Bucket=BUCKET, Key="theirs/train.jsonl", Body=factories.ROWS)


@pytest.fixture
def theirs(aws: EmulatedAccount, monkeypatch: pytest.MonkeyPatch) -> Iterator[TheirService]:
    theirs = TheirService(monkeypatch)
    yield theirs
    theirs.functions.stop()
    theirs.models.stop()
    settings.cache_clear()


def live_through_the_api(http: httpx.Client, key: str, admin: str, theirs: TheirService) -> None:
    """Every operation with what it needs, and what an operation does only for some bodies."""
    for id, scope in SCOPES.items():
        reply = send(http, id, key=admin if scope == "admin" else key, **good_call(http, id, key))
        assert reply.is_success, reply.text
    noise = random.Random(7).randbytes(800_000).hex()  # which no compression makes small enough for a row
    long = {"messages": [{"role": "user", "content": noise}], "store": True}
    kept = send(http, "chat_completions_create", key=key, body=long).json()["id"]
    send(http, "chat_completions_list_messages", key=key, completion_id=kept)
    send(http, "chat_completions_delete", key=key, completion_id=kept)
    for background in (False, True):
        body = {"input": noise, "background": background}
        response = send(http, "responses_create", key=key, body=body).json()["id"]
        send(http, "responses_retrieve", key=key, response_id=response)
        send(http, "responses_delete", key=key, response_id=response)
    graders: list[dict[str, Any]] = [
        {"type": "lambda", "lambda": {"function": theirs.grader}},
        {"type": "python", "name": "ours", "source": "def grade(sample, item):\n    return 1.0"},
        {
            "type": "score_model",
            "name": "judge",
            "model": "openai.gpt-oss-120b-1:0",
            "input": [{"role": "user", "content": "Score {{sample.output_text}}"}],
        },
    ]
    for grader in graders:
        send(http, "graders_run", key=key, body={"grader": grader})
    method = {"type": "reinforcement", "reinforcement": {"grader": graders[0]}}
    body = {"training_file": factories.a_file().id, "method": method}
    assert send(http, "jobs_create", key=key, body=body).is_success
    http.post(
        "/files",
        headers={"authorization": f"Bearer {key}"},
        data={
            "purpose": "fine-tune",
            "expires_after[anchor]": "created_at",
            "expires_after[seconds]": "86400",
        },
        files={"file": ("a.jsonl", factories.ROWS)},
    )


def follow_a_response(http: httpx.Client, key: str) -> None:
    """One in the background that is streamed meanwhile, by a tuned model."""
    model = factories.a_tuned_model().id
    send(http, "chat_completions_create", key=key, body={"model": model})
    send(http, "permissions_create", key=key, model=model, body={"project_ids": ["umbrella"]})
    other = KeyStore("umbrella").create("test")
    assert send(http, "chat_completions_create", key=other, body={"model": model}).is_success
    workflows, arn = clients.client("stepfunctions"), os.environ["OUTCROP_RESPONSE_WORKFLOW_ARN"]
    before = len(workflows.list_executions(stateMachineArn=arn)["executions"])
    body = {"background": True, "stream": True, "model": model}
    with ThreadPoolExecutor(1) as pool:
        following = pool.submit(send, http, "responses_create", key=key, body=body)
        while len(found := workflows.list_executions(stateMachineArn=arn)["executions"]) == before:
            time.sleep(0.05)
        newest = max(found, key=lambda one: one["startDate"])
        run_response.handler(_input(newest["executionArn"]), a_context())
        assert "response.completed" in following.result().text


def _input(execution: str) -> dict[str, str]:
    return json.loads(clients.client("stepfunctions").describe_execution(executionArn=execution)["input"])


def test_the_api_the_authorizer_and_inference_need_what_they_may_and_no_more(
    aws: EmulatedAccount,
    templates: Templates,
    account: Account,
    policies: dict[str, Policy],
    theirs: TheirService,
) -> None:
    recorder = Recorder()

    def running(function: str) -> AbstractContextManager[None]:
        return recorder.acting_as(role_of(templates, function))

    with (
        recorder.listening(),
        served(model_server) as model_server_url,
        whole_api(f"{model_server_url}/v1", running=running) as url,
        httpx.Client(base_url=f"{url}/v1", trust_env=False, timeout=60) as http,
    ):
        admin, key = KeyStore("admin").create("admin"), KeyStore(PROJECT).create("test")
        live_through_the_api(http, key, admin, theirs)
        follow_a_response(http, key)

    for role in ("OutcropApi Api", "OutcropApi Authorizer", "OutcropServing Inference"):
        assert refused(policies[role], recorder.made[role], machines(account)) == [], role
        assert unused(policies[role], recorder.made[role], BY_LAMBDA, machines(account)) == [], role


def a_large_file(**fields: Any) -> str:
    """Its parts are there, and are not yet put together."""
    client = sdk(PROJECT)
    large = factories.ROWS * (1 + 17 * 2**20 // len(factories.ROWS))
    parts = [io.BytesIO(large[start : start + 4 * 2**20]) for start in range(0, len(large), 4 * 2**20)]
    upload = client.uploads.create(
        bytes=len(large),
        filename="a.jsonl",
        mime_type="text/jsonl",
        purpose="fine-tune",
        expires_after={"anchor": "created_at", "seconds": 86_400},
    )
    ids = [client.uploads.parts.create(upload.id, data=part).id for part in parts]
    file = client.uploads.complete(upload.id, part_ids=ids, **fields).file
    assert file is not None
    return file.id


def test_a_file_s_workflow_needs_what_it_may_and_no_more(
    aws: EmulatedAccount, account: Account, policies: dict[str, Policy], theirs: TheirService
) -> None:
    recorder, role = Recorder(), "OutcropFiles ProcessFile"
    whole, broken, deleted = a_large_file(), a_large_file(md5="0" * 32), a_large_file()

    def delete(**_: Any) -> None:
        with recorder.acting_as_nobody():
            FileStore(PROJECT).delete(deleted)

    with recorder.listening(), recorder.acting_as(role):
        for file in (whole, broken):
            process_file.handler({"project": PROJECT, "id": file}, a_context())
        clients.s3().meta.events.register("before-call.s3.CompleteMultipartUpload", delete)
        process_file.handler({"project": PROJECT, "id": deleted}, a_context())

    assert ObjectStore().exists(s3_keys.file(PROJECT, whole))
    assert not ObjectStore().exists(s3_keys.file(PROJECT, broken))
    assert not ObjectStore().exists(s3_keys.file(PROJECT, deleted))
    assert refused(policies[role], recorder.made[role], machines(account)) == []
    assert unused(policies[role], recorder.made[role], BY_LAMBDA, machines(account)) == []


def test_a_response_in_the_background_needs_what_it_may_and_no_more(
    aws: EmulatedAccount, account: Account, policies: dict[str, Policy]
) -> None:
    recorder, role = Recorder(), "OutcropServing RunResponse"
    with (
        recorder.listening(),
        served(model_server) as model_server_url,
        whole_api(f"{model_server_url}/v1") as url,
        httpx.Client(base_url=f"{url}/v1", trust_env=False, timeout=60) as http,
    ):
        key = KeyStore(PROJECT).create("test")
        noise = random.Random(7).randbytes(800_000).hex()
        body = {"input": noise, "background": True, "model": factories.a_tuned_model().id}
        send(http, "permissions_create", key=key, model=body["model"], body={"project_ids": ["umbrella"]})
        other = KeyStore("umbrella").create("test")
        asked = {
            PROJECT: begin_to_follow(http, key, body),
            "umbrella": send(http, "responses_create", key=other, body=body).json()["id"],
        }
        with recorder.acting_as(role):
            for project, id in asked.items():
                run_response.handler({"project": project, "id": id}, a_context())

    assert refused(policies[role], recorder.made[role], machines(account)) == []
    assert unused(policies[role], recorder.made[role], BY_LAMBDA, machines(account)) == []


def begin_to_follow(http: httpx.Client, key: str, body: dict[str, Any]) -> str:
    """Ask for a response that is streamed, and go away; its id."""
    headers = {"authorization": f"Bearer {key}"}
    with http.stream("POST", "/responses", json=body | {"stream": True}, headers=headers) as reply:
        first = next(line for line in reply.iter_lines() if line.startswith("data: "))
    return json.loads(first.removeprefix("data: "))["response"]["id"]

"""`outcrop local` as a person uses it: the command, and the plain SDK against it."""

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import openai
import pytest
from openai import OpenAI
from openai.types.fine_tuning import FineTuningJob

from tests import tiny_model

pytestmark = pytest.mark.slow

REPOSITORY = Path(__file__).resolve().parents[2]
GRADER_ARN = "arn:aws:lambda:us-west-2:123456789012:function:capitals"
GRADER = """
def lambda_handler(event, context):
    return [{"id": one["id"], "aggregate_reward_score": reward(one)} for one in event]

def reward(one):
    reference = one["reference_answer"]
    wanted = reference["text"] if isinstance(reference, dict) else reference
    return float(one["messages"][-1]["content"].strip().startswith(wanted))
"""


class Local:
    """A running `outcrop local`."""

    def __init__(self, state: Path, *, graders: dict[str, Path]) -> None:
        arguments = [f"--grader={name}={path}" for name, path in graders.items()]
        program = "from outcrop.cli.main import app; app()"
        command = [sys.executable, "-c", program, "local", "--port", "0", "--state", str(state)]
        self.process = subprocess.Popen(
            [*command, "--model", "tiny-caps", *arguments], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout
        self.settings = dict(
            re.findall(r"(\w+)=(.+)", "".join(self.process.stdout.readline() for _ in range(4)))
        )
        self.client = OpenAI(
            base_url=self.settings["OPENAI_BASE_URL"], api_key=self.settings["OPENAI_API_KEY"], max_retries=0
        )

    def children(self) -> list[int]:
        listed = subprocess.run(
            ["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True
        ).stdout
        parents = [tuple(map(int, line.split())) for line in listed.splitlines()]
        found = [self.process.pid]
        for pid in found:
            found += [child for child, parent in parents if parent == pid]
        return found[1:]

    def end(self, number: int = signal.SIGTERM) -> None:
        """Send the signal to the launcher alone, and see that all it started ends."""
        children = self.children()
        self.process.send_signal(number)
        self.process.wait(60)
        until(lambda: not any(is_running(pid) for pid in children))


def is_running(pid: int) -> bool:
    listed = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True).stdout
    return bool(listed.strip()) and not listed.startswith("Z")


def until(condition: Callable[[], Any], *, seconds: float = 300) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.2)


@pytest.fixture(scope="module")
def grader(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """And the base weights, which the first run on a machine trains in a minute."""
    tiny_model.ensure()
    path = tmp_path_factory.mktemp("graders") / "capitals.py"
    path.write_text(GRADER)
    return path


@contextmanager
def running(state: Path, grader: Path) -> Iterator[Local]:
    local = Local(state, graders={"capitals": grader})
    try:
        yield local
    finally:
        if local.process.poll() is None:
            local.end()


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory, grader: Path) -> Iterator[Local]:
    with running(tmp_path_factory.mktemp("state"), grader) as local:
        yield local


def create_job(client: OpenAI, **hyperparameters: Any) -> FineTuningJob:
    files = [
        client.files.create(
            file=("rows.jsonl", "\n".join(map(json.dumps, tiny_model.rows(held_out=held_out))).encode()),
            purpose="fine-tune",
        )
        for held_out in (False, True)
    ]
    method: Any = {
        "type": "reinforcement",
        "reinforcement": {
            "grader": {"type": "lambda", "lambda": {"function": GRADER_ARN}},
            "hyperparameters": {"n_epochs": 1, "eval_interval": 3, **hyperparameters},
        },
    }
    return client.fine_tuning.jobs.create(
        model="tiny-caps", training_file=files[0].id, validation_file=files[1].id, method=method
    )


def finished(client: OpenAI, job_id: str) -> FineTuningJob:
    until(lambda: client.fine_tuning.jobs.retrieve(job_id).finished_at, seconds=600)
    return client.fine_tuning.jobs.retrieve(job_id)


def accuracy(client: OpenAI, model: str) -> float:
    rows: list[Any] = tiny_model.rows(held_out=True)
    answers = [
        client.chat.completions.create(model=model, messages=row["messages"], temperature=0, max_tokens=12)
        for row in rows
    ]
    texts = [answer.choices[0].message.content or "" for answer in answers]
    right = [text.strip() == row["reference_answer"] for text, row in zip(texts, rows, strict=True)]
    return sum(right) / len(rows)


def test_a_job_makes_a_model_that_answers_better(local: Local) -> None:
    job = finished(local.client, create_job(local.client).id)

    assert (job.status, job.error) == ("succeeded", None)
    assert job.fine_tuned_model
    assert accuracy(local.client, job.fine_tuned_model) > accuracy(local.client, "tiny-caps")
    checkpoints = local.client.fine_tuning.jobs.checkpoints.list(job.id).data
    answer = local.client.chat.completions.create(
        model=checkpoints[0].fine_tuned_model_checkpoint,
        messages=[{"role": "user", "content": "france capital city?"}],
        max_tokens=4,
        stream=True,
    )
    assert "".join(chunk.choices[0].delta.content or "" for chunk in answer if chunk.choices)


def test_a_job_on_all_weights_makes_models_that_answer_better(local: Local) -> None:
    job = finished(local.client, create_job(local.client, finetuning_type="full").id)

    assert job.status == "succeeded" and job.fine_tuned_model, job.error
    assert accuracy(local.client, job.fine_tuned_model) > accuracy(local.client, "tiny-caps")
    for checkpoint in local.client.fine_tuning.jobs.checkpoints.list(job.id).data:
        answer = local.client.chat.completions.create(
            model=checkpoint.fine_tuned_model_checkpoint,
            messages=[{"role": "user", "content": "france capital city?"}],
            max_tokens=4,
        )
        assert answer.choices[0].message.content


def test_a_cancelled_job_stays_cancelled(local: Local) -> None:
    job = create_job(local.client, n_epochs=50)
    until(lambda: local.client.fine_tuning.jobs.retrieve(job.id).status == "running")

    local.client.fine_tuning.jobs.cancel(job.id)

    assert finished(local.client, job.id).status == "cancelled"


@pytest.mark.parametrize("base", ["/v1", "/openai/v1"])
def test_errors_of_gateway_and_functions_are_openais(local: Local, base: str) -> None:
    url = local.settings["OPENAI_BASE_URL"].removesuffix("/v1") + base
    stranger = OpenAI(base_url=url, api_key="sk-outcrop-default-wrong", max_retries=0)
    client = local.client.with_options(base_url=url)

    with pytest.raises(openai.AuthenticationError) as unknown_key:
        stranger.models.list()
    with pytest.raises(openai.NotFoundError, match="file-1") as unknown_file:
        client.files.retrieve("file-1")
    with pytest.raises(openai.NotFoundError) as unknown_model:
        client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "x"}])
    with pytest.raises(openai.APIStatusError) as too_large:
        client.files.create(file=("x.jsonl", b"x" * 5_000_000), purpose="fine-tune")

    codes = [error.value.code for error in (unknown_key, unknown_file, unknown_model, too_large)]
    assert codes == ["invalid_api_key", "file_not_found", "model_not_found", "request_too_large"]
    assert all(error.value.request_id for error in (unknown_key, unknown_file, unknown_model, too_large))


def test_a_grader_is_a_function_of_the_emulated_account(local: Local) -> None:
    lambda_ = boto3.client(
        "lambda",
        endpoint_url=local.settings["AWS_ENDPOINT_URL"],
        region_name="us-west-2",
        aws_access_key_id="any",
        aws_secret_access_key="any",
    )

    found = lambda_.get_function(FunctionName=GRADER_ARN)
    answer = lambda_.invoke(FunctionName="capitals", Payload=b"[]")

    assert found["Configuration"].get("FunctionArn") == GRADER_ARN
    assert json.loads(answer["Payload"].read()) == []


def test_after_sigterm_a_restart_finds_everything_again(tmp_path: Path, grader: Path) -> None:
    with running(tmp_path, grader) as first:
        uploaded = first.client.files.create(file=("rows.jsonl", b'{"messages": []}'), purpose="fine-tune")
        first.end(signal.SIGTERM)

    assert first.process.returncode == 0
    assert (tmp_path / "local.json").stat().st_mode & 0o777 == 0o600
    with running(tmp_path, grader) as second:
        assert second.settings["OPENAI_API_KEY"] == first.settings["OPENAI_API_KEY"]
        found = second.client.files.retrieve(uploaded.id)
        assert (found.bytes, found.created_at) == (uploaded.bytes, uploaded.created_at)
        assert second.client.files.content(uploaded.id).content == b'{"messages": []}'


def test_a_running_job_survives_kill_9(tmp_path: Path, grader: Path) -> None:
    with running(tmp_path, grader) as first:
        job = create_job(first.client)
        until(lambda: first.client.fine_tuning.jobs.checkpoints.list(job.id).data)
        time.sleep(1.5)  # a kill may lose the last second
        first.end(signal.SIGKILL)

    with running(tmp_path, grader) as second:
        resumed = finished(second.client, job.id)
        said = [event.message for event in second.client.fine_tuning.jobs.list_events(job.id)]

    assert (resumed.status, resumed.error) == ("succeeded", None)
    assert any("resuming it as attempt 2" in message for message in said)

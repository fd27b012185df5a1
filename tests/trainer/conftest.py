"""Runs of the trainer on the tiny model, in this process or as the process SageMaker would start."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from moto.server import ThreadedMotoServer
from pydantic import TypeAdapter

from outcrop.hyperparameters import TrainingHyperparameters
from outcrop.stores.events import EventStore
from outcrop.stores.jobs import JobStore
from outcrop.training_spec import TrainingSpec
from outcrop.types.event import FineTuningJobEvent
from outcrop.types.fine_tuning_job import FineTuningJob
from outcrop.types.grader import Grader
from outcrop.types.judge import Judges
from tests import factories, tiny_model
from tests.account import BUCKET, TABLE, Account

HYPERPARAMETERS = TrainingHyperparameters(
    max_steps=4,
    prompts_per_step=4,
    num_generations=4,
    learning_rate=2e-3,
    max_completion_length=20,
    temperature=1.0,
    beta=0.0,
    loss_type="dapo",
    importance_sampling_level="token",
    scale_rewards="group",
    epsilon=0.2,
    epsilon_high=0.28,
    num_iterations=1,
    overlong_completions="grade",
    dynamic_sampling_budget=0.0,
    eval_interval=2,
    eval_samples=1,
    save_steps=2,
    early_stopping_patience=None,
    lora_r=8,
    lora_layers=None,
    reasoning_effort="default",
    grader_warning_limit=0.1,
    grader_failure_limit=0.5,
)
STRING_CHECK = factories.STRING_CHECK


@dataclass(frozen=True)
class Run:
    """A job, its container's folder, and the process that trains it."""

    root: Path
    spec: TrainingSpec
    endpoint: str

    @property
    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "OUTCROP_TABLE": TABLE,
            "OUTCROP_BUCKET": BUCKET,
            "OUTCROP_ML_ROOT": str(self.root),
        }

    def start(self) -> "subprocess.Popen[bytes]":
        return subprocess.Popen([sys.executable, "-m", "training_image.train"], env=self.environment)

    def train(self) -> int:
        """The exit status."""
        return self.start().wait(timeout=600)

    def as_attempt(self, attempt: int) -> "Run":
        """The same job, and a container for its next attempt: SageMaker brings the checkpoints to it."""
        spec = self.spec.model_copy(update={"attempt": attempt})
        (self.root / "input/data/config/spec.json").write_text(spec.model_dump_json())
        return replace(self, spec=spec)

    @property
    def failure(self) -> str:
        return (self.root / "output/failure").read_text()

    @property
    def job(self) -> FineTuningJob:
        return JobStore(self.spec.project).get(self.spec.job_id)

    def events(self) -> list[FineTuningJobEvent]:
        """Oldest first."""
        return list(EventStore(self.spec.project, self.spec.job_id).list(limit=100).data)[::-1]

    def messages(self) -> list[str]:
        return [event.message for event in self.events() if event.type == "message"]

    def metrics(self) -> list[dict[str, Any]]:
        return [event.data or {} for event in self.events() if event.type == "metrics"]


MakeRun = Callable[..., Run]


@pytest.fixture(scope="session")
def tiny_caps() -> Path:
    return tiny_model.ensure()


@pytest.fixture
def endpoint(aws: Account) -> Iterator[str]:
    """The emulated account over HTTP, for other processes: the same tables and buckets as in this one."""
    with served_account() as url:
        yield url


@contextmanager
def served_account() -> Iterator[str]:
    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def a_run(tmp_path: Path, endpoint: str, tiny_caps: Path) -> MakeRun:
    return maker(tmp_path, endpoint, tiny_caps)


def maker(folder: Path, endpoint: str, tiny_caps: Path) -> MakeRun:
    """`a_run(grader=..., max_steps=...)`: a queued job and its container's folder; nothing is started."""

    def make(
        *,
        grader: dict[str, Any] = STRING_CHECK,
        response_format: dict[str, Any] | None = None,
        judges: Judges | None = None,
        merge: bool = False,
        seed: int = 7,
        root: Path = folder,
        **hyperparameters: Any,
    ) -> Run:
        job = factories.a_job(status="queued", model="tiny-caps")
        spec = TrainingSpec(
            project=job.organization_id,
            job_id=job.id,
            attempt=1,
            base_model="tiny-caps",
            fine_tuned_model=f"ft:tiny-caps:acme::{job.id[-8:]}",
            grader=TypeAdapter(Grader).validate_python(grader),
            judges=judges or {},
            hyperparameters=HYPERPARAMETERS.model_copy(update=hyperparameters),
            seed=seed,
            response_format=response_format,
            merge=merge,
        )
        channels = root / "input/data"
        for name, rows in (("training", False), ("validation", True)):
            (channels / name).mkdir(parents=True)
            lines = [json.dumps(row) for row in tiny_model.rows(held_out=rows)]
            (channels / name / "file-1").write_text("\n".join(lines))
        (channels / "config").mkdir()
        (channels / "config/spec.json").write_text(spec.model_dump_json())
        (channels / "model").symlink_to(tiny_caps)
        return Run(root, spec, endpoint)

    return make

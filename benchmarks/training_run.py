"""One job of a task folder: trained by the trainer's own process code, then examined on the held-out rows.

The trainer runs under SageMaker's container contract, as it does in a job; around it are an emulated account
in this process and the task's grader as a Lambda function. What a job is asked with goes through the same
rules as at the API. To be run in a process of its own: the trainer makes the environment its own.
"""

import contextlib
import io
import json
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from local.cache import weights
from local.emulated_account import function_arn
from outcrop import base_models, hyperparameters
from outcrop.cli.demo_exam import grader_handler, score
from outcrop.cli.local import DEFAULT_MODEL
from outcrop.settings import settings
from outcrop.stores.events import EventStore
from outcrop.training_spec import TrainingSpec
from outcrop.types.event import FineTuningJobEvent
from outcrop.types.method import ReinforcementHyperparameters
from tests import factories
from tests.account import Account, emulated_account

Row = dict[str, Any]


def rows(file: Path) -> list[Row]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def train(task: Path, seed: int, asked: Row, root: Path) -> list[FineTuningJobEvent]:
    """Train a job on `task`, with `asked` going before its job.json, in the container folder `root`; the
    adapter is in `root/model`. Its events, oldest first; `root/output/failure` says why if it failed."""
    from training_image import train as trainer

    with emulated_account() as account:
        _answer_for_lambda(account, task / "grader.py")
        spec = _spec(task, seed, asked)
        channels = root / "input/data"
        for split in ("training", "validation"):
            (channels / split).mkdir(parents=True)
            (channels / split / "file").write_bytes((task / f"{split}.jsonl").read_bytes())
        (channels / "model").symlink_to(weights(DEFAULT_MODEL))
        (channels / "config").mkdir()
        (channels / "config/spec.json").write_text(spec.model_dump_json())
        os.environ["OUTCROP_ML_ROOT"] = str(root)
        settings.cache_clear()
        with contextlib.suppress(SystemExit):
            trainer.main()
        return [*EventStore(spec.project, spec.job_id).list(limit=1000).data][::-1]


def examine(task: Path, adapter: Path | None, max_tokens: int) -> tuple[list[float], list[str]]:
    """Rewards of the model, with the adapter if there is one, on the held-out rows, and what it says, by its
    likeliest tokens."""
    from peft import PeftModel

    from training_image.generate import stop_tokens
    from training_image.sampling import Sampling
    from training_image.trainer import dataset, policy
    from training_image.trainer.chat_format import ChatFormat
    from training_image.trainer.sampler import LoopSampler

    model, tokenizer = policy.load(weights(DEFAULT_MODEL))
    if adapter:
        model = PeftModel.from_pretrained(model, adapter)
    chat, held_out = ChatFormat(tokenizer), rows(task / "held_out.jsonl")
    asked = [chat.tokens(dataset.question(held_out, index)) for index in range(len(held_out))]
    greedy = Sampling(max_tokens, temperature=0.0)
    made = LoopSampler(stop_tokens(model, tokenizer)).sample(model, asked, [greedy] * len(asked))
    texts = [chat.text(one.token_ids) for one in made]
    return score(grader_handler(task / "grader.py"), held_out, texts), texts


def _spec(task: Path, seed: int, asked: Row) -> TrainingSpec:
    job = factories.a_job(status="queued", model=DEFAULT_MODEL, seed=seed)
    numbers = ReinforcementHyperparameters(**resolved_request(task, asked))
    entry = base_models.offered(DEFAULT_MODEL, [DEFAULT_MODEL])
    grader: Any = {"type": "lambda", "lambda": {"function": function_arn(task.name)}}
    return TrainingSpec.model_validate(
        {
            "project": job.organization_id,
            "job_id": job.id,
            "attempt": 1,
            "base_model": DEFAULT_MODEL,
            "fine_tuned_model": f"ft:{DEFAULT_MODEL}:bench::{job.id[-8:]}",
            "grader": grader,
            "hyperparameters": hyperparameters.resolve(numbers, entry, len(rows(task / "training.jsonl"))),
            "seed": seed,
        }
    )


def resolved_request(task: Path, asked: Row) -> Row:
    return {**json.loads((task / "job.json").read_text()), **asked}


def _answer_for_lambda(account: Account, grader: Path) -> None:
    """The account's one Lambda function is the grader: it answers here, without a process of its own."""
    handler = grader_handler(grader)

    def invoke(params: Row, **_: Any) -> Any:
        answer = json.dumps(handler(json.loads(params["body"]), None)).encode()
        return SimpleNamespace(status_code=200), {"StatusCode": 200, "Payload": io.BytesIO(answer)}

    account.session.events.register("before-call.lambda.Invoke", invoke)

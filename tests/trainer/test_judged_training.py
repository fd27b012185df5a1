"""Whole runs of the trainer whose rewards come from a judge: a model behind a server that may fail."""

import re
import zlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from starlette.responses import JSONResponse, Response

from outcrop import s3_keys
from outcrop.stores.objects import ObjectStore
from outcrop.training_spec import TrainingResult
from tests.graders.judging import SCORE_MODEL, a_verdict, at, says, scripted_judge
from tests.inference.scripted_server import ScriptedServer
from tests.trainer.conftest import MakeRun, Run

pytestmark = pytest.mark.slow

_QUESTION = re.compile(r"Wanted: (?P<wanted>.*)\nGiven: (?P<given>.*)", re.DOTALL)


def judging(server: ScriptedServer, unless: Callable[[str], Response | None]) -> Callable[[], Response]:
    """A judge that likes answers which begin with the reference; `unless` may answer for it."""

    def answer() -> Response:
        asked = _QUESTION.search(server.request["messages"][-1]["content"])
        assert asked
        other = unless(asked["given"])
        if other is not None:
            return other
        return says(a_verdict(float(asked["given"].strip().startswith(asked["wanted"]))))

    return answer


def unlucky(given: str) -> Response | None:
    """On a tenth of the answers, always the same ones, the judge fails in one of four ways."""
    place = zlib.crc32(given.encode())
    if place % 10:
        return None
    match place // 10 % 4:
        case 0:
            return says(None, refusal="I would rather not grade this.")
        case 1:
            return says("It is a fine answer!")
        case 2:
            return says(a_verdict(1.0)[:-5], "length")
        case _:
            return JSONResponse({"error": {"message": "bad request"}}, 400)


STEPS = 20


def trained(a_run: MakeRun, root: Path, unless: Callable[[str], Response | None], steps: int = STEPS) -> Run:
    with scripted_judge() as (server, url):
        server.replies = [judging(server, unless)]
        run = a_run(
            grader=SCORE_MODEL,
            judges=at(url),
            root=root,
            max_steps=steps,
            prompts_per_step=8,
            num_generations=8,
            eval_interval=steps // 2,
            save_steps=steps // 2,
            lora_r=16,
        )
        assert run.train() == 0
    return run


def rollouts(run: Run) -> list[dict[str, Any]]:
    steps = range(1, run.spec.hyperparameters.max_steps + 1)
    keys = [s3_keys.rollouts(run.spec.project, run.spec.job_id, step) for step in steps]
    return [orjson.loads(line) for key in keys for line in ObjectStore().lines(key)]


def result(run: Run) -> TrainingResult:
    key = s3_keys.result(run.spec.project, run.spec.job_id, run.spec.attempt)
    return TrainingResult.model_validate_json(ObjectStore().get(key))


def test_a_judge_teaches_and_one_that_fails_on_a_tenth_teaches_too(a_run: MakeRun, tmp_path: Path) -> None:
    sound = trained(a_run, tmp_path / "sound", lambda given: None)
    faulty = trained(a_run, tmp_path / "faulty", unlucky)

    for run in (sound, faulty):
        measured = result(run).metrics
        assert measured["valid_reward_tuned"] >= measured["valid_reward_base"] + 0.15
    assert {line["error"] for line in rollouts(sound)} == {None}
    lost = Counter(line["error"] for line in rollouts(faulty))
    assert lost.keys() - {None} >= {"model_grader_refusal_error", "model_grader_parse_error"}
    assert 0.02 < 1 - lost[None] / lost.total() < 0.25
    assert all(line["reward"] is None for line in rollouts(faulty) if line["error"])


def test_what_the_judge_said_and_cost_is_kept(a_run: MakeRun, tmp_path: Path) -> None:
    run = trained(a_run, tmp_path / "run", lambda given: None, steps=2)

    for line in rollouts(run):
        assert line["tokens"]["the-model"]["prompt_tokens"] > 0
        assert "The sum" in line["explanation"]
    for metrics in run.metrics():
        used = metrics["model_graders_token_usage"]["the-model"]
        assert used["train_prompt_tokens"] > 0 and used["train_completion_tokens"] > 0
        assert ("eval_prompt_tokens" in used) == ("full_valid_mean_reward" in metrics)

"""The local inference server as a judge: its grammars hold models to the form of a verdict."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from local.cache import weights
from local.inference_server import serve
from outcrop.types.judge import Judges
from tests.graders.judging import LABEL_MODEL, MODEL_AS_JUDGE, SCORE_MODEL, a_verdict, at, judged
from tests.inference.conftest import running
from tests.inference.scripted_model import ScriptedModels

SMOLLM2 = "smollm2-135m-instruct"


@pytest.fixture
def judges(local_server_url: str, scripted_models: ScriptedModels) -> Iterator[Judges]:
    """`tiny-qwen`, which says what it is told to if its grammar lets it."""
    yield at(local_server_url, model="tiny-qwen")
    scripted_models.script = None


@pytest.mark.parametrize(
    ("grader", "result", "reward"),
    [(SCORE_MODEL, 0.75, 0.75), (LABEL_MODEL, "fair", 1.0), (MODEL_AS_JUDGE | {"model": "a-judge"}, 0, 0.0)],
)
def test_a_verdict_in_its_form_is_what_the_grammar_lets_through(
    judges: Judges, scripted_models: ScriptedModels, grader: dict[str, Any], result: Any, reward: float
) -> None:
    scripted_models.script = a_verdict(result)

    [graded] = judged(grader, judges)

    assert (graded.reward, graded.explanation) == (reward, "The sum: is right")
    assert graded.tokens["tiny-qwen"].completion_tokens > 0


def test_reasons_come_before_the_verdict(judges: Judges, scripted_models: ScriptedModels) -> None:
    scripted_models.script = '{"result":1,"steps":[]}'

    [graded] = judged(SCORE_MODEL, judges)

    assert (graded.reward, graded.error) == (None, "model_grader_server_error")


@pytest.mark.slow
@pytest.mark.skipif(not weights(SMOLLM2).is_dir(), reason="its weights are converted by `outcrop local`")
def test_a_small_real_model_judges(tmp_path: Path) -> None:
    question = "Is Paris the capital of {{sample.output_text}}?"
    grader = LABEL_MODEL | {"input": [{"role": "user", "content": question}], "labels": ["good", "bad"]}
    grader["passing_labels"] = ["good"]

    with running(serve(weights(SMOLLM2).parent, 0, tmp_path)) as url:
        rewards = judged(grader, at(f"{url}/v1", model=SMOLLM2), "France", "Peru", timeout_seconds=120)

    for reward in rewards:
        assert reward.reward in (0.0, 1.0) or reward.error == "model_grader_parse_error"
        assert reward.tokens[SMOLLM2].completion_tokens > 0

"""What a run refuses before it costs anything: prompts that leave no room, another run's checkpoint."""

from pathlib import Path
from typing import Any

import pytest

from outcrop.training_spec import TrainingSpec
from tests import factories, tiny_model
from tests.trainer.conftest import HYPERPARAMETERS
from training_image.trainer import preflight
from training_image.trainer.chat_format import ChatFormat
from training_image.trainer.errors import TrainingError


@pytest.fixture(scope="module")
def chat() -> ChatFormat:
    from transformers import AutoTokenizer

    return ChatFormat(AutoTokenizer.from_pretrained(tiny_model.ensure()))


def a_row(characters: int) -> dict[str, Any]:
    """A prompt of so many tokens: a token is a character, and the template adds five."""
    return {"messages": [{"role": "user", "content": "x" * (characters - 5)}]}


def a_spec(**changed: Any) -> TrainingSpec:
    spec: dict[str, Any] = {
        "project": "acme",
        "job_id": "ftjob-1",
        "attempt": 1,
        "base_model": "tiny-caps",
        "fine_tuned_model": "ft:tiny-caps:acme::1",
        "grader": factories.STRING_CHECK,
        "hyperparameters": HYPERPARAMETERS,
        "seed": 7,
    }
    return TrainingSpec.model_validate(spec | changed)


def test_prompts_that_fit_pass(chat: ChatFormat) -> None:
    assert len(chat.tokens({"prompt": a_row(50)["messages"], "tools": []})) == 50

    preflight.check_lengths({"training": [a_row(50)]}, chat, context=70, completion=20)


def test_rows_too_long_for_the_model_are_named(chat: ChatFormat) -> None:
    rows = [a_row(50), *[a_row(51)] * 5]

    with pytest.raises(TrainingError) as error:
        preflight.check_lengths({"training": [], "validation": rows}, chat, context=70, completion=20)

    assert str(error.value) == (
        "The validation file has prompts that are too long: row 2 (51 tokens), row 3 (51 tokens), row 4 "
        "(51 tokens) and 2 others. The model reads 70 tokens, of which max_completion_length takes 20: "
        "shorten them to 50, or lower it."
    )


def test_the_next_attempt_of_a_job_may_resume(tmp_path: Path) -> None:
    folder = tmp_path / "step-000004"
    folder.mkdir()
    preflight.describe(a_spec(), folder)

    preflight.check_checkpoint(folder, a_spec(attempt=2))


def test_a_checkpoint_of_another_run_is_refused_with_what_differs(tmp_path: Path) -> None:
    folder = tmp_path / "step-000004"
    folder.mkdir()
    preflight.describe(a_spec(base_model="smollm2-135m-instruct"), folder)
    now = a_spec(hyperparameters=HYPERPARAMETERS.model_copy(update={"learning_rate": 1.0}))

    with pytest.raises(TrainingError) as error:
        preflight.check_checkpoint(folder, now)

    assert str(error.value) == (
        "The checkpoint of step 4 belongs to another run: learning_rate was 0.002 and is 1.0; base_model was "
        '"smollm2-135m-instruct" and is "tiny-caps". Create a new job; this one\'s checkpoints can still be '
        "used as models."
    )


def test_a_checkpoint_of_an_earlier_release_is_taken(tmp_path: Path) -> None:
    preflight.check_checkpoint(tmp_path, a_spec())

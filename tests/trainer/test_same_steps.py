"""A leaner engine learns what plain TRL learns: on the same completions the same losses and gradients."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from benchmarks import same_steps
from tests import tiny_model
from tests.trainer.conftest import HYPERPARAMETERS


def _score(rows: Sequence[dict[str, Any]], texts: Sequence[str]) -> list[float]:
    return [len(set(text)) / 20 for text in texts]


@pytest.mark.parametrize("lora_layers", [None, 1])
def test_steps_on_the_same_completions_have_the_losses_and_gradients_of_plain_trl(
    tiny_caps: Path, lora_layers: int | None
) -> None:
    numbers = HYPERPARAMETERS.model_copy(update={"max_steps": 3, "lora_layers": lora_layers})
    rows: Any = tiny_model.rows(held_out=False)
    task = same_steps.Task(tiny_caps, rows, _score, numbers)

    ours, completions = same_steps.outcrop(task)
    again, _ = same_steps.outcrop(task, repeat=completions)
    plain = same_steps.plain(task, repeat=completions)

    for steps in (again, plain):
        assert [one.reward for one in steps] == pytest.approx([one.reward for one in ours], abs=1e-6)
        assert [one.loss for one in steps] == pytest.approx([one.loss for one in ours], abs=2e-4)
        assert [one.grad_norm for one in steps] == pytest.approx([one.grad_norm for one in ours], rel=2e-3)

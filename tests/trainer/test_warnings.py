"""What whole runs warn of: one that collapses tells it in words, one that learns is silent."""

from typing import Any

import pytest

from tests.trainer.conftest import STRING_CHECK, MakeRun, Run

pytestmark = pytest.mark.slow


def a_job(a_run: MakeRun, *, steps: int, **arguments: Any) -> Run:
    return a_run(
        max_steps=steps,
        eval_interval=steps // 2,
        save_steps=steps // 2,
        prompts_per_step=8,
        num_generations=8,
        **arguments,
    )


def warnings(run: Run) -> list[str]:
    return [event.message for event in run.events() if event.level == "warn"]


def test_a_policy_that_settles_on_the_answer_that_pays_is_told_of(a_run: MakeRun) -> None:
    """The grader wants one city, whatever was asked for, and the steps are large."""
    grader = {**STRING_CHECK, "reference": "rome", "operation": "like"}
    run = a_job(a_run, steps=24, grader=grader, learning_rate=5e-3)

    assert run.train() == 0

    told = " ".join(warnings(run))
    assert "more than 80% of the groups had equal rewards" in told
    assert "of the validation rows get one and the same answer" in told
    without_gradient = [metrics for metrics in run.metrics() if metrics["frac_reward_zero_std"] == 1.0]
    assert without_gradient and all(metrics["actor_entropy"] > 0 for metrics in without_gradient)


def test_a_run_that_learns_what_it_is_to_learn_is_warned_of_nothing(a_run: MakeRun) -> None:
    run = a_job(a_run, steps=12)

    assert run.train() == 0

    assert run.metrics()[-1]["train_mean_reward"] > run.metrics()[0]["train_mean_reward"]
    assert warnings(run) == []

"""Several processes that train as one: what they sample and learn is what one alone does."""

import os
from pathlib import Path
from typing import Any

import pytest

from tests.trainer.conftest import MakeRun

pytestmark = pytest.mark.slow


class Longest:
    """A completion's reward is its length, in letters."""

    def round(self) -> "Longest":
        return self

    def submit(self, completions: Any) -> None: ...

    def grade(self, completions: Any) -> list[Any]:
        from outcrop.graders.reward import Reward

        return [Reward(len(one.text) / 20, None, None, {}, 0.0) for one in completions]


def _trained(run: Any, size: int, folder: Path) -> tuple[Any, list[dict[str, Any]]]:
    """The adapter after the steps of this many processes, and the log."""
    import torch

    from tests import tiny_model
    from training_image.generate import stop_tokens
    from training_image.sampling import Sampling
    from training_image.trainer import dataset, grpo, policy
    from training_image.trainer.chat_format import ChatFormat
    from training_image.trainer.prompts import PromptQueue
    from training_image.trainer.rewards import Rewards
    from training_image.trainer.rollouts import Rollouts
    from training_image.trainer.sampler import LoopSampler
    from training_image.trainer.team import Team, TeamSampler

    torch.manual_seed(0)
    numbers, rows = run.spec.hyperparameters, tiny_model.rows(held_out=False)
    team = Team(run.spec, run.root, size) if size > 1 else None
    is_full = numbers.learns_all_weights
    model, tokenizer = policy.load(run.root / "input/data/model", learns=is_full)
    chat = ChatFormat(tokenizer)
    own = LoopSampler(stop_tokens(model, tokenizer))
    config = grpo.config(numbers, seed=7, folder=folder)
    config.optim, config.learning_rate = (
        "sgd",
        0.01 if is_full else 0.5,
    )  # AdamW makes much of gradients that are next to nothing
    trainer = grpo.GroupTrainer(
        model=model,
        args=config,
        train_dataset=dataset.placeholders(numbers.max_steps * numbers.prompts_per_step),
        processing_class=tokenizer,
        peft_config=None if is_full else policy.adapter(model, numbers),
        rollouts=Rollouts(
            rows=rows,
            prompts=PromptQueue(len(rows), 7),
            chat=chat,
            sampler=TeamSampler(team, own) if team else own,
            sampling=Sampling(20),
            rewards=Rewards(Longest(), rows, read=chat.read, failure_limit=1.0),
        ),
        save=lambda: None,
        team=team,
    )
    trainer.train()
    if team:
        team.close()
    adapter = {name: one.detach() for name, one in trainer.model.named_parameters() if one.requires_grad}
    return adapter, trainer.state.log_history


@pytest.mark.parametrize("lora_r", [8, 0])
def test_two_processes_learn_what_one_does(
    a_run: MakeRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lora_r: int
) -> None:
    import torch

    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    sizes = {"max_steps": 4, "num_iterations": 2, "prompts_per_step": 3, "num_generations": 4}
    run = a_run(root=tmp_path / "run", lora_r=lora_r, **sizes)
    for name, value in run.environment.items():
        monkeypatch.setitem(os.environ, name, value)

    alone, told_alone = _trained(run, 1, tmp_path / "one")
    both, told_both = _trained(run, 2, tmp_path / "two")

    for name, one in alone.items():
        torch.testing.assert_close(both[name], one, atol=1e-5, rtol=1e-3)
    steps = [line for line in told_alone if "reward" in line]
    assert len(steps) == 4 and any(line["grad_norm"] > 0 for line in steps)
    for line, other in zip(steps, (line for line in told_both if "reward" in line), strict=True):
        for name in ("reward", "loss", "grad_norm", "entropy", "sampling_logp_difference"):
            assert (name in other) == (name in line)
            assert name not in line or other[name] == pytest.approx(line[name], rel=1e-3, abs=1e-5), name


def test_a_process_that_cannot_load_its_model_fails_the_job_in_its_own_words(
    a_run: MakeRun, tmp_path: Path
) -> None:
    from training_image.trainer.errors import TrainingError
    from training_image.trainer.team import Team

    run = a_run(root=tmp_path / "run")
    (run.root / "input/data/model").unlink()

    team = Team(run.spec, run.root, 2)

    with pytest.raises(TrainingError, match="weights are missing"):
        _ = team.exchange
    team.close()

"""TRL's trainer as it is used here, on a real model: what has no reward leaves no trace in the gradient, and
completions are handed to the grader, as they end, in TRL's own words."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import TrainerCallback

from outcrop.graders.reward import GradedCompletion, Reward
from tests import tiny_model, tiny_qwen
from tests.trainer.conftest import HYPERPARAMETERS

pytestmark = pytest.mark.slow

GROUP = 4


class Scripted:
    """The n-th completion of a step gets the n-th reward, whatever it says."""

    def __init__(self, rewards: Sequence[float | None]) -> None:
        self._rewards = rewards
        self.submitted: list[str] = []
        self.graded: list[str] = []

    def round(self) -> "Scripted":
        return self

    def submit(self, completions: Sequence[GradedCompletion]) -> None:
        self.submitted += [one.text for one in completions]

    def grade(self, completions: Sequence[GradedCompletion]) -> list[Reward]:
        self.graded = [one.text for one in completions]
        return [
            Reward(reward, None if reward is not None else "grader_timeout", None, {}, 0.0)
            for reward in self._rewards
        ]


class Gradients(TrainerCallback):
    """Of the step, as it comes to the optimizer, and those that `expected` has at the same weights."""

    def __init__(self, expected: Callable[[], torch.Tensor | None]) -> None:
        self._expected = expected
        self.found: dict[str, torch.Tensor | None] = {}
        self.expected: dict[str, torch.Tensor | None] = {}

    def on_pre_optimizer_step(self, *_: Any, model: Any, **__: Any) -> None:
        trained = {name: one for name, one in model.named_parameters() if one.requires_grad}
        self.found = {name: None if one.grad is None else one.grad.clone() for name, one in trained.items()}
        loss = self._expected()
        if loss is not None:
            self.expected = dict(zip(trained, torch.autograd.grad(loss, list(trained.values())), strict=True))


def a_trainer(folder: Path, out: Path, grader: Scripted) -> Any:
    """For one step of as many groups as there are rewards for."""
    from training_image.generate import stop_tokens
    from training_image.sampling import Sampling
    from training_image.trainer import dataset, grpo, policy
    from training_image.trainer.chat_format import ChatFormat
    from training_image.trainer.prompts import PromptQueue
    from training_image.trainer.rewards import Rewards
    from training_image.trainer.sampler import LoopSampler

    class Recording(grpo.GroupTrainer):
        def _generate_single_turn(self, prompt_ids: Any, *arguments: Any, **more: Any) -> Any:
            completion_ids, logprobs = super()._generate_single_turn(prompt_ids, *arguments, **more)
            self.made = list(zip(prompt_ids, completion_ids, strict=True))
            return completion_ids, logprobs

    numbers = HYPERPARAMETERS.model_copy(
        update={"max_steps": 1, "prompts_per_step": len(grader._rewards) // GROUP, "num_generations": GROUP}
    )
    rows: Any = tiny_model.rows(held_out=False)
    model, tokenizer = policy.load(folder)
    chat = ChatFormat(tokenizer)
    config = grpo.config(numbers, seed=7, folder=out)
    config.max_grad_norm = 0.0  # gradients as they are
    return Recording(
        model=model,
        args=config,
        train_dataset=dataset.placeholders(numbers.prompts_per_step),
        processing_class=tokenizer,
        peft_config=policy.adapter(model, numbers),
        rows=rows,
        prompts=PromptQueue(len(rows), seed=7),
        chat=chat,
        sampler=LoopSampler(stop_tokens(model, tokenizer)),
        sampling=Sampling(20, temperature=1.0),
        rewards=Rewards(grader, rows, read=chat.read, failure_limit=1.0),
        save=lambda: None,
    )


def test_the_gradient_is_that_of_the_step_without_the_completions_that_have_no_reward(
    tiny_caps: Path, tmp_path: Path
) -> None:
    alone = [None, None, 1.0, None]  # nothing to compare it with
    trainer = a_trainer(tiny_caps, tmp_path, Scripted([1.0, None, 0.0, 0.2, *alone]))

    def without_them() -> torch.Tensor:
        """GRPO by its definition, on the three completions that can be compared."""
        rewards = torch.tensor([1.0, 0.0, 0.2])
        advantages = (rewards - rewards.mean()) / (rewards.std() + 1e-4)
        completions = [trainer.made[place] for place in (0, 2, 3)]
        tokens = sum(len(completion) for _, completion in completions)
        weighted = []
        for advantage, (prompt, completion) in zip(advantages, completions, strict=True):
            logits = trainer.model(input_ids=torch.tensor([prompt + completion])).logits[0]
            chosen = torch.log_softmax(logits[len(prompt) - 1 : -1], dim=-1).gather(
                1, torch.tensor(completion)[:, None]
            )
            weighted.append(advantage * chosen.sum())
        return -torch.stack(weighted).sum() / tokens

    gradients = Gradients(without_them)
    trainer.add_callback(gradients)
    trainer.train()

    assert any(one is not None and one.abs().max() > 1e-4 for one in gradients.expected.values())
    for name, expected in gradients.expected.items():
        torch.testing.assert_close(gradients.found[name], expected, rtol=1e-3, atol=1e-6)
    assert trainer.completion_tokens == sum(len(trainer.made[place][1]) for place in (0, 2, 3))


def test_groups_of_one_reward_have_no_gradient_and_leave_the_weights_alone(
    tiny_caps: Path, tmp_path: Path
) -> None:
    trainer = a_trainer(tiny_caps, tmp_path, Scripted([None, None, 1.0, None, 0.0, None, None, None]))
    before = {name: one.detach().clone() for name, one in trainer.model.named_parameters()}
    gradients = Gradients(lambda: None)
    trainer.add_callback(gradients)

    trainer.train()

    assert gradients.found
    assert not any(one is not None and one.any() for one in gradients.found.values())
    assert all(torch.equal(one, before[name]) for name, one in trainer.model.named_parameters())


def test_completions_depend_on_the_runs_seed_and_on_nothing_drawn_before(
    tiny_caps: Path, tmp_path: Path
) -> None:
    first, again = (a_trainer(tiny_caps, tmp_path, Scripted([0.5] * 2 * GROUP)) for _ in range(2))

    first.train()
    torch.manual_seed(99)
    torch.rand(5)
    again.train()

    assert again.made == first.made
    assert len({tuple(completion) for _, completion in first.made}) > 2


@pytest.mark.parametrize("model", ["tiny-caps", "tiny-qwen"])
def test_what_is_submitted_early_is_what_trl_reads_in_the_end(
    tiny_caps: Path, tmp_path: Path, model: str
) -> None:
    folder = tiny_caps
    if model == "tiny-qwen":
        folder = tmp_path / "tiny-qwen"
        tiny_qwen.build(folder)
    grader = Scripted([1.0, 0.0, 0.5, 0.2] * 4)

    a_trainer(folder, tmp_path, grader).train()

    assert len(grader.graded) == 16
    assert sorted(grader.submitted) == sorted(grader.graded)
    assert model == "tiny-qwen" or grader.submitted != grader.graded  # short ones came first

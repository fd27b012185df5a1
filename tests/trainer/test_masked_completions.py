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
    """The n-th completion gets the n-th reward, whatever it says."""

    def __init__(self, rewards: Sequence[float | None]) -> None:
        self.rewards = rewards
        self.submitted: list[str] = []
        self.graded: list[str] = []

    def round(self) -> "Scripted":
        return self

    def submit(self, completions: Sequence[GradedCompletion]) -> None:
        self.submitted += [one.text for one in completions]

    def grade(self, completions: Sequence[GradedCompletion]) -> list[Reward]:
        start = len(self.graded)
        self.graded += [one.text for one in completions]
        return [
            Reward(reward, None if reward is not None else "grader_timeout", None, {}, 0.0)
            for reward in self.rewards[start : len(self.graded)]
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


def a_trainer(folder: Path, out: Path, grader: Scripted, groups: int | None = None, **numbers: Any) -> Any:
    """For steps of so many `groups`, else for one step of as many as there are rewards for."""
    from training_image.generate import stop_tokens
    from training_image.sampling import Sampling
    from training_image.trainer import dataset, grpo, policy
    from training_image.trainer.chat_format import ChatFormat
    from training_image.trainer.groups import ids
    from training_image.trainer.prompts import PromptQueue
    from training_image.trainer.rewards import Rewards
    from training_image.trainer.rollouts import Rollouts
    from training_image.trainer.sampler import LoopSampler

    made: list[tuple[list[int], list[int]]] = []

    class Recording(LoopSampler):
        def sample(self, model: Any, prompts: Any, *arguments: Any, **more: Any) -> Any:
            completions = super().sample(model, prompts, *arguments, **more)
            made.extend(zip(prompts, map(ids, completions), strict=True))
            return completions

    groups = groups or len(grader.rewards) // GROUP
    hyperparameters = HYPERPARAMETERS.model_copy(
        update={"max_steps": 1, "prompts_per_step": groups, "num_generations": GROUP} | numbers
    )
    rows: Any = tiny_model.rows(held_out=False)
    model, tokenizer = policy.load(folder)
    chat = ChatFormat(tokenizer)
    config = grpo.config(hyperparameters, seed=7, folder=out)
    config.max_grad_norm = 0.0  # gradients as they are
    trainer: Any = grpo.GroupTrainer(
        model=model,
        args=config,
        train_dataset=dataset.placeholders(hyperparameters.max_steps * groups),
        processing_class=tokenizer,
        peft_config=policy.adapter(model, hyperparameters),
        rollouts=Rollouts(
            rows=rows,
            prompts=PromptQueue(len(rows), seed=7),
            chat=chat,
            sampler=Recording(stop_tokens(model, tokenizer)),
            sampling=Sampling(hyperparameters.max_completion_length, temperature=1.0),
            rewards=Rewards(grader, rows, read=chat.read, failure_limit=1.0),
            replacements=round(groups * hyperparameters.dynamic_sampling_budget),
        ),
        save=lambda: None,
    )
    trainer.made = made
    return trainer


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


def test_groups_of_equal_rewards_are_replaced_by_fresh_prompts_within_the_budget(
    tiny_caps: Path, tmp_path: Path
) -> None:
    equal, other = [0.0] * GROUP, [1.0, 0.0, 0.0, 0.5]
    grader = Scripted([*equal, *other, *equal, *other, *other, *equal, *other])
    trainer = a_trainer(tiny_caps, tmp_path, grader, groups=4, dynamic_sampling_budget=0.75)
    told: list[dict[str, Any]] = []
    trainer.log = lambda logs, *_: told.append({**logs, **trainer._metrics["train"]})

    trainer.train()

    prompts = [tuple(trainer.made[start][0]) for start in range(0, len(trainer.made), GROUP)]
    assert len(set(prompts)) == 7  # four, and three fresh ones: four may be expected to hold two that differ
    used = [place for place, advantage in enumerate(trainer.advantages) if advantage is not None]
    assert {place // GROUP for place in used} == {1, 3, 4, 6}
    assert trainer.completion_tokens == sum(len(trainer.made[place][1]) for place in used)
    assert len(trainer._rewards.latest) == 7 * GROUP
    assert told[0]["frac_reward_zero_std"] == [pytest.approx(3 / 7)]
    assert told[0]["replaced_groups"] == [3.0]
    assert told[0]["reward"] == [pytest.approx(1.5 * 4 / 28)]


def test_few_groups_of_equal_rewards_are_not_worth_a_round(tiny_caps: Path, tmp_path: Path) -> None:
    grader = Scripted([*[0.0] * GROUP, *[1.0, 0.0, 0.0, 0.5] * 4])

    trainer = a_trainer(tiny_caps, tmp_path, grader, dynamic_sampling_budget=1.0)
    trainer.train()

    assert len(grader.graded) == 5 * GROUP


def test_a_step_that_has_nothing_to_learn_from_changes_nothing(tiny_caps: Path, tmp_path: Path) -> None:
    grader = Scripted([*[1.0, 0.0, 0.0, 0.5] * 2, *[1.0] * 4 * GROUP])
    trainer = a_trainer(tiny_caps, tmp_path, grader, groups=2, max_steps=2, dynamic_sampling_budget=1.0)
    weights: list[list[torch.Tensor]] = []

    class Snapshots(TrainerCallback):
        def on_step_end(self, *_: Any, model: Any, **__: Any) -> None:
            weights.append([one.detach().clone() for one in model.parameters() if one.requires_grad])

    trainer.add_callback(Snapshots())
    trainer.train()

    assert any(one.any() for one in weights[0])
    assert all(torch.equal(one, other) for one, other in zip(*weights, strict=True))
    assert len(grader.graded) == 6 * GROUP


def test_completions_of_a_step_are_learned_from_in_as_many_steps_as_are_asked_for(
    tiny_caps: Path, tmp_path: Path
) -> None:
    grader = Scripted([1.0, 0.0, 0.0, 0.5] * 4)
    trainer = a_trainer(tiny_caps, tmp_path, grader, groups=2, max_steps=4, num_iterations=2)
    firsts: list[bool] = []

    class Steps(TrainerCallback):
        def on_step_end(self, *_: Any, **__: Any) -> None:
            firsts.append(trainer.is_first_update)

    trainer.add_callback(Steps())
    trainer.train()

    assert firsts == [True, False, True, False]
    assert len(trainer.made) == len(grader.graded) == 4 * GROUP

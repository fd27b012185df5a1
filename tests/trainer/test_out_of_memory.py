"""A group that memory does not hold is learned from in two parts, which teach what the whole does."""

import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import TrainerCallback

from outcrop.base_models import BaseModel, find
from outcrop.hyperparameters import resolve
from outcrop.types.method import ReinforcementHyperparameters
from tests.trainer.conftest import MakeRun
from tests.trainer.test_losses import LOSSES
from tests.trainer.test_masked_completions import Scripted, a_trainer
from training_image.trainer import grpo
from training_image.trainer.errors import explain, is_out_of_memory
from training_image.trainer.packing import log_probabilities

pytestmark = pytest.mark.slow

REWARDS = [1.0, None, 0.0, 0.3, 0.5, 0.5, 1.0, 0.0]
"""A group of three, and one of four whose first half teaches nothing."""

STARVED = """
from training_image import train
from training_image.trainer import grpo, sampler

def limited(function, most):
    def call(model, prompts, *arguments, **more):
        if len(prompts) > most:
            raise MemoryError
        return function(model, prompts, *arguments, **more)
    return call

grpo.log_probabilities = limited(grpo.log_probabilities, 2)
sampler.generate = limited(sampler.generate, 30)
train.main()
"""


class Gradients(TrainerCallback):
    """Of each update, as it comes to the optimizer."""

    def __init__(self) -> None:
        self.found: list[list[torch.Tensor]] = []

    def on_pre_optimizer_step(self, *_: Any, model: Any, **__: Any) -> None:
        self.found.append(gradient(model))


def gradient(model: Any) -> list[torch.Tensor]:
    return [
        torch.zeros_like(one) if one.grad is None else one.grad.clone()
        for one in model.parameters()
        if one.requires_grad
    ]


def memory_for(completions: int, monkeypatch: pytest.MonkeyPatch, *, after: int = 0) -> list[int]:
    """The forward pass of more completions fails, but for the first so many. Returns the sizes of all."""
    sizes: list[int] = []

    def limited(model: Any, prompts: Any, learned: Sequence[Any], *arguments: Any) -> Any:
        sizes.append(len(learned))
        if len(learned) > completions and len(sizes) > after:
            raise MemoryError
        return log_probabilities(model, prompts, learned, *arguments)

    monkeypatch.setattr(grpo, "log_probabilities", limited)
    return sizes


def fails_in_its_backward_pass(number: int, model: Any) -> list[int]:
    """The `number`-th one does, with what the last layers have learned added to the gradients. Returns how
    many parameters had a gradient."""
    layer = model.get_base_model().model.layers[0]
    passes: Iterator[int] = iter(range(1, 1000))
    found: list[int] = []

    def fail(_: torch.Tensor) -> None:
        if next(passes) == number:
            found.append(sum(one.grad is not None for one in model.parameters()))
            raise torch.OutOfMemoryError

    def watch(_: Any, __: Any, output: torch.Tensor) -> None:
        if output.requires_grad:
            output.register_hook(fail)

    layer.register_forward_hook(watch)
    return found


@pytest.fixture(scope="module")
def tiny() -> BaseModel:
    found = find("tiny-caps")
    assert found
    return found


@pytest.fixture
def make(tiny_caps: Path, tmp_path: Path, tiny: BaseModel) -> Callable[..., Any]:
    def make(loss_type: str = "dapo", beta: float = 0.05, rewards: Sequence[float | None] = REWARDS) -> Any:
        asked = ReinforcementHyperparameters.model_validate(
            {"loss_type": loss_type, "num_iterations": 2, "beta": beta}
        )
        names = "loss_type importance_sampling_level scale_rewards epsilon epsilon_high beta num_iterations"
        numbers = resolve(asked, tiny, rows=10).model_dump(include={*names.split()})
        trainer = a_trainer(
            tiny_caps, tmp_path, Scripted(rewards), max_completion_length=9, max_steps=2, **numbers
        )
        # AdamW makes much of gradients that are next to nothing.
        trainer.args.optim, trainer.args.learning_rate = "sgd", 0.05
        return trainer

    return make


def trained(trainer: Any) -> tuple[list[list[torch.Tensor]], list[float]]:
    """Gradients and losses of the updates."""
    gradients = Gradients()
    trainer.add_callback(gradients)
    trainer.train()
    return gradients.found, [one["loss"] for one in trainer.state.log_history if "loss" in one]


def assert_the_same(found: Any, expected: Any) -> None:
    assert len(found[0]) == len(expected[0]) == 2
    for update, other in zip(found[0], expected[0], strict=True):
        assert any(one.abs().max() > 1e-4 for one in other)
        for one, its in zip(update, other, strict=True):
            torch.testing.assert_close(one, its, rtol=1e-3, atol=2e-6)
    assert found[1] == pytest.approx(expected[1], rel=1e-3, abs=1e-5)


@pytest.mark.parametrize(("loss_type", "beta"), [*((one, 0.05) for one in LOSSES), ("dapo", 0.0)])
def test_two_halves_teach_what_the_group_does(
    make: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, loss_type: str, beta: float
) -> None:
    expected = trained(make(loss_type, beta))

    small = make(loss_type, beta)
    sizes = memory_for(2, monkeypatch, after=2 if beta else 1)  # fails at the second group of the first step
    assert_the_same(trained(small), expected)

    whole = 3 if beta else 2  # with beta, the model without its adapter is asked first
    assert sizes[: whole - 1] == [3] * (whole - 1) and sizes[whole - 1] == 4
    assert max(sizes[whole:]) == 2
    assert len([one for one in small.state.log_history if "out_of_memory" in one]) == 1


@pytest.mark.parametrize("number", [1, 2, 4])
def test_what_a_backward_pass_left_that_failed_is_not_counted(make: Callable[..., Any], number: int) -> None:
    expected = trained(make())

    small = make()
    with_gradient = fails_in_its_backward_pass(number, small.model)
    assert_the_same(trained(small), expected)

    assert with_gradient and with_gradient[0] > 0


def test_another_process_of_a_team_does_the_same_with_its_share(
    make: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    leader = make()
    leader.model.train()
    leader.current_gradient_accumulation_steps = 2
    share: list[Any] = []
    for _ in range(2):
        share.append(leader._prepare_inputs([]))
        leader._step += 1
    follower = grpo.FollowingTrainer(
        model=leader.model,
        args=leader.args,
        train_dataset=leader.train_dataset,
        processing_class=leader.processing_class,
    )
    loss, _ = follower.compute([dict(one) for one in share])
    expected = gradient(follower.model)
    follower.model.zero_grad()

    memory_for(2, monkeypatch, after=2)
    small_loss, measured = follower.compute([dict(one) for one in share])

    assert measured["out_of_memory"] == [1.0]
    assert small_loss == pytest.approx(loss, rel=1e-3, abs=1e-5)
    for one, other in zip(gradient(follower.model), expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=2e-6)


def test_a_half_that_memory_does_not_hold_either_ends_the_run_and_names_the_settings(
    make: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = make()
    sizes = memory_for(1, monkeypatch)

    with pytest.raises(MemoryError) as caught:
        trainer.train()

    assert sizes == [3, 1, 1, 2]
    assert "Lower batch_size, num_generations (or compute_multiplier) or max_completion_length" in explain(
        caught.value
    )


def test_memory_that_sampling_lacks_is_not_taken_for_learnings(make: Callable[..., Any]) -> None:
    trainer = make()

    def sample(*_: Any, **__: Any) -> Any:
        raise MemoryError

    trainer._sampler.sample = sample

    with pytest.raises(MemoryError):
        trainer.train()

    assert not trainer._in_halves


def test_a_job_says_once_that_it_goes_on_with_less_memory(a_run: MakeRun) -> None:
    run = a_run(max_steps=3, beta=0.05)

    assert subprocess.run([sys.executable, "-c", STARVED], env=run.environment, timeout=600).returncode == 0

    told = [event for event in run.events() if event.message.startswith("The machine ran out of memory")]
    assert [event.level for event in told] == ["warn", "warn"]
    sampling, learning = told
    assert "half as many are sampled at once" in sampling.message
    assert "at step 1: from here on, a prompt's completions are learned from in two parts" in learning.message
    assert len(run.metrics()) == 3


def test_torchs_own_word_for_no_memory_on_a_cpu_is_known() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**50)

    assert is_out_of_memory(caught.value)
    assert not is_out_of_memory(RuntimeError("the shapes differ"))

"""Every loss a job may ask for is TRL's own: the same number and the same gradient as `GRPOTrainer` has for
the same completions, in the first update and in one after the policy has moved on.
"""

from pathlib import Path
from typing import Any

import pytest
import torch
from trl.trainer.grpo_trainer import GRPOTrainer

from outcrop.base_models import BaseModel, find
from outcrop.hyperparameters import resolve
from outcrop.types.method import ReinforcementHyperparameters
from tests.trainer.test_masked_completions import GROUP, Scripted, a_trainer

pytestmark = pytest.mark.slow

REWARDS = [1.0, 0.0, 0.3, 0.3, 0.0, 0.0, 1.0, 0.5]
GROUPS = len(REWARDS) // GROUP
LOSSES = ["dapo", "grpo", "dr_grpo", "bnpo", "cispo", "gspo", "luspo", "sapo", "vespo"]


class Plain(GRPOTrainer):
    """TRL's trainer as it is, given completions and their rewards."""

    given: Any

    def _tokenize_prompts(self, prompts: list[Any]) -> Any:
        return [prompt for prompt, _ in self.given], None, {}

    def _generate_single_turn(self, *_: Any, **__: Any) -> Any:
        completions = [completion for _, completion in self.given]
        return completions, [[0.0] * len(one) for one in completions]

    def _calculate_rewards(self, *_: Any) -> torch.Tensor:
        return torch.tensor(REWARDS)[:, None]

    def groups(self) -> list[dict[str, Any]]:
        batch = self._generate_and_score_completions([{"prompt": ""}] * len(self.given))
        places = [range(start, start + GROUP) for start in range(0, len(REWARDS), GROUP)]
        return [
            {name: value[[*group]] if value.dim() else value for name, value in batch.items()}
            for group in places
        ]


@pytest.fixture(scope="module")
def tiny() -> BaseModel:
    found = find("tiny-caps")
    assert found
    return found


def updated(trainer: Any, groups: list[dict[str, Any]]) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """The loss of a step, and its gradient."""
    trained = [one for one in trainer.model.parameters() if one.requires_grad]
    loss = torch.stack([trainer.compute_loss(trainer.model, group) for group in groups]).sum()
    return loss.detach(), list(torch.autograd.grad(loss, trained))


@pytest.mark.parametrize(
    ("loss_type", "overlong", "lora_layers"),
    [*((one, "grade", None) for one in LOSSES), ("dapo", "mask", None), ("dapo", "grade", 1)],
)
def test_loss_and_gradient_are_trls_own(
    tiny_caps: Path, tmp_path: Path, tiny: BaseModel, loss_type: str, overlong: str, lora_layers: int | None
) -> None:
    asked = ReinforcementHyperparameters.model_validate(
        {"loss_type": loss_type, "num_iterations": 2, "beta": 0.05, "overlong_completions": overlong}
    )
    numbers = resolve(asked, tiny, rows=10).model_dump(
        include={
            *("loss_type", "importance_sampling_level", "scale_rewards", "epsilon", "epsilon_high", "beta"),
            *("num_iterations", "overlong_completions"),
        }
    )
    ours = a_trainer(
        tiny_caps,
        tmp_path,
        Scripted(REWARDS),
        max_completion_length=9,
        max_steps=2,
        lora_layers=lora_layers,
        **numbers,
    )
    ours.model.train()
    ours.current_gradient_accumulation_steps = GROUPS
    found: list[dict[str, Any]] = []
    for _ in range(GROUPS):
        found.append(ours._prepare_inputs([]))
        ours._step += 1
    theirs = Plain(
        model=ours.model,
        args=ours.args,
        train_dataset=ours.train_dataset,
        processing_class=ours.processing_class,
        reward_funcs=[lambda **_: []],
    )
    theirs.given, theirs.current_gradient_accumulation_steps = ours.made, GROUPS
    expected = theirs.groups()

    for _ in ("the first update", "the second"):
        loss, gradient = updated(ours, found)
        trl_loss, trl_gradient = updated(theirs, expected)
        torch.testing.assert_close(loss, trl_loss, rtol=1e-4, atol=1e-5)
        assert any(one.abs().max() > 1e-4 for one in gradient)
        for one, other in zip(gradient, trl_gradient, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-5)
        with torch.no_grad():
            for weight in ours.model.parameters():
                if weight.requires_grad:
                    weight += 0.02 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(1))
    assert (0 < ours.advantages.count(None) < len(REWARDS)) == (overlong == "mask")

"""What a run has seen so far, kept with its checkpoints, and what in it should worry its owner. Pure."""

from dataclasses import asdict, dataclass, field
from statistics import fmean
from typing import Any

from training_image.trainer.failing import Failing


@dataclass
class History:
    trained_tokens: int = 0
    train_rewards: list[float] = field(default_factory=list)
    """Mean reward of each step that had one."""
    entropies: list[float] = field(default_factory=list)
    """Mean entropy of the policy in each step that had a gradient."""
    zero_variance: list[float] = field(default_factory=list)
    """Of each step, the share of groups whose rewards were all equal."""
    evaluations: dict[int, float] = field(default_factory=dict)
    """Validation reward by step; step 0 is the base model."""
    published: list[int] = field(default_factory=list)
    """Steps whose adapter can be served."""
    warned: list[str] = field(default_factory=list)
    failing: Failing = field(default_factory=Failing)
    """The grader, in training."""
    failing_in_evaluation: Failing = field(default_factory=Failing)

    def best_step(self) -> int:
        """Of those published, the one with the best validation reward, the later of two equal ones; else the
        last.
        """
        rated = [step for step in self.published if step in self.evaluations]
        if not rated:
            return self.published[-1]
        return max(rated, key=lambda step: (self.evaluations[step], step))

    def metrics(self) -> dict[str, float]:
        """The run in a few numbers: those of them that were measured."""
        found: dict[str, float] = {}
        if self.train_rewards:
            found |= {
                "train_reward_first": self.train_rewards[0],
                "train_reward_last": self.train_rewards[-1],
            }
        if 0 in self.evaluations:
            found["valid_reward_base"] = self.evaluations[0]
        best = self.best_step()
        if best in self.evaluations:
            found["valid_reward_tuned"] = self.evaluations[best]
        return found

    def new_warnings(self) -> list[str]:
        """Each kind of trouble is told once."""
        troubles = {kind: text for kind, text in _troubles(self).items() if kind not in self.warned}
        self.warned += troubles
        return list(troubles.values())

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> "History":
        evaluations = {int(step): reward for step, reward in stored["evaluations"].items()}
        failing = {
            name: Failing(**stored[name]) for name in ("failing", "failing_in_evaluation") if name in stored
        }
        return cls(**{**stored, **failing, "evaluations": evaluations})


def _troubles(history: History) -> dict[str, str]:
    """What seems wrong now, by kind. Limits: Bedrock's guidance (base reward), Azure's (gap), our own runs
    (collapse).
    """
    found: dict[str, str] = {}
    base = history.evaluations.get(0, history.train_rewards[0] if history.train_rewards else None)
    if base is not None and base < 0.01:
        found["base_near_zero"] = (
            f"The base model's mean reward is {base:.3f}: with no success to reinforce, little can "
            "be learned. Use an easier task, a grader that gives partial credit, or supervised "
            "fine-tuning first."
        )
    if base is not None and base > 0.95:
        found["base_near_one"] = (
            f"The base model's mean reward is {base:.3f} already; fine-tuning may be unnecessary."
        )
    recent = history.zero_variance[-3:]
    if len(recent) == 3 and min(recent) > 0.8:
        found["zero_variance"] = (
            "In the last 3 steps more than 80% of the groups had equal rewards throughout, which "
            "teach nothing. Use more varied prompts, more completions for each, or a grader that tells "
            "answers apart."
        )
    if len(history.entropies) > 1 and history.entropies[-1] < 0.05 * history.entropies[0]:
        found["entropy_collapse"] = (
            "The policy hardly varies its answers any more (its entropy fell below 5% of the first step's). "
            "If the validation reward does not rise with it, lower the learning rate or set beta."
        )
    later = [step for step in history.evaluations if step > 0]
    if later and history.train_rewards:
        train, valid = fmean(history.train_rewards[-3:]), history.evaluations[max(later)]
        if train - valid > 0.10:
            found["gap"] = (
                f"The training reward ({train:.2f}) is more than 0.10 above the validation "
                f"reward ({valid:.2f}): the policy may be learning the training rows, or the grader's gaps, "
                "instead of the task."
            )
    return found

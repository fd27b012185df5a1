"""What a run has seen so far, kept with its checkpoints, and what in it should worry its owner. Pure."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from statistics import fmean
from typing import Any

from training_image.trainer.comparison import exceeds_noise
from training_image.trainer.failing import Failing


@dataclass
class History:
    trained_tokens: int = 0
    train_rewards: list[float] = field(default_factory=list)
    """Mean reward of each step that had one."""
    without_reward: int = 0
    """The latest steps in which no completion got one."""
    entropies: list[float] = field(default_factory=list)
    """Mean entropy of the policy in each step."""
    zero_variance: list[float] = field(default_factory=list)
    """Of each step, the share of groups whose rewards were all equal."""
    lengths: list[float] = field(default_factory=list)
    """Mean tokens of a completion in each step."""
    cut_off: list[float] = field(default_factory=list)
    """Of each step, the share of completions that `max_completion_length` ended."""
    evaluations: dict[int, float] = field(default_factory=dict)
    """Validation reward by step; step 0 is the base model."""
    sampled_evaluations: dict[int, float] = field(default_factory=dict)
    """The same of completions drawn as in training."""
    commonest_answer: dict[int, float] = field(default_factory=dict)
    """By step: the share of validation rows that got one and the same answer, though they ask for others."""
    bar: dict[int, float] = field(default_factory=dict)
    """Of the latest evaluation that gained anything beyond noise: the mean reward of each row."""
    without_gain: int = 0
    """Evaluations since then."""
    published: list[int] = field(default_factory=list)
    """Steps whose adapter can be served."""
    warned: list[str] = field(default_factory=list)
    failing: Failing = field(default_factory=Failing)
    """The grader, in training."""
    failing_in_evaluation: Failing = field(default_factory=Failing)

    def best_step(self) -> int:
        """Of those published, the one with the best validation reward; of equal ones that whose drawn
        completions earn more, then the later; without a validation file the last.
        """
        rated = [step for step in self.published if step in self.evaluations]
        if not rated:
            return self.published[-1]
        drawn = self.sampled_evaluations
        return max(rated, key=lambda step: (self.evaluations[step], drawn.get(step, 0.0), step))

    def note_rows(self, rewards: Mapping[int, float]) -> None:
        """Of an evaluation. Small gains add up: the bar stays where it is until they exceed the noise."""
        if not self.bar or exceeds_noise(self.bar, rewards):
            self.bar, self.without_gain = dict(rewards), 0
        else:
            self.without_gain += 1

    def metrics(self) -> dict[str, float]:
        """The run in a few numbers: those of them that were measured."""
        found: dict[str, float] = {}
        if self.train_rewards:
            found |= {
                "train_reward_first": self.train_rewards[0],
                "train_reward_last": self.train_rewards[-1],
            }
        for name, step in (("base", 0), ("tuned", self.best_step())):
            if step in self.evaluations:
                found[f"valid_reward_{name}"] = self.evaluations[step]
            if step in self.sampled_evaluations:
                found[f"valid_sampled_reward_{name}"] = self.sampled_evaluations[step]
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
        by_step = {
            name: {int(step): value for step, value in stored[name].items()}
            for name in ("evaluations", "sampled_evaluations", "commonest_answer", "bar")
            if name in stored
        }
        failing = {
            name: Failing(**stored[name]) for name in ("failing", "failing_in_evaluation") if name in stored
        }
        return cls(**{**stored, **failing, **by_step})


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
    return found | _troubles_of_form(history) | _troubles_on_held_out_rows(history)


def _troubles_of_form(history: History) -> dict[str, str]:
    """What completions look like, whatever they earn."""
    found: dict[str, str] = {}
    lengths = history.lengths
    if len(lengths) >= 6:
        first, last = fmean(lengths[:3]), fmean(lengths[-3:])
        if last > 2 * first or last < first / 2:
            drift = "longer" if last > first else "shorter"
            found[f"length_{drift}"] = (
                f"Completions have become much {drift}: {first:.0f} tokens in the first three steps, "
                f"{last:.0f} in the last three. Read some rollouts: the grader may pay for being {drift}."
            )
    recent = history.cut_off[-3:]
    if len(recent) == 3 and min(recent) > 0.5:
        found["cut_off"] = (
            f"In the last 3 steps more than half of the completions ({fmean(recent):.0%}) were cut off at "
            "max_completion_length. Raise it, or have the prompt or the grader ask for short answers."
        )
    return found


def _troubles_on_held_out_rows(history: History) -> dict[str, str]:
    found: dict[str, str] = {}
    later = [step for step in history.evaluations if step > 0]
    if not later:
        return found
    latest = max(later)
    same = history.commonest_answer.get(latest, 0.0)
    if same > 0.8 and same > history.commonest_answer.get(0, 0.0):
        found["one_answer"] = (
            f"{same:.0%} of the validation rows get one and the same answer, though they ask for different "
            "ones: the policy has settled on what pays on average. Balance the training rows' answers, or "
            "grade what tells them apart."
        )
    if history.train_rewards:
        train, valid = fmean(history.train_rewards[-3:]), history.evaluations[latest]
        if train - valid > 0.10:
            found["gap"] = (
                f"The training reward ({train:.2f}) is more than 0.10 above the validation "
                f"reward ({valid:.2f}): the policy may be learning the training rows, or the grader's gaps, "
                "instead of the task."
            )
        elif train - valid > 0.05:
            found["small_gap"] = (
                f"The training reward ({train:.2f}) is more than 0.05 above the validation reward "
                f"({valid:.2f}). If the gap grows, the policy is learning the training rows, not the task."
            )
    return found

"""The completions of one prompt, compared with each other: TRL's advantages, and what is learned from."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

import torch
from torch import Tensor

from training_image.generate import Generated

_EPSILON = 1e-4  # TRL's, beside the standard deviation


@dataclass(frozen=True)
class Group:
    row: int
    """Of the file."""
    prompt: list[int]
    completions: list[Generated]
    rewards: list[float | None]

    @property
    def graded(self) -> list[int]:
        """Places of the completions that have a reward, if there are two to compare."""
        places = [place for place, reward in enumerate(self.rewards) if reward is not None]
        return places if len(places) > 1 else []

    @property
    def differs(self) -> bool:
        """Whether there is anything to learn: one completion got another reward than others."""
        return len({self.rewards[place] for place in self.graded}) > 1

    def advantages(self, *, scaled: bool, without_cut_off: bool) -> dict[int, float]:
        """By the place of each completion that is learned from; `scaled`: by the rewards' standard deviation.

        What has no reward is left out altogether: TRL has it at advantage 0 count in the step's number of
        tokens, which makes the others weigh less, and in the KL term. So is what was cut off, if it is not
        wanted: its reward counts among the others'.
        """
        rewards = {place: self.rewards[place] or 0.0 for place in self.graded}
        if not rewards:
            return {}
        mean = fmean(rewards.values())
        scale = stdev(rewards.values()) + _EPSILON if scaled else 1.0
        return {
            place: (reward - mean) / scale
            for place, reward in rewards.items()
            if not (without_cut_off and self.is_cut_off(place))
        }

    def is_cut_off(self, place: int) -> bool:
        return self.completions[place].finish_reason == "length"

    def inputs(self, advantages: dict[int, float], padding: int, device: torch.device) -> dict[str, Tensor]:
        """What TRL's loss reads of the completions that have `advantages`, but for the step's number of
        tokens."""
        chosen = [self.completions[place] for place in advantages]
        tokens = [ids(one) for one in chosen]
        prompt = torch.tensor([self.prompt] * len(chosen), dtype=torch.long, device=device)
        return {
            "prompt_ids": prompt,
            "prompt_mask": torch.ones_like(prompt),
            "completion_ids": _padded(tokens, padding, torch.long, device),
            "completion_mask": _padded([[1] * len(one) for one in tokens], 0, torch.long, device),
            "sampling_per_token_logps": _padded([logprobs(one) for one in chosen], 0.0, torch.float, device),
            "advantages": torch.tensor(list(advantages.values()), dtype=torch.float, device=device),
        }


def figures(sampled: Sequence[Group], kept: int) -> dict[str, float]:
    """Of all groups that a step `sampled`, whether they are among the `kept` to learn from or not; in TRL's
    names where it has them. Without any reward there is no mean of them. `sampled_entropy` is what the drawn
    tokens say of it, where the sampler tells: TRL measures the entropy where there is a gradient, and a
    policy that has collapsed has none.
    """
    rewards = [reward for group in sampled for reward in group.rewards if reward is not None]
    completions = [one for group in sampled for one in group.completions]
    drawn = [one for completion in completions for one in logprobs(completion) if not math.isnan(one)]
    equal = sum(bool(group.graded) and not group.differs for group in sampled)
    return {
        **({"reward": fmean(rewards)} if rewards else {}),
        **({"reward_std": stdev(rewards)} if len(rewards) > 1 else {}),
        "frac_reward_zero_std": equal / len(sampled),
        "replaced_groups": float(len(sampled) - kept),
        "completions/mean_length": fmean(len(ids(one)) for one in completions),
        "completions/clipped_ratio": fmean(one.finish_reason == "length" for one in completions),
        **({"sampled_entropy": -fmean(drawn)} if drawn else {}),
    }


def halves(inputs: dict[str, Tensor], loss_type: str) -> list[tuple[float, dict[str, Tensor]]]:
    """What TRL's loss reads of a group's first completions and of its last ones, and what the loss of each
    weighs: weighed, they add up to the group's.
    """
    rows = len(inputs["advantages"])
    found: list[tuple[float, dict[str, Tensor]]] = []
    for part in (slice(0, rows // 2), slice(rows // 2, rows)):
        half = {name: value[part] if value.dim() else value for name, value in inputs.items()}
        match loss_type:
            case "dapo" | "cispo" | "vespo":  # over the step's tokens
                weight = 1.0
            case "bnpo":  # over the group's tokens
                weight = (half["completion_mask"].sum() / inputs["completion_mask"].sum()).item()
            case _:  # a mean of completions
                weight = len(half["advantages"]) / rows
        found.append((weight, half))
    return found


def ids(completion: Generated) -> list[int]:
    """Its tokens, and the stop token that ended it."""
    return completion.token_ids + ([completion.stop[0]] if completion.stop else [])


def logprobs(completion: Generated) -> list[float]:
    """Of these tokens, as the sampler drew them."""
    return completion.logprobs + ([completion.stop[1]] if completion.stop else [])


def _padded(
    rows: Sequence[Sequence[float]], padding: float, dtype: torch.dtype, device: torch.device
) -> Tensor:
    width = max(map(len, rows), default=0)
    return torch.tensor(
        [[*row, *[padding] * (width - len(row))] for row in rows], dtype=dtype, device=device
    ).reshape(len(rows), width)

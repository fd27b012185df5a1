"""From what was measured to what is reported: rewards, failures, probes that pay, cost of a run. Pure."""

import math
import statistics
from collections.abc import Mapping, Sequence

from outcrop.base_models import BaseModel
from outcrop.cli.grader_figures import (
    Bin,
    Failures,
    Grading,
    Latency,
    ProbeReport,
    Report,
    Rewards,
    RunCost,
    Sampling,
    Verdict,
)
from outcrop.cli.grader_probes import PROBES, Probe
from outcrop.cli.grader_trial import Completion, Grade, Trial
from outcrop.graders.reward import TokenUsage, total
from outcrop.hyperparameters import resolve
from outcrop.types.method import ReinforcementHyperparameters

MARGIN = 0.05
"""What a probe may earn above the mean of the model's completions, as a share of the top reward."""
_FULL = 0.9
"""Share of the top reward that a wrong answer must not earn, however well the model does."""
_FOR_NOTHING = 0.2
"""Share of the top reward that is worth a word where a text that is no answer earns it."""
TRAINING_CONCURRENCY = 64
_BINS = 10


def report(trial: Trial, model: BaseModel | None, prices: Mapping[str, tuple[float, float]]) -> Report:
    rewards = _rewards(trial)
    reference_mean = _mean(_values(trial.references))
    probes = [_probe(probe, trial.probes.get(probe.name, []), rewards, reference_mean) for probe in PROBES]
    answered = [one for one in trial.completions if one.text is not None]
    per_request = {(one.row, one.seconds) for one in answered}  # completions of one request share its time
    sampling = Sampling(
        completions=len(answered),
        cut_off=sum(one.is_cut_off for one in answered),
        mean_tokens=_mean([one.tokens for one in answered]) or 0.0,
        latency_seconds=_latency([seconds for _, seconds in per_request]),
        failures=_failures(trial.completions),
    )
    grading = Grading(
        failed=sum(grade.reward is None for grade in trial.grades),
        latency_seconds=_latency([grade.seconds for grade in trial.grades]),
        failures=_failures(trial.grades),
    )
    cost = _cost(trial, sampling, model, prices) if model and trial.grades else None
    return Report(rewards, sampling, grading, reference_mean, probes, cost)


def _rewards(trial: Trial) -> Rewards | None:
    values = _values(trial.grades)
    if not values:
        return None
    anywhere = [
        *values,
        *_values(trial.references),
        *(v for one in trial.probes.values() for v in _values(one)),
    ]
    top = max(1.0, *anywhere)
    groups = [group for group in _by_row(trial.grades) if len(group) > 1]
    return Rewards(
        graded=len(values),
        mean=min(max(statistics.fmean(values), min(values)), max(values)),  # rounding may lead out of them
        lowest=min(values),
        highest=max(values),
        top=top,
        share_of_zero=sum(value <= 0 for value in values) / len(values),
        share_of_top=sum(value >= top - 1e-9 for value in values) / len(values),
        histogram=histogram(values, top),
        groups=len(groups),
        groups_without_variance=sum(max(group) - min(group) < 1e-9 for group in groups),
    )


def histogram(values: Sequence[float], top: float) -> list[Bin]:
    """Ten equal parts from 0 (or the lowest reward, if that is less) to the top."""
    start = min(0.0, *values)
    width = (top - start) / _BINS
    counts = [0] * _BINS
    for value in values:
        counts[min(_BINS - 1, int((value - start) / width + 1e-9))] += 1
    return [Bin(start + i * width, start + (i + 1) * width, count) for i, count in enumerate(counts)]


def _probe(
    probe: Probe, grades: Sequence[Grade], rewards: Rewards | None, reference_mean: float | None
) -> ProbeReport:
    values = _values(grades)
    mean = _mean(values)
    verdict = _verdict(probe, mean, bool(grades), rewards, reference_mean)
    pays = verdict in ("pays", "pays in part")
    example = max(
        (one for one in grades if one.reward is not None), key=lambda one: one.reward or 0.0, default=None
    )
    return ProbeReport(
        name=probe.name,
        verdict=verdict,
        mean=mean,
        graded=len(values),
        failed=len(grades) - len(values),
        example=example if pays else None,
        failures=_failures(grades),
        remedy=probe.remedy,
    )


def _verdict(
    probe: Probe, mean: float | None, was_tried: bool, rewards: Rewards | None, reference_mean: float | None
) -> Verdict:
    """A probe pays if it earns more than the model's own completions by more than the margin; or if it earns
    as much as they do and should not: nothing if it is no answer, full marks if it is a wrong one.

    A grader may well pay part of the reward for an answer's form, and then a wrong answer earns more than a
    model that has yet to learn the form. That is no cheat while it stays below half of what right answers
    earn, where these are known; neither is a share for nothing that the model earns more than.
    """
    if mean is None:
        return "cannot be graded" if was_tried else "no such text"
    top = rewards.top if rewards else 1.0
    base = rewards.mean if rewards else 0.0
    margin = MARGIN * top
    if mean > base + margin + 1e-9:
        partial = probe.is_answer and reference_mean is not None and mean < reference_mean / 2
        return "pays in part" if partial else "pays"
    as_much = mean > margin and mean >= base - margin
    if as_much and (not probe.is_answer or mean >= _FULL * top):
        return "pays"
    return "pays in part" if not probe.is_answer and mean >= _FOR_NOTHING * top else "earns nothing"


def _cost(
    trial: Trial, sampling: Sampling, model: BaseModel, prices: Mapping[str, tuple[float, float]]
) -> RunCost:
    numbers = resolve(ReinforcementHyperparameters(), model, trial.rows_in_file)
    completions = numbers.max_steps * numbers.prompts_per_step * numbers.num_generations
    scale = completions / len(trial.grades)
    judged = {
        judge: TokenUsage(
            round(used.prompt_tokens * scale),
            round(used.completion_tokens * scale),
            round(used.cached_tokens * scale),
        )
        for judge, used in total(grade.tokens for grade in trial.grades).items()
    }
    seconds = statistics.fmean(grade.seconds for grade in trial.grades)
    return RunCost(
        steps=numbers.max_steps,
        completions=completions,
        completion_tokens=round(completions * sampling.mean_tokens),
        grader_seconds=completions * seconds / TRAINING_CONCURRENCY,
        judge_tokens=judged,
        dollars={judge: _dollars(used, *prices[judge]) for judge, used in judged.items() if judge in prices},
    )


def _dollars(used: TokenUsage, per_million_read: float, per_million_written: float) -> float:
    return (used.prompt_tokens * per_million_read + used.completion_tokens * per_million_written) / 1e6


def _failures(tried: Sequence[Grade] | Sequence[Completion]) -> list[Failures]:
    """By kind, the most frequent first."""
    first: dict[str, str] = {}
    counts: dict[str, int] = {}
    for one in tried:
        if one.error is not None:
            first.setdefault(one.error, one.message or "")
            counts[one.error] = counts.get(one.error, 0) + 1
    return [
        Failures(kind, counts[kind], first[kind]) for kind in sorted(counts, key=lambda kind: -counts[kind])
    ]


def _latency(seconds: Sequence[float]) -> Latency | None:
    """The 95th percentile is the smallest time that 95 % of all do not exceed."""
    if not seconds:
        return None
    ordered = sorted(seconds)
    return Latency(statistics.median(ordered), ordered[math.ceil(0.95 * len(ordered)) - 1])


def _by_row(grades: Sequence[Grade]) -> list[list[float]]:
    groups: dict[int, list[float]] = {}
    for grade in grades:
        if grade.reward is not None:
            groups.setdefault(grade.row, []).append(grade.reward)
    return list(groups.values())


def _values(grades: Sequence[Grade]) -> list[float]:
    return [grade.reward for grade in grades if grade.reward is not None]


def _mean(values: Sequence[float]) -> float | None:
    return statistics.fmean(values) if values else None

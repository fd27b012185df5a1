"""What the figures of a trial mean, in words: rewards, groups, probes, cost. Pure."""

from outcrop.cli.grader_figures import ProbeReport, Report, Rewards
from outcrop.cli.grader_report import TRAINING_CONCURRENCY

_ALMOST_ALL = 0.95
_MANY_GROUPS = 0.8
_SLOW_SECONDS = 5.0


def findings(report: Report) -> list[str]:
    """What a person should know before paying for a GPU, the most important first."""
    found: list[str] = []
    if report.grading.failed:
        found.append(_failures(report))
    if report.rewards:
        found.append(_rewards(report.rewards))
        if report.rewards.groups:
            found.append(_groups(report.rewards))
    found += [_probe(probe, report) for probe in report.probes if probe.verdict in ("pays", "pays in part")]
    found += _reference(report)
    cut_off, completions = report.sampling.cut_off, report.sampling.completions
    if cut_off > completions / 2:
        found.append(
            f"{cut_off} of {completions} completions were cut off at the limit of tokens: give them room "
            "(max_completion_length, here --max-tokens), or ask for shorter answers."
        )
    slow = report.grading.latency_seconds
    if slow and slow.p95 > _SLOW_SECONDS:
        found.append(f"A call of the grader takes up to {duration(slow.p95)} (p95): aim for a few seconds.")
    return found


def _failures(report: Report) -> str:
    tried = report.grading.failed + (report.rewards.graded if report.rewards else 0)
    share = f"The grader failed on {report.grading.failed} of {tried} completions"
    if report.mostly_fails:
        return f"{share}: a training job fails when more than half of a step cannot be graded."
    return f"{share}. A failure is no reward: training leaves such a completion out."


def _rewards(rewards: Rewards) -> str:
    """The rule of Bedrock's guide: with rewards at 0 % throughout there is nothing to reinforce, above 95 %
    little to gain."""
    mean = f"The mean reward is {rewards.mean:.3f}, {percent(rewards.mean / rewards.top)} of {rewards.top:g}"
    if rewards.highest <= 0:
        return (
            f"{mean}, and none of the {rewards.graded} completions earned more than 0: nothing to "
            "reinforce. Fine-tune with supervision (SFT) first, or make the reward denser: pay for parts of "
            "a right answer."
        )
    if rewards.mean >= _ALMOST_ALL * rewards.top:
        return (
            f"{mean}: above 95 % reinforcement may be unnecessary. Try harder rows, or a grader that "
            "asks for more."
        )
    if rewards.lowest == rewards.highest:
        return f"{mean}, the same for all {rewards.graded} completions: there is nothing to compare."
    return (
        f"{mean}: there is room to learn. (At 0 % throughout, supervised fine-tuning or a denser reward "
        "would come first; above 95 %, reinforcement may be unnecessary.)"
    )


def _groups(rewards: Rewards) -> str:
    equal, groups = rewards.groups_without_variance, rewards.groups
    share = percent(equal / groups)
    counted = f"In {equal} of {groups} groups ({share}) all rewards are equal, which teaches nothing"
    if equal > _MANY_GROUPS * groups:
        return f"{counted}: the prompts are too easy or too hard, or the reward is too coarse."
    return f"{counted}."


def _probe(probe: ProbeReport, report: Report) -> str:
    assert probe.mean is not None, "a probe that pays has a mean"
    base = f"{report.rewards.mean:.3f} for the model's completions" if report.rewards else "no other reward"
    earns = f'The probe "{probe.name}" earns {probe.mean:.3f} on average, against {base}'
    if probe.verdict == "pays in part":
        return (
            f"{earns} and {report.reference_mean:.3f} for right answers: reward for form alone. Fine if it "
            "is meant to lead to right answers, but a policy may stop there."
        )
    return f"{earns}. {probe.remedy}"


def _reference(report: Report) -> list[str]:
    if report.reference_mean is None or report.rewards is None:
        return []
    if report.reference_mean >= report.rewards.top / 2:
        return []
    earned = f"{report.reference_mean:.3f} of {report.rewards.top:g}"
    return [
        f"The rows' own reference answers earn {earned}: if they are right as they stand, the grader refuses "
        "right answers."
    ]


def cost(report: Report) -> list[str]:
    """What a job with the default hyperparameters would spend on the file."""
    if report.cost is None:
        return []
    run = report.cost
    lines = [
        f"{run.completions:,} completions in {run.steps:,} steps, about {run.completion_tokens:,} tokens; "
        "each is graded once",
        f"{duration(run.grader_seconds)} of grading, at {TRAINING_CONCURRENCY} calls at a time",
    ]
    for judge, used in run.judge_tokens.items():
        priced = f", ${run.dollars[judge]:,.2f}" if judge in run.dollars else ""
        tokens = f"{used.prompt_tokens:,} tokens read and {used.completion_tokens:,} written"
        lines.append(f"judge {judge}: about {tokens}{priced}")
    return lines


def percent(share: float) -> str:
    return f"{share:.0%}" if share in (0, 1) or 0.01 <= share <= 0.99 else f"{share:.1%}"


def duration(seconds: float) -> str:
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms" if seconds >= 0.001 else "less than 1 ms"
    if seconds < 120:
        return f"{seconds:.1f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"

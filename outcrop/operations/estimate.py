"""What a job will cost, before it starts. Pure: rows and settings in, a range of dollars out.

The length of completions is what nobody knows beforehand, so everything is worked out for short ones and for
the longest allowed. Graders work while others are being sampled, so they cost money but no time.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import ceil

from outcrop import hyperparameters, prices, throughput
from outcrop.base_models import BaseModel
from outcrop.hyperparameters import TrainingHyperparameters
from outcrop.operations.machines import instance_count, volume_gb
from outcrop.types.grader import CustomCodeGrader, Grader, LambdaGrader, MultiGrader, PythonGrader
from outcrop.types.judge_grader import LabelModelGrader, ModelAsJudgeGrader, ScoreModelGrader
from outcrop.types.method import ReinforcementHyperparameters

SHORT = 0.25
"""Of the longest completion: how long short ones are taken to be."""
START_HOURS = 0.25
"""For the machine to come up, pull the image and load the weights."""
GRADER_SECONDS = 0.2
"""That a call of a function is taken to last."""
_GRADER_GB = {"lambda": 1.0, "python": 2.9375}
JUDGE_TOKENS = (500, 200)
"""Of a judge's instructions, and of its answer."""

Judged = ScoreModelGrader | LabelModelGrader | ModelAsJudgeGrader
Range = tuple[float, float]


@dataclass(frozen=True)
class Machine:
    instance_type: str
    usd_per_hour: float | None
    hours: Range | None
    """None: nobody knows how fast it is."""
    usd: Range | None


@dataclass(frozen=True)
class Grading:
    """One grader, or a part of a `multi`."""

    name: str
    kind: str
    calls: int
    """At the most."""
    usd: Range | None
    """None: the judge's price is not known."""
    judge: str | None = None
    judge_tokens: tuple[int, int] | None = None
    """Prompt and completion tokens, at the most."""


@dataclass(frozen=True)
class Estimate:
    numbers: TrainingHyperparameters
    trained_completions: int
    fresh_completions: int
    """At the most: sampled in place of groups whose rewards are all equal, which are not learned from."""
    evaluated_completions: int
    completion_length: Range
    completion_tokens: Range
    learned_tokens: Range
    machines: Sequence[Machine]
    graders: Sequence[Grading]
    other_usd: float
    """DynamoDB, S3, Step Functions and the training volume."""

    def total(self, machine: Machine) -> Range | None:
        """None if something of it is not known."""
        parts = [machine.usd, *(one.usd for one in self.graders)]
        known = [one for one in parts if one is not None]
        if len(known) < len(parts):
            return None
        return sum(low for low, _ in known) + self.other_usd, sum(high for _, high in known) + self.other_usd


def estimate(
    model: BaseModel,
    asked: ReinforcementHyperparameters,
    *,
    rows: int,
    prompt_tokens: int,
    validation_rows: int = 0,
    grader: Grader | None = None,
    instance_types: Sequence[str] = (),
    completion_length: int | None = None,
    judge_prices: Mapping[str, tuple[float, float]] | None = None,
) -> Estimate:
    """`prompt_tokens` is of all training rows together; `judge_prices` are dollars per million tokens in and
    out, by the judge's name. Without `instance_types`, the catalogue's.
    """
    numbers = hyperparameters.resolve(asked, model, rows)
    longest = numbers.max_completion_length
    lengths = (completion_length, completion_length) if completion_length else (SHORT * longest, longest)
    samplings = ceil(numbers.max_steps / numbers.num_iterations)
    trained = samplings * numbers.prompts_per_step * numbers.num_generations
    replacements = round(numbers.dynamic_sampling_budget * numbers.prompts_per_step)
    fresh = samplings * replacements * numbers.num_generations
    evaluations = 1 + ceil(numbers.max_steps / numbers.eval_interval)
    evaluated = evaluations * validation_rows * (1 + numbers.eval_samples)
    prompt = prompt_tokens / rows
    completions = (trained + evaluated, trained + fresh + evaluated)
    sampled: Range = _range(count * one for count, one in zip(completions, lengths, strict=True))
    learned: Range = _range(numbers.num_iterations * trained * (prompt + one) for one in lengths)
    machines = [
        _machine(model.id, one, sampled, learned)
        for one in dict.fromkeys(instance_types or model.instance_types)
    ]
    hours = [machine.hours[1] for machine in machines if machine.hours]
    return Estimate(
        numbers=numbers,
        trained_completions=trained,
        fresh_completions=fresh,
        evaluated_completions=evaluated,
        completion_length=_range(lengths),
        completion_tokens=sampled,
        learned_tokens=learned,
        machines=machines,
        graders=[
            _grading(name, part, completions, prompt, lengths[1], judge_prices or {})
            for name, part in _parts(grader)
        ],
        other_usd=_other(model, numbers, max(hours, default=0)),
    )


def _machine(model: str, instance_type: str, sampled: Range, learned: Range) -> Machine:
    price, speed = prices.hourly("training", instance_type), throughput.of(model, instance_type)
    if (count := instance_count(model)) > 1:  # how fast several are is not known
        return Machine(instance_type, None if price is None else price * count, None, None)
    if speed is None:
        return Machine(instance_type, price, None, None)
    hours = _range(
        START_HOURS + (one / speed.sampled + other / speed.learned) / 3600
        for one, other in zip(sampled, learned, strict=True)
    )
    return Machine(
        instance_type, price, hours, None if price is None else _range(price * one for one in hours)
    )


def _parts(grader: Grader | None) -> Iterator[tuple[str, Grader]]:
    if isinstance(grader, MultiGrader):
        yield from grader.graders.items()
    elif grader is not None:
        yield grader.name, grader


def _grading(
    name: str,
    grader: Grader,
    calls: tuple[int, int],
    prompt: float,
    longest: float,
    judge_prices: Mapping[str, tuple[float, float]],
) -> Grading:
    least_calls, most_calls = calls
    if isinstance(grader, Judged):
        read, said = JUDGE_TOKENS
        tokens = (round(most_calls * (read + prompt + longest)), most_calls * said)
        judge = grader.model or "*"
        price = judge_prices.get(judge)
        most = None if price is None else (tokens[0] * price[0] + tokens[1] * price[1]) / 1e6
        usd = None if most is None else (SHORT * most * least_calls / most_calls, most)
        return Grading(name, grader.type, most_calls, usd, judge, tokens)
    if isinstance(grader, LambdaGrader | CustomCodeGrader | PythonGrader):
        gigabytes = _GRADER_GB["python" if isinstance(grader, PythonGrader) else "lambda"]
        each = prices.service("lambda_request") + gigabytes * GRADER_SECONDS * prices.service(
            "lambda_arm_gb_second"
        )
        return Grading(name, grader.type, most_calls, (least_calls * each, most_calls * each))
    return Grading(name, grader.type, most_calls, (0.0, 0.0))


def _other(model: BaseModel, numbers: TrainingHyperparameters, hours: float) -> float:
    """A step writes its event, its progress and its rollouts; a checkpoint a row and about ten objects; the
    workflow takes about thirty transitions."""
    checkpoints = ceil(numbers.max_steps / numbers.save_steps)
    volume = volume_gb(model, is_full=numbers.learns_all_weights)
    return (
        (2 * numbers.max_steps + checkpoints) * 2 * prices.service("dynamodb_write")
        + (numbers.max_steps + 10 * checkpoints) * prices.service("s3_write")
        + 30 * prices.service("states_transition")
        + volume * prices.service("training_volume_gb_month") * hours / 730
    )


def _range(values: Iterator[float] | Sequence[float]) -> Range:
    low, high = values
    return low, high

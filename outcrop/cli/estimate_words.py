"""What `outcrop estimate` prints."""

from collections.abc import Sequence

from outcrop import prices, throughput
from outcrop.base_models import BaseModel
from outcrop.operations.estimate import GRADER_SECONDS, SHORT, START_HOURS, Estimate, Grading, Machine, Range


def told(found: Estimate, model: BaseModel, rows: int, tokens: int, counted: str) -> str:
    numbers = found.numbers
    shortest, longest = found.completion_length
    lines = [
        f"Rows                {rows:,}, {tokens:,} prompt tokens ({counted})",
        f"Steps               {numbers.max_steps:,} of {numbers.prompts_per_step} prompts x "
        f"{numbers.num_generations} completions",
        f"Completions         {found.trained_completions:,} in training, "
        f"{found.evaluated_completions:,} in evaluations"
        + (f", up to {found.fresh_completions:,} in place of others" if found.fresh_completions else ""),
        f"Completion tokens   {_span(found.completion_tokens)} ({_span((shortest, longest))} each)",
        f"Tokens learned from {_span(found.learned_tokens)}, prompts included",
        "",
        *_table([_machine(found, one) for one in found.machines]),
        "",
        *(_grading(one) for one in found.graders),
        f"Everything else     {_usd((found.other_usd, found.other_usd))} (table, bucket, workflow, volume)",
        "",
        *_caveats(found, model),
    ]
    return "\n".join(lines)


def _table(rows: Sequence[tuple[str, ...]]) -> list[str]:
    cells = [("INSTANCE", "USD/HOUR", "HOURS", "TRAINING", "TOTAL"), *rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in cells
    ]


def _machine(found: Estimate, machine: Machine) -> tuple[str, ...]:
    price = "unknown" if machine.usd_per_hour is None else f"{machine.usd_per_hour:.2f}"
    hours = "unknown" if machine.hours is None else f"{machine.hours[0]:.1f} to {machine.hours[1]:.1f}"
    total = found.total(machine)
    return (machine.instance_type, price, hours, _usd(machine.usd), _usd(total))


def _grading(grading: Grading) -> str:
    name = f"Grader {grading.name}".ljust(19)
    if grading.judge is not None and grading.judge_tokens is not None:
        read, said = grading.judge_tokens
        cost = (
            f"{_usd(grading.usd)}" if grading.usd else f"price unknown: --price {grading.judge}=INPUT/OUTPUT"
        )
        return (
            f"{name} {grading.calls:,} questions to {grading.judge}, up to {read:,} tokens read and {said:,} "
            f"written: {cost}"
        )
    if grading.usd == (0.0, 0.0):
        return f"{name} $0: {grading.kind} is computed by the trainer"
    calls = f"{grading.calls:,} calls of {GRADER_SECONDS} s, if each is for one completion"
    return f"{name} {_usd(grading.usd)} ({calls})"


def _caveats(found: Estimate, model: BaseModel) -> list[str]:
    table = prices.table()
    speeds = {one.instance_type: throughput.of(model.id, one.instance_type) for one in found.machines}
    lines = [
        f"Prices of {table['as_of']}, {table['region']}, on demand, unverified: your bill is the truth.",
        f"{START_HOURS:g} h are for the start. Spot instances, if they are used, cost less.",
    ]
    if found.completion_length[0] != found.completion_length[1]:
        lines.append(
            f"The first figure is for completions of {SHORT:.0%} of the longest allowed, the second for the "
            "longest: --completion-tokens says what you know."
        )
    if found.fresh_completions:
        lines.append(
            "The second figure also counts fresh prompts for all that teach nothing, as far as "
            "dynamic_sampling_budget allows: few if the task is neither too easy nor too hard."
        )
    for name, speed in speeds.items():
        if speed is None:
            lines.append(f"{name}: nobody has said how fast {model.id} trains there.")
        else:
            how = f"measured {speed.measured}" if speed.measured else "assumed, not measured"
            lines.append(
                f"{name}: {speed.sampled:,} tokens/s sampled, {speed.learned:,} tokens/s learned ({how})."
            )
    return lines


def _span(values: Range) -> str:
    low, high = (f"{round(one):,}" for one in values)
    return low if low == high else f"{low} to {high}"


def _usd(values: Range | None) -> str:
    if values is None:
        return "unknown"
    low, high = (f"${one:,.2f}" if one >= 0.01 or not one else "under $0.01" for one in values)
    return low if low == high else f"{low} to {high}"

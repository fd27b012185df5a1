"""The report of `outcrop graders test` as a person reads it, and as a script does."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict

import orjson
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from outcrop.cli import grader_words
from outcrop.cli.grader_figures import Failures, Latency, ProbeReport, Report, Rewards, Verdict
from outcrop.cli.grader_trial import Trial

_BAR = 36
_EXAMPLE = 48
_MESSAGE_LINES = 8
_STYLES: dict[Verdict, str] = {
    "pays": "bold red",
    "pays in part": "yellow",
    "earns nothing": "green",
    "cannot be graded": "yellow",
    "no such text": "dim",
}

Advance = Callable[[], None]


@contextmanager
def progress(console: Console) -> Iterator[Callable[[str, int], Advance]]:
    """`phase(name, total)` starts a phase and returns what each finished request calls. Without a terminal a
    phase is one line at its start and one at its end."""
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        disable=not console.is_terminal,
        transient=True,
    ) as bars:

        def phase(name: str, total: int) -> Advance:
            task = bars.add_task(name.ljust(9), total=total)
            if not console.is_terminal:
                console.print(f"{name}: {total} requests ...")
            return lambda: bars.advance(task)

        yield phase


def show(console: Console, trial: Trial, report: Report) -> None:
    sampling, grading = report.sampling, report.grading
    rows = len({one.row for one in trial.completions})
    console.print(
        f"[bold]{escape(str(trial.grader.get('name')))}[/bold] ({trial.grader.get('type')}) on "
        f"{sampling.completions} completions of [bold]{escape(trial.model)}[/bold], {rows} of "
        f"{trial.rows_in_file:,} rows"
    )
    if report.rewards:
        _show_rewards(console, report.rewards)
    _show_failures(console, "Sampling failed", sampling.failures)
    _show_failures(console, "Grading failed", grading.failures)
    console.print()
    console.print(
        f"Sampling  {_latency(sampling.latency_seconds)}, {sampling.mean_tokens:.0f} tokens a completion, "
        f"{sampling.cut_off} cut off at {trial.max_completion_tokens}"
    )
    console.print(f"Grading   {_latency(grading.latency_seconds)}")
    _show_probes(console, report)
    _show_list(console, "In words", grader_words.findings(report))
    _show_list(console, "A job on this file, with default hyperparameters", grader_words.cost(report))
    console.print(f"\n{_conclusion(report)}")


def as_json(trial: Trial, report: Report) -> str:
    """The report and what it was measured on. Completions are in it only as examples of probes that pay."""
    head = {
        "model": trial.model,
        "grader": {"name": trial.grader.get("name"), "type": trial.grader.get("type")},
        "rows_in_file": trial.rows_in_file,
        "rows": len({one.row for one in trial.completions}),
        "reference_column": trial.reference_column,
        "max_completion_tokens": trial.max_completion_tokens,
    }
    tail = {"findings": grader_words.findings(report), "exit_status": report.exit_status}
    return orjson.dumps(head | asdict(report) | tail, option=orjson.OPT_INDENT_2).decode()


def _show_rewards(console: Console, rewards: Rewards) -> None:
    console.print()
    most = max(one.count for one in rewards.histogram)
    for one in rewards.histogram:
        bar = "█" * round(_BAR * one.count / most) or ("▏" if one.count else "")
        last = "]" if one is rewards.histogram[-1] else ")"
        console.print(
            f"  [{one.start:5.2f}, {one.end:5.2f}{last}  {one.count:4d}  [cyan]{bar}[/cyan]".rstrip()
        )
    console.print(
        f"  mean [bold]{rewards.mean:.3f}[/bold], from {rewards.lowest:.3f} to {rewards.highest:.3f}; "
        f"{grader_words.percent(rewards.share_of_zero)} at 0 or less, "
        f"{grader_words.percent(rewards.share_of_top)} at the top ({rewards.top:g})"
    )


def _show_failures(console: Console, title: str, failures: Sequence[Failures]) -> None:
    for one in failures:
        lines = one.message.strip().splitlines()
        shown = lines if len(lines) <= _MESSAGE_LINES else ["...", *lines[1 - _MESSAGE_LINES :]]
        times = "once" if one.count == 1 else f"{one.count} times"
        console.print(f"\n[red]{title} {times}[/red]: {escape(one.kind)}. The first:")
        for line in shown:
            console.print(f"    {escape(line)}", overflow="fold")


def _show_list(console: Console, title: str, sentences: Sequence[str]) -> None:
    if not sentences:
        return
    lines = Table.grid(padding=(0, 1, 0, 0))
    for sentence in sentences:
        lines.add_row("-", escape(sentence))
    console.print(f"\n[bold]{title}[/bold]")
    console.print(lines)


def _show_probes(console: Console, report: Report) -> None:
    base = f"{report.rewards.mean:.3f}" if report.rewards else "-"
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("Probe", min_width=25)
    table.add_column("mean", min_width=5, justify="right")
    table.add_column("", min_width=16)
    table.add_column("example", no_wrap=True, overflow="ellipsis")
    table.add_row("(the model's completions)", base)
    if report.reference_mean is not None:
        table.add_row("(the rows' own answers)", f"{report.reference_mean:.3f}")
    for probe in report.probes:
        mean = "-" if probe.mean is None else f"{probe.mean:.3f}"
        style = _STYLES[probe.verdict]
        table.add_row(probe.name, mean, f"[{style}]{probe.verdict}[/{style}]", _example(probe))
    console.print()
    console.print(table)


def _example(probe: ProbeReport) -> str:
    """What earned most, where the probe pays; why it could not be graded, where that failed."""
    told: list[str] = []
    if probe.example is not None and probe.example.reward is not None:
        text = repr(probe.example.text)
        shown = text if len(text) <= _EXAMPLE else f"{text[: _EXAMPLE - 3]}..."
        told.append(f"row {probe.example.row + 1}: {probe.example.reward:g} for {shown}")
    told += [f"{one.count} failed: {one.kind}" for one in probe.failures]
    return escape("; ".join(told))


def _latency(latency: Latency | None) -> str:
    if latency is None:
        return "nothing to time"
    return f"median {grader_words.duration(latency.median)}, p95 {grader_words.duration(latency.p95)}"


def _conclusion(report: Report) -> str:
    if not report.sampling.completions:
        return "[bold red]The model gave no completion, so there is nothing to grade.[/bold red]"
    if report.mostly_fails:
        return "[bold red]This grader does not work yet.[/bold red]"
    count = len(report.paying)
    if count:
        told = "A probe cheats" if count == 1 else f"{count} probes cheat"
        return f"[bold red]{told} this grader.[/bold red]"
    return "[bold green]Nothing cheats this grader here.[/bold green]"

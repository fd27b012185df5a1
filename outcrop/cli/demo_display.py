"""Following a job as a person does: its events as they come, a progress line, and the reward as a plot."""

import time
from pathlib import Path
from typing import Any

from openai import OpenAI
from openai.types.fine_tuning import FineTuningJob, FineTuningJobEvent
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

POLL_SECONDS = 1.0


def follow(client: OpenAI, job_id: str, console: Console) -> tuple[FineTuningJob, list[dict[str, Any]]]:
    """Print a job's events until it ends; return it with all that they measured, the base model first.

    On a terminal the steps are one live line; elsewhere each step is a line of its own.
    """
    seen: set[str] = set()
    steps: list[dict[str, Any]] = []
    measured: list[dict[str, Any]] = []
    with Progress(
        TextColumn("step"),
        MofNCompleteColumn(),
        BarColumn(),
        TextColumn("reward {task.fields[reward]}"),
        TextColumn("{task.fields[left]} left"),
        TimeElapsedColumn(),
        console=console,
        disable=not console.is_terminal,
        transient=True,
    ) as progress:
        bar = progress.add_task("steps", total=None, reward="-", left="?")
        while True:
            job = client.fine_tuning.jobs.retrieve(job_id)
            for event in _new_events(client, job_id, seen):
                data = event.data if isinstance(event.data, dict) else {}
                if "full_valid_mean_reward" in data or event.type == "metrics":
                    measured.append(data)
                if event.type != "metrics":
                    console.print(f"  [{event.level}] {event.message}", markup=False)
                    continue
                steps.append(data)
                left = _duration(_seconds_left(steps))
                reward = _reward(data)
                if console.is_terminal:
                    progress.update(
                        bar, total=data["total_steps"], completed=data["step"], reward=reward, left=left
                    )
                else:
                    console.print(
                        f"  step {data['step']}/{data['total_steps']}  reward {reward}  {left} left"
                    )
            if job.status in ("succeeded", "failed", "cancelled"):
                return job, measured
            time.sleep(POLL_SECONDS)


def _new_events(client: OpenAI, job_id: str, seen: set[str]) -> list[FineTuningJobEvent]:
    """The events not seen yet, oldest first. The API lists newest first: reading stops at a known one."""
    fresh: list[FineTuningJobEvent] = []
    for event in client.fine_tuning.jobs.list_events(job_id):
        if event.id in seen:
            break
        fresh.append(event)
    seen.update(event.id for event in fresh)
    return fresh[::-1]


def _reward(data: dict[str, Any]) -> str:
    value = data.get("train_mean_reward")
    return "none" if value is None else f"{value:.3f}"


def _seconds_left(steps: list[dict[str, Any]]) -> float:
    recent = [data["timing"]["step"]["full_iteration"] for data in steps[-5:]]
    return (steps[-1]["total_steps"] - steps[-1]["step"]) * sum(recent) / len(recent)


def _duration(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def plot(steps: list[dict[str, Any]], path: Path, *, title: str) -> Path:
    """Training and validation reward by step, as a PNG."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot
    from matplotlib.ticker import MaxNLocator

    figure, axes = pyplot.subplots(figsize=(8, 4.5), layout="constrained")
    for key, label, style in (
        ("train_mean_reward", "training (sampled)", {"marker": ".", "alpha": 0.7}),
        ("full_valid_mean_reward", "validation (greedy)", {"marker": "o", "linewidth": 2.5}),
    ):
        points = [(data["step"], data[key]) for data in steps if data.get(key) is not None]
        if points:
            axes.plot(*zip(*points, strict=True), label=label, **style)
    axes.set(xlabel="step", ylabel="mean reward", title=title)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")
    figure.savefig(path, dpi=130)
    pyplot.close(figure)
    return path

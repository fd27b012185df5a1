"""`outcrop demo`: a real model gets better at a real task, on this machine, through the OpenAI SDK.

Starts the local loop, then acts as any client would: two files, one job with a Lambda grader, its events,
and at the end the same held-out questions to base and tuned model. A task is a folder: training.jsonl,
validation.jsonl, held_out.jsonl, grader.py, job.json (hyperparameters).
"""

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from outcrop.cli import demo_display, demo_exam, local

if TYPE_CHECKING:
    from openai import OpenAI
    from openai.types.fine_tuning import FineTuningJob

TASKS = Path(__file__).parents[2] / "examples" / "tasks"


def run(
    task: Annotated[str, typer.Option(help="A folder of examples/tasks.")] = "json_extraction",
    state: Annotated[
        Path | None, typer.Option(help="Folder for the run; a new one below .outcrop/demo if not given.")
    ] = None,
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1; 0 takes a free one.")] = 0,
    figures: Annotated[Path | None, typer.Option("--json", help="Write the figures to this file.")] = None,
) -> None:
    """Train a model here and now, and prove on held-out questions that it got better."""
    folder = TASKS / task
    if not (folder / "grader.py").is_file():
        offered = ", ".join(sorted(path.parent.name for path in TASKS.glob("*/grader.py")))
        raise typer.BadParameter(f"There is no task '{task}'. Tasks: {offered}.", param_hint="--task")
    state = state or Path(".outcrop/demo") / f"{task}-{time.strftime('%Y%m%d-%H%M%S')}"
    console = Console(highlight=False, soft_wrap=True)
    started = time.monotonic()
    console.print(f"[bold]Outcrop demo: {task}[/bold]. Starting the local loop in {state} ...")
    stack = local.start(state, port, [f"{task}={folder / 'grader.py'}"], [local.DEFAULT_MODEL])
    try:
        outcome = _train_and_examine(console, folder, stack.base_url, stack.api_key, state)
    finally:
        stack.stop()
    outcome["seconds"] = round(time.monotonic() - started, 1)
    console.print(f"{outcome['seconds']:.0f} s in all.")
    if figures:
        figures.write_text(json.dumps(outcome, indent=2) + "\n")
    raise typer.Exit(0 if outcome["gain_is_real"] else 1)


def create_job(client: "OpenAI", folder: Path, *, seed: int = 7, **hyperparameters: Any) -> "FineTuningJob":
    """Upload a task folder's files and start its job; `hyperparameters` go before those of job.json."""
    training = client.files.create(file=folder / "training.jsonl", purpose="fine-tune")
    validation = client.files.create(file=folder / "validation.jsonl", purpose="fine-tune")
    grader = f"arn:aws:lambda:us-west-2:123456789012:function:{folder.name}"
    method: Any = {
        "type": "reinforcement",
        "reinforcement": {
            "grader": {"type": "lambda", "lambda": {"function": grader}},
            "hyperparameters": {**json.loads((folder / "job.json").read_text()), **hyperparameters},
        },
    }
    return client.fine_tuning.jobs.create(
        model=local.DEFAULT_MODEL,
        training_file=training.id,
        validation_file=validation.id,
        suffix=folder.name.replace("_", "-"),
        seed=seed,
        method=method,
    )


def download_artifacts(state: Path, job: "FineTuningJob") -> None:
    """The tuned model's adapter and the job's rollouts, out of the bucket and into the state folder."""
    from outcrop import s3_keys
    from outcrop.stores.models import ModelStore
    from outcrop.stores.objects import ObjectStore

    local.enter_account(state)
    model = ModelStore(job.organization_id).get(job.fine_tuned_model or "")
    assert model is not None, "a job that succeeded has a model"
    ObjectStore().download_folder(model.key, state / "adapter")
    rollouts = f"{s3_keys.job(job.organization_id, job.id)}rollouts/"
    ObjectStore().download_folder(rollouts, state / "rollouts")


def _train_and_examine(
    console: Console, folder: Path, base_url: str, api_key: str, state: Path
) -> dict[str, Any]:
    """Everything from here on is the plain OpenAI SDK."""
    from openai import OpenAI

    client = OpenAI(base_url=base_url, api_key=api_key)
    console.print(f"Ready: OPENAI_BASE_URL={base_url}")
    job = create_job(client, folder)
    console.print(f"Job {job.id} on {job.model}, graded by the Lambda function {folder.name}")
    job, steps = demo_display.follow(client, job.id, console)
    if job.status != "succeeded" or job.fine_tuned_model is None:
        console.print(
            f"[red]The job is {job.status}[/red]: {job.error.message if job.error else 'no reason given'}"
        )
        return {"task": folder.name, "status": job.status, "gain_is_real": False}

    held_out = [json.loads(line) for line in (folder / "held_out.jsonl").read_text().splitlines()]
    console.print(
        f"Asking base and tuned model {len(held_out)} held-out questions through Chat Completions ..."
    )
    most = json.loads((folder / "job.json").read_text())["max_completion_length"]
    exam = demo_exam.examine(client, job.model, job.fine_tuned_model, held_out, folder / "grader.py", most)
    exam.show(console)
    plot = demo_display.plot(steps, state / "reward.png", title=f"{folder.name}: {job.fine_tuned_model}")
    console.print(f"Reward plot: {plot}")
    download_artifacts(state, job)
    console.print(f"Adapter: {state / 'adapter'}")
    console.print(f"Rollouts, every completion with its reward: {state / 'rollouts'}")
    console.print(f"Chat with it: outcrop local --state {state}, then model={job.fine_tuned_model}")
    return {
        "task": folder.name,
        "status": job.status,
        "job": job.id,
        "model": job.fine_tuned_model,
        "steps": steps,
        **exam.figures(),
    }

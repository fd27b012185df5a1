"""The result files of a job, of purpose `fine-tune-results`: its steps' metrics as CSV, and what base and
tuned model said on the validation rows, if there were any: all of it as JSON Lines, and a page to read."""

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

from outcrop import s3_keys
from outcrop.ids import derived_id
from outcrop.stores.events import EventStore
from outcrop.stores.files import FileStore
from outcrop.stores.objects import ObjectStore
from outcrop.types.event import FineTuningJobEvent
from outcrop.types.file import StoredFile
from outcrop.types.fine_tuning_job import FineTuningJob

_REWARDS = ("train_mean_reward", "full_valid_mean_reward")
_METRICS, _HELD_OUT, _COMPARISON = "step_metrics.csv", "held_out.jsonl", "comparison.md"
# Column, and its name in the events' data.
_COLUMNS = {
    "step": "step",
    "train_reward_mean": "train_mean_reward",
    "valid_reward_mean": "full_valid_mean_reward",
    "valid_sampled_reward_mean": "valid_sampled_reward_mean",
    "reward_std": "reward_std",
    "frac_reward_zero_std": "frac_reward_zero_std",
    "actor_pg_loss": "actor_pg_loss",
    "actor_grad_norm": "actor_grad_norm",
    "actor_entropy": "actor_entropy",
    "response_length_mean": "response_length_mean",
    "sampling_logp_difference": "sampling_logp_difference",
    "step_time": "step_time",
    "peak_memory_gb": "peak_memory_gb",
}


def write(job: FineTuningJob) -> list[str]:
    """Make the files of a job whose training has ended; their ids, none if it took no step. Written again,
    they are the same files: id and time are those of the job's last metrics."""
    project = job.organization_id
    told = [event for event in EventStore(project, job.id).every() if _is_measured(event)]
    if not any(event.type == "metrics" for event in told):
        return []
    made_at = told[-1].created_at
    metrics = _csv([event.data for event in told if event.data])
    written = [_put(project, derived_id("file-", made_at, job.id), made_at, _METRICS, metrics)]
    for key, name, what in (
        (s3_keys.held_out(project, job.id), _HELD_OUT, "held out"),
        (s3_keys.comparison(project, job.id), _COMPARISON, "comparison"),
    ):
        try:
            content = ObjectStore().get(key)
        except FileNotFoundError:
            continue
        written.append(
            _put(project, derived_id("file-", made_at, f"{job.id} {what}"), made_at, name, content)
        )
    return written


def _put(project: str, id: str, made_at: int, filename: str, content: bytes) -> str:
    file = StoredFile(
        id=id, bytes=len(content), created_at=made_at, filename=filename, purpose="fine-tune-results"
    )
    ObjectStore().put(s3_keys.file(project, file.id), content)
    FileStore(project).put(file)
    return file.id


def _is_measured(event: FineTuningJobEvent) -> bool:
    """Of a step, which may have no reward, or of the base model, which is step 0."""
    data = event.data or {}
    return "step" in data and (event.type == "metrics" or any(name in data for name in _REWARDS))


def _csv(told: Sequence[Mapping[str, Any]]) -> bytes:
    """A step done again after an interruption counts as it was told last."""
    steps = {metrics["step"]: metrics for metrics in told}
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(_COLUMNS)
    for step in sorted(steps):
        lines.writerow([steps[step].get(name, "") for name in _COLUMNS.values()])
    return text.getvalue().encode()

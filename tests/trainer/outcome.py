"""All that a run leaves for its job's owner, less what was measured with a clock: two runs that did the same
leave the same.
"""

import hashlib
from collections.abc import Mapping
from typing import Any

import orjson

from outcrop import s3_keys
from outcrop.stores.checkpoints import CheckpointStore
from outcrop.stores.events import EventStore
from outcrop.stores.models import ModelStore
from outcrop.stores.objects import ObjectStore
from tests.trainer.conftest import Run

_MEASURED = ("timing", "step_time", "latency_seconds", "peak_memory_gb")
_OF_THIS_PROCESS = (
    "Training started",
    "Training resumed",
    "Checkpoint step-",
    "No checkpoint of",
    "Peak memory",
)


def outcome(run: Run) -> dict[str, Any]:
    """By what it is of: every line, number and file."""
    spec, objects = run.spec, ObjectStore()
    own = s3_keys.job(spec.project, spec.job_id)
    found: dict[str, Any] = {}
    for key in objects.list(own):
        name = key.removeprefix(own)
        if name.endswith(".jsonl"):
            for number, line in enumerate(objects.lines(key)):
                found[f"{name}, line {number}"] = _told(orjson.loads(line), run)
        elif name.endswith(".json"):
            found[name] = _told(orjson.loads(objects.get(key)), run)
        else:
            found[name] = hashlib.sha256(objects.get(key)).hexdigest()
    for file in sorted((run.root / "model").iterdir()):
        found[f"model/{file.name}"] = hashlib.sha256(file.read_bytes()).hexdigest()
    events = [
        one
        for one in EventStore(spec.project, spec.job_id).every()
        if not one.message.startswith(_OF_THIS_PROCESS)
    ]
    for number, event in enumerate(events):
        told = event.model_dump(exclude={"id", "created_at"})
        found[f"event {number}"] = _told(told | {"data": _told(event.data or {}, run)}, run)
    for one in CheckpointStore(spec.project, spec.job_id).list(limit=100).data:
        found[f"checkpoint {one.step_number}"] = one.metrics
    models = [one for one in ModelStore(spec.project).every() if one.job_id == spec.job_id]
    found["models"] = sorted(_told(one.id, run) for one in models)
    found["trained_tokens"] = run.job.trained_tokens
    return found


def differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    return {
        name: (one.get(name), other.get(name))
        for name in sorted({*one, *other})
        if one.get(name) != other.get(name)
    }


def _told(value: Any, run: Run) -> Any:
    """Without times, and without the job's own names."""
    if isinstance(value, dict):
        value = {name: one for name, one in value.items() if name not in _MEASURED}
    text = orjson.dumps(value).decode()
    return text.replace(run.spec.job_id, "JOB").replace(run.spec.job_id[-8:], "JOB")

"""The numbers of a training step that CloudWatch draws.

The trainer prints them, one JSON object a step; SageMaker reads them off its log by the regular expressions
that CreateTrainingJob gets (`MetricDefinitions`) and keeps them by the training job's name: it costs nothing.
"""

import json
from collections.abc import Mapping

METRICS = (
    "reward",
    "valid_reward",
    "completions",
    "grader_failures",
    "sampling_seconds",
    "grading_seconds",
    "training_seconds",
    "step_seconds",
    "gpu_memory_gb",
    "gpu_utilization",
)
"""`grading_seconds` is what a step waits for its graders when all is generated; `valid_reward` is there
after an evaluation only, the GPU's numbers where there is one."""

NAMESPACE = "/aws/sagemaker/TrainingJobs"


def metric_name(name: str) -> str:
    """In CloudWatch, where other training jobs of the account have theirs too."""
    return f"outcrop_{name}"


def definitions() -> list[dict[str, str]]:
    """As `AlgorithmSpecification.MetricDefinitions` of CreateTrainingJob has them."""
    return [{"Name": metric_name(name), "Regex": f'"{name}": ([-+.0-9eE]+)'} for name in METRICS]


def line(job_id: str, step: int, values: Mapping[str, float | None]) -> str:
    """What the trainer prints after a step; a number that was not measured is left out."""
    measured = {name: value for name, value in values.items() if value is not None}
    return json.dumps({"message": "step", "job_id": job_id, "step": step, **measured})

"""What a real account shows only if something is fetched, trained or served: the checks that cost.

As `deployment_checks`: a check raises `Failed` in words, or returns what it measured.
"""

import time
from typing import Any

import boto3

from outcrop import base_models, training_metrics
from outcrop.operations import weights
from scripts.deployment_checks import Deployment, Failed

MODEL = "smollm2-135m-instruct"
_ROWS = (
    b'{"messages": [{"role": "user", "content": "Answer with one digit."}], "reference_answer": "7"}\n' * 8
)
_GRADER = {
    "type": "string_check",
    "name": "digit",
    "operation": "like",
    "input": "{{sample.output_text}}",
    "reference": "{{item.reference_answer}}",
}
_HOURS = 3


def weights_come(deployment: Deployment) -> str:
    model = base_models.find(MODEL)
    assert model
    began, found = time.monotonic(), weights.ensure(model)
    while found.state == "syncing":
        time.sleep(5)
        found = weights.status(model)
    if found.state != "complete":
        raise Failed(found.explanation)
    return f"{(found.bytes or 0) / 1e6:.0f} MB in {time.monotonic() - began:.0f} s"


def a_job_trains(deployment: Deployment) -> str:
    """Also: what Step Functions passes on to SageMaker, what SageMaker bills, and the metrics it reads."""
    client = deployment.client
    rows = client.files.create(file=("verify.jsonl", _ROWS), purpose="fine-tune")
    method: Any = {
        "type": "reinforcement",
        "reinforcement": {"grader": _GRADER, "hyperparameters": {"n_epochs": 2}},
    }
    job = client.fine_tuning.jobs.create(model=MODEL, training_file=rows.id, method=method, suffix="verify")
    began = time.monotonic()
    while job.status not in ("succeeded", "failed", "cancelled", "paused"):
        if time.monotonic() - began > _HOURS * 3600:
            client.fine_tuning.jobs.cancel(job.id)
            raise Failed(f"{job.id} was {job.status} for {_HOURS} hours and is cancelled")
        time.sleep(20)
        job = client.fine_tuning.jobs.retrieve(job.id)
    if job.status != "succeeded":
        raise Failed(f"{job.id} is {job.status}: {job.error.message if job.error else 'no reason'}")
    billed: Any = (job.model_extra or {})["billed"][-1]
    training_job = boto3.client("sagemaker").describe_training_job(TrainingJobName=billed["training_job"])
    if "MaxPendingTimeInSeconds" not in training_job["StoppingCondition"]:
        raise Failed("Step Functions did not pass MaxPendingTimeInSeconds on")
    seen = boto3.client("cloudwatch").list_metrics(
        Namespace=training_metrics.NAMESPACE,
        MetricName=training_metrics.metric_name("reward"),
        Dimensions=[{"Name": "TrainingJobName"}],
    )["Metrics"]
    if not seen:
        raise Failed("no outcrop_reward by TrainingJobName in CloudWatch: the dashboard's rewards stay empty")
    minutes = (time.monotonic() - began) / 60
    return f"{minutes:.0f} min, {billed['billable_seconds']} s billed on {billed['instance_type']}, {job.id}"


def a_model_wakes_and_answers(deployment: Deployment) -> str:
    """The base model from sleep or from nothing, then what the newest job made of it, by the SDK as it is."""
    client, times = deployment.client, []
    jobs = client.fine_tuning.jobs.list(limit=20)
    tuned = next(
        (job.fine_tuned_model for job in jobs.data if job.fine_tuned_model and job.model == MODEL), None
    )
    for model in [MODEL, *([tuned] if tuned else [])]:
        began = time.monotonic()
        message: Any = [{"role": "user", "content": "Answer with one digit."}]
        answer = client.chat.completions.create(model=model, messages=message, max_tokens=8)
        if answer.model != model:
            raise Failed(f"'{model}' was asked, '{answer.model}' answered")
        times.append(f"{model} after {time.monotonic() - began:.0f} s")
    return ", ".join(times)

"""Reinforcement fine-tuning in five steps, with the plain OpenAI SDK.

Set OPENAI_BASE_URL and OPENAI_API_KEY to your own deployment, or to the lines that this prints:

    outcrop local --grader date-reward=examples/five_steps/reward.py

then: python examples/five_steps/main.py
"""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

from openai import OpenAI

ROWS = Path(__file__).parents[1] / "tasks" / "date_iso"
LOCAL_REWARD = "arn:aws:lambda:us-west-2:123456789012:function:date-reward"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="smollm2-135m-instruct")
    parser.add_argument("--lambda-arn", default=LOCAL_REWARD, help="ARN of the reward function (step 2)")
    parser.add_argument(
        "--form", choices=["custom_code", "lambda"], default="custom_code", help="spelling of the grader"
    )
    asked = parser.parse_args()
    client = OpenAI()

    print("1. Upload the training data")
    training = client.files.create(file=ROWS / "training.jsonl", purpose="fine-tune")
    print(f"   {training.id}: {training.bytes} bytes")

    print("2. Point at the reward function")
    grader: dict[str, Any] = {"type": "custom_code", "lambda_arn": asked.lambda_arn}
    if asked.form == "lambda":
        grader = {"type": "lambda", "lambda": {"function": asked.lambda_arn}}
    print(f"   {json.dumps(grader)}")

    print("3. Create the job")
    method: Any = {
        "type": "reinforcement",
        "reinforcement": {
            "grader": grader,
            "hyperparameters": {"n_epochs": 1, "batch_size": 4, "max_completion_length": 16},
        },
    }
    job = client.fine_tuning.jobs.create(model=asked.model, training_file=training.id, method=method)
    print(f"   {job.id}: {job.status}")

    print("4. Watch it: status, events, checkpoints")
    seen: set[str] = set()
    while True:
        job = client.fine_tuning.jobs.retrieve(job.id)
        fresh = [event for event in client.fine_tuning.jobs.list_events(job.id) if event.id not in seen]
        for event in reversed(fresh):
            seen.add(event.id)
            print(f"   {event.message}")
        if job.status in ("succeeded", "failed", "cancelled"):
            break
        time.sleep(2)
    if job.fine_tuned_model is None:
        sys.exit(f"The job is {job.status}: {job.error.message if job.error else 'no reason given'}")
    for checkpoint in client.fine_tuning.jobs.checkpoints.list(job.id):
        print(f"   step {checkpoint.step_number}: {checkpoint.fine_tuned_model_checkpoint}")

    print("5. Ask the tuned model")
    row = json.loads((ROWS / "held_out.jsonl").read_text().splitlines()[0])
    for model in (asked.model, job.fine_tuned_model):
        reply = client.chat.completions.create(
            model=model, messages=row["messages"], temperature=0, max_completion_tokens=16
        )
        print(f"   {model}: {reply.choices[0].message.content!r}")
    print(f"   wanted: {row['reference_answer']!r}")


if __name__ == "__main__":
    main()

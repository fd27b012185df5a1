"""Grades classification: is the completion the row's `label`, and nothing else?

Contract: single, as in Bedrock's announcement (`{"type": "custom_code", "lambda_arn": ARN}`). One prompt and
one response come in together with the row's own fields; a status and a body with a score go out.
"""

import json
from typing import Any


def lambda_handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    response = event["response"].strip().lower()
    label = event["label"].lower()
    if response == label:
        score = 1.0
    elif label in response:
        score = 0.4  # right, but wrapped in words
    else:
        score = 0.0
    return {"statusCode": 200, "body": json.dumps({"score": score})}

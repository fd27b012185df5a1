"""A reward function as a Lambda handler, in the announcement's contract: one response in, one score out.

The training row's own fields come along in the event; here `reference_answer`, a date such as 2007-11-09.
"""

import json
from typing import Any


def lambda_handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    response = event["response"].strip()
    wanted = event["reference_answer"]
    if response == wanted:
        score = 1.0
    elif wanted in response:
        score = 0.5
    else:
        score = 0.2 if response[:4] == wanted[:4] else 0.0
    return {"statusCode": 200, "body": json.dumps({"score": score})}

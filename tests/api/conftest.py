"""What the API reaches beyond its own table and bucket."""

import json
from types import SimpleNamespace
from typing import Any

import pytest

from outcrop.stores import clients


@pytest.fixture
def stopped(aws: None) -> list[str]:
    """The training jobs SageMaker is told to stop; it knows none of them. (moto has no StopTrainingJob.)"""
    asked: list[str] = []

    def answer(params: dict[str, Any], **_: Any) -> tuple[SimpleNamespace, dict[str, Any]]:
        asked.append(json.loads(params["body"])["TrainingJobName"])
        error = {"Code": "ValidationException", "Message": "Requested resource not found."}
        return SimpleNamespace(status_code=400), {"Error": error}

    clients.client("sagemaker").meta.events.register("before-call.sagemaker.StopTrainingJob", answer)
    return asked

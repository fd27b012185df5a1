"""Fixtures of the grader tests."""

from collections.abc import Iterator

import pytest

from outcrop.graders.pipeline import GraderPipeline
from outcrop.types.grader import CustomCodeGrader, LambdaGrader, LambdaTarget
from tests.graders.grading import MakePipeline
from tests.graders.lambda_endpoint import Handler, LambdaEndpoint


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[LambdaEndpoint]:
    server = LambdaEndpoint()
    monkeypatch.setenv("AWS_ENDPOINT_URL_LAMBDA", server.url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    yield server
    server.stop()


@pytest.fixture
def pipeline(endpoint: LambdaEndpoint) -> Iterator[MakePipeline]:
    """`pipeline(handler, type)`: grades with `handler` as a Lambda function, without waits between tries."""
    opened: list[GraderPipeline] = []

    def make(
        handler: Handler, type: str = "lambda", *, concurrency: int = 4, function_timeout_seconds: float = 30
    ) -> GraderPipeline:
        arn = endpoint.function(handler, timeout_seconds=function_timeout_seconds)
        grader = (
            LambdaGrader.model_validate({"type": "lambda", "lambda": LambdaTarget(function=arn)})
            if type == "lambda"
            else CustomCodeGrader(type="custom_code", lambda_arn=arn)
        )
        opened.append(GraderPipeline(grader, concurrency=concurrency, backoff_seconds=0))
        return opened[-1]

    yield make
    for one in opened:
        one.close()

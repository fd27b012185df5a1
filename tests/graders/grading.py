"""What the grader tests have in common: a completion, and the type of the fixture that grades it."""

from typing import Protocol

from outcrop.graders.pipeline import GradedCompletion, GraderPipeline
from tests.graders.lambda_endpoint import Handler


class MakePipeline(Protocol):
    def __call__(
        self,
        handler: Handler,
        type: str = "lambda",
        *,
        concurrency: int = 4,
        function_timeout_seconds: float = 30,
    ) -> GraderPipeline: ...


def a_completion(text: str = "4", **fields: object) -> GradedCompletion:
    """A completion of a row that asks for 2 + 2."""
    messages = [{"role": "system", "content": "Answer with a number."}, {"role": "user", "content": "2 + 2?"}]
    return GradedCompletion({"messages": messages, "reference_answer": "4", **fields}, text)

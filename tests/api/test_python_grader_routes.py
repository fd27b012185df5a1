"""A `python` grader through the SDK: tried by `graders/run` in the real sandbox, before a job is paid for."""

from collections.abc import Iterator
from typing import Any

import openai
import pytest
from openai import OpenAI

from outcrop.settings import settings
from tests.account import Account
from tests.factories import STRING_CHECK
from tests.graders.lambda_endpoint import LambdaEndpoint
from tests.sandbox.grading import run as sandbox

SOURCE = """
def grade(sample, item):
    words = sample["output_text"].split()
    return words.count(item["word"]) / len(words)
"""


def a_grader(source: str = SOURCE, **fields: Any) -> Any:
    return {"type": "python", "name": "share", "source": source, **fields}


@pytest.fixture
def endpoint(aws: Account, monkeypatch: pytest.MonkeyPatch) -> Iterator[LambdaEndpoint]:
    """A Lambda service with the sandbox function, which this deployment's settings name."""
    server = LambdaEndpoint()
    arn = server.function(sandbox, name="OutcropSandbox-Sandbox1-A")
    monkeypatch.setenv("AWS_ENDPOINT_URL_LAMBDA", server.url)
    monkeypatch.setenv("OUTCROP_SANDBOX_FUNCTION", arn)
    settings.cache_clear()
    yield server
    server.stop()
    settings.cache_clear()


def run(client: OpenAI, source: str = SOURCE, model_sample: str = "yes no yes yes") -> Any:
    grader = a_grader(source)
    return client.fine_tuning.alpha.graders.run(
        grader=grader, model_sample=model_sample, item={"word": "yes"}
    )


def test_run_answers_the_reward(client: OpenAI, endpoint: LambdaEndpoint) -> None:
    answer = run(client)

    assert answer.reward == 0.75
    assert (answer.metadata.name, answer.metadata.type) == ("share", "python")
    assert not answer.metadata.errors.python_grader_runtime_error
    assert len(endpoint.tenants) == 1


def test_an_exception_is_answered_with_the_graders_own_lines(
    client: OpenAI, endpoint: LambdaEndpoint
) -> None:
    errors = run(client, model_sample="").metadata.errors

    assert errors.python_grader_runtime_error
    told = errors.python_grader_runtime_error_details.splitlines()
    assert told[:3] == [
        "Traceback (most recent call last):",
        '  File "grader.py", line 4, in grade',
        '    return words.count(item["word"]) / len(words)',
    ]
    assert told[-1] == "ZeroDivisionError: division by zero"


def test_what_is_no_number_is_unresponsive(client: OpenAI, endpoint: LambdaEndpoint) -> None:
    metadata = run(client, "def grade(sample, item): print('x' * 10**6)").metadata

    assert metadata.errors.unresponsive_reward_error
    assert metadata.to_dict()["error_message"] == "grade() has to return a number, not None."


def test_it_may_be_a_part_of_a_multi_grader(client: OpenAI, endpoint: LambdaEndpoint) -> None:
    exact = STRING_CHECK | {"reference": "yes"}
    grader: Any = {
        "type": "multi",
        "graders": {"share": a_grader(), "exact": exact},
        "calculate_output": "share + exact",
    }

    answer = client.fine_tuning.alpha.graders.run(grader=grader, model_sample="yes", item={"word": "yes"})

    assert answer.reward == 2.0
    assert answer.sub_rewards == {"share": 1.0, "exact": 1.0}


def test_validate_answers_the_grader_and_runs_nothing(client: OpenAI, endpoint: LambdaEndpoint) -> None:
    grader = a_grader(image_tag="2025-05-08")

    validated = client.fine_tuning.alpha.graders.validate(grader=grader).grader

    assert validated is not None
    assert validated.to_dict() == grader
    assert endpoint.events == []


def test_a_job_with_a_grader_that_cannot_work_is_not_made(client: OpenAI, endpoint: LambdaEndpoint) -> None:
    with pytest.raises(openai.BadRequestError, match=r"line 1: grade has to take two arguments") as caught:
        client.fine_tuning.alpha.graders.validate(grader=a_grader("def grade(sample): return 1"))

    assert caught.value.param == "grader.source"

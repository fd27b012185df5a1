"""The graders in `examples/graders` do what their docstrings say, called the way a job calls them."""

from typing import Any

import pytest

from examples.graders import fields, label, number
from tests.graders.grading import MakePipeline, a_completion


@pytest.mark.parametrize(
    ("text", "reward"),
    [("16 + 2 = 18\n#### 18", 1.0), ("It is 18.", 0.9), ("#### 17", 0.1), ("no idea", 0.0)],
)
def test_number(pipeline: MakePipeline, text: str, reward: float) -> None:
    completion = a_completion(text, reference_answer="He has 16 and gets 2.\n#### 18")

    [graded] = pipeline(number.lambda_handler, "lambda").grade([completion])

    assert graded.reward == pytest.approx(reward)
    assert graded.metrics == {"correct": float("18" in text), "shows_the_answer": float("####" in text)}


@pytest.mark.parametrize(
    ("text", "reward"), [(" Refund ", 1.0), ("A refund, I think.", 0.4), ("billing", 0.0)]
)
def test_label(pipeline: MakePipeline, text: str, reward: float) -> None:
    [graded] = pipeline(label.lambda_handler, "custom_code").grade([a_completion(text, label="refund")])

    assert graded.reward == reward


@pytest.mark.parametrize(
    ("text", "reward"),
    [
        ('{"city": "Paris", "year": 1889}', 1.0),
        ('{"city": "Paris"}', 0.5),
        ('{"city": "Paris", "year": 1889, "height": 330, "colour": "brown"}', 0.5),
        ("Paris, 1889", 0.0),
        ("[]", 0.0),
    ],
)
@pytest.mark.parametrize("type", ["lambda", "custom_code"])
def test_fields(pipeline: MakePipeline, type: Any, text: str, reward: float) -> None:
    completion = a_completion(text, fields={"city": "Paris", "year": 1889})

    [graded] = pipeline(fields.lambda_handler, type).grade([completion])

    assert graded.reward == reward

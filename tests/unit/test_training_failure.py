"""What a person reads about a training job that did not complete."""

from typing import Any

import pytest

from outcrop.operations import training_failure


def described(reason: str, **fields: Any) -> dict[str, Any]:
    return {"TrainingJobStatus": "Failed", "FailureReason": reason, **fields}


@pytest.mark.parametrize(
    ("reason", "message"),
    [
        ("AlgorithmError: The grader answered no score., exit code: 1", "The grader answered no score."),
        ("AlgorithmError: Out of memory at step 3, exit code: 137", "Out of memory at step 3"),
        ("AlgorithmError: two\nlines, exit code: 1", "two\nlines"),
        ("ClientError: Data download failed: no such key", "ClientError: Data download failed: no such key"),
        ("", "The trainer ended without giving a reason."),
    ],
)
def test_the_trainer_s_own_words_are_the_message(reason: str, message: str) -> None:
    failure = training_failure.of_description(described(reason))

    assert failure.error.code == "training_failed"
    assert failure.error.message == message
    assert not failure.is_infrastructure


def test_a_failing_grader_is_told_by_its_code_and_its_own_words() -> None:
    reason = "AlgorithmError: grader_failing: The grader failed on 60%. First failure, KeyError"

    failure = training_failure.of_description(described(f"{reason}, exit code: 1"))

    assert failure.error.code == "grader_failing"
    assert failure.error.message == "The grader failed on 60%. First failure, KeyError"
    assert not failure.is_infrastructure


@pytest.mark.parametrize(
    "reason",
    [
        "AlgorithmError: killed by signal 9 (out of memory?), exit code: 137",
        "AlgorithmError: , exit code: 137",
        "AlgorithmError: killed by signal 15, exit code: 143",
        "InternalServerError: We encountered an internal error. Please try again.",
    ],
)
def test_a_machine_that_failed_is_told_from_training_that_failed(reason: str) -> None:
    failure = training_failure.of_description(described(reason))

    assert failure.error.code == "infrastructure_failure"
    assert failure.is_infrastructure


def test_a_lack_of_machines_is_named() -> None:
    reason = "CapacityError: Unable to provision requested ML compute capacity."

    failure = training_failure.of_description(described(reason))

    assert failure.error.code == "capacity_unavailable"
    assert failure.error.message.endswith(
        "SageMaker says: Unable to provision requested ML compute capacity."
    )


def test_a_job_stopped_by_hand_says_so() -> None:
    description = {"TrainingJobStatus": "Stopped", "SecondaryStatus": "Stopped"}

    failure = training_failure.of_description(description)

    assert failure.error.code == "training_stopped"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        ("SageMaker.ResourceLimitExceededException", "quota_exceeded"),
        ("SageMaker.AmazonSageMakerException", "training_not_started"),
        ("SageMaker.CapacityError", "capacity_unavailable"),
    ],
)
def test_a_training_job_that_was_never_created_gives_sagemaker_s_reason(error: str, code: str) -> None:
    failure = training_failure.of_create(error, "the account-level limit is 0 instances")

    assert failure.error.code == code
    assert failure.error.message.endswith("the account-level limit is 0 instances")

"""Container images as a custom resource: built when not there, and answered however the build ends."""

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest

from lambdas.image_build.handler import handler
from tests.account import Account
from tests.fakes.codebuild import LOG, CloudFormation, FakeCodeBuild, cloudformation
from tests.in_process import a_context


@pytest.fixture
def codebuild(aws: Account) -> Iterator[FakeCodeBuild]:
    fake = FakeCodeBuild()
    with fake.installed(aws.session):
        aws.session.client("ecr").create_repository(repositoryName="trainer")
        yield fake


@pytest.fixture
def stack() -> Iterator[CloudFormation]:
    with cloudformation() as stack:
        yield stack


def call(event: dict[str, Any]) -> None:
    handler(event, a_context())


def push(tag: str) -> None:
    kind = "application/vnd.docker.distribution.manifest.v2+json"
    manifest = json.dumps({"schemaVersion": 2, "mediaType": kind, "layers": [], "config": {"digest": tag}})
    boto3.client("ecr").put_image(repositoryName="trainer", imageTag=tag, imageManifest=manifest)


def test_a_missing_image_is_built_and_answered_when_the_build_is_over(
    codebuild: FakeCodeBuild, stack: CloudFormation
) -> None:
    call(stack.request("Create", "abc"))
    assert not stack.answers

    push("abc")
    call(codebuild.end("images:1", "SUCCEEDED"))

    (answer,) = stack.answers
    assert answer == {
        "Status": "SUCCESS",
        "Reason": "",
        "PhysicalResourceId": "abc",
        "StackId": "arn:aws:cloudformation:us-west-2:123456789012:stack/OutcropImages/1",
        "RequestId": "11111111-2222-3333-4444-Create-abc",
        "LogicalResourceId": "ImageImage",
    }


def test_an_image_that_is_there_is_not_built_again(codebuild: FakeCodeBuild, stack: CloudFormation) -> None:
    push("abc")

    call(stack.request("Update", "abc", PhysicalResourceId="older"))

    assert [answer["Status"] for answer in stack.answers] == ["SUCCESS"]
    assert not codebuild.builds


def test_a_request_that_is_delivered_twice_starts_one_build(
    codebuild: FakeCodeBuild, stack: CloudFormation
) -> None:
    for _ in range(2):
        call(stack.request("Create", "abc"))

    assert len(codebuild.builds) == 1


@pytest.mark.parametrize("status", ["FAILED", "FAULT", "TIMED_OUT", "STOPPED"])
def test_a_failed_build_fails_the_deployment_with_its_reason_and_its_log(
    codebuild: FakeCodeBuild, stack: CloudFormation, status: str
) -> None:
    call(stack.request("Update", "abc", PhysicalResourceId="older"))

    problem = "Error while executing command: docker build --tag . Reason: exit status 1"
    call(codebuild.end("images:1", status, problem))

    (answer,) = stack.answers
    assert answer["Status"] == "FAILED"
    assert answer["Reason"] == f"The build of the image ended as {status}. {problem} Its log: {LOG}"


def test_a_build_that_cannot_be_started_fails_the_deployment_at_once(
    codebuild: FakeCodeBuild, stack: CloudFormation
) -> None:
    codebuild.refuses = "AccountLimitExceededException"

    with pytest.raises(Exception, match="AccountLimitExceeded"):  # for the function's log, too
        call(stack.request("Create", "abc"))

    (answer,) = stack.answers
    assert answer["Status"] == "FAILED"
    assert "Cannot have more than 0 builds in queue" in answer["Reason"]


def test_deleting_an_image_deletes_nothing(codebuild: FakeCodeBuild, stack: CloudFormation) -> None:
    push("older")

    call(stack.request("Delete", "older", PhysicalResourceId="older"))

    (answer,) = stack.answers
    assert (answer["Status"], answer["PhysicalResourceId"]) == ("SUCCESS", "older")
    assert boto3.client("ecr").describe_images(repositoryName="trainer")["imageDetails"]


def test_a_build_that_somebody_started_by_hand_is_nobodys_answer(
    codebuild: FakeCodeBuild, stack: CloudFormation
) -> None:
    boto3.client("codebuild").start_build(
        projectName="images", idempotencyToken="mine", environmentVariablesOverride=[]
    )

    call(codebuild.end("images:1", "SUCCEEDED"))

    assert not stack.answers

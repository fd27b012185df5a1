"""Which deployment a command means: the stacks it finds, and what it says when it finds none."""

from collections.abc import Iterator

import pytest
from botocore.exceptions import ClientError

from outcrop.settings import settings
from outcrop.stores import clients, deployed
from outcrop.stores.refusals import DeploymentError, in_words
from tests.command_process import a_stack, command_account, command_process


@pytest.fixture
def account() -> Iterator[None]:
    with command_account():
        yield


def test_what_the_stacks_give_out_becomes_the_settings(account: None) -> None:
    a_stack("OutcropStorage", {"TableName": "the-table", "BucketName": "the-bucket"})
    a_stack("OutcropWorkflow", {"StateMachineArn": "arn:training"})
    a_stack("SomethingElse", {"TableName": "not-ours"})

    found = deployed.enter()

    assert (found.region, sorted(found.stacks)) == ("us-west-2", ["OutcropStorage", "OutcropWorkflow"])
    assert (settings().table, settings().bucket) == ("the-table", "the-bucket")
    assert settings().state_machine_arn == "arn:training"
    assert clients.dynamodb_table().name == "the-table"


def test_a_region_can_be_named(account: None) -> None:
    a_stack("OutcropStorage", {"TableName": "abroad", "BucketName": "abroad"}, region="eu-central-1")

    found = deployed.enter(region="eu-central-1")

    assert (found.region, settings().table) == ("eu-central-1", "abroad")


def test_where_there_is_none_the_message_says_where_to_look(account: None) -> None:
    a_stack("OutcropStorage", {"TableName": "abroad"}, region="eu-central-1")

    with pytest.raises(DeploymentError, match=r"no Outcrop in us-west-2 of account 123456789012.*--region"):
        deployed.enter()


def test_a_stack_or_an_output_that_is_missing_is_named(account: None) -> None:
    a_stack("OutcropStorage", {"TableName": "the-table"})

    found = deployed.enter()

    with pytest.raises(DeploymentError, match="stack OutcropApi is not in us-west-2"):
        found.output("OutcropApi", "BaseUrl")
    with pytest.raises(DeploymentError, match="OutcropStorage has no output BucketName: an older release"):
        found.output("OutcropStorage", "BucketName")


def test_a_profile_that_is_not_there_is_named() -> None:
    with command_process(), pytest.raises(DeploymentError, match=r"profile \(no-such\).*list-profiles"):
        deployed.enter(profile="no-such")


def test_without_credentials_it_says_how_to_get_some() -> None:
    with command_process(region=""), pytest.raises(DeploymentError, match="No Region is named"):
        deployed.enter()
    with command_process(), pytest.raises(DeploymentError, match="There are no AWS credentials"):
        deployed.enter()


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("ExpiredToken", "have expired"),
        ("ExpiredTokenException", "have expired"),
        ("InvalidClientTokenId", "does not know these credentials"),
        ("AccessDenied", "may not call DescribeStacks. AWS says: No."),
        ("SomethingNew", "answered DescribeStacks with SomethingNew: No."),
    ],
)
def test_what_aws_refuses_is_told_in_words(code: str, words: str) -> None:
    refused = ClientError({"Error": {"Code": code, "Message": "No."}}, "DescribeStacks")

    with pytest.raises(DeploymentError, match=words), in_words():
        raise refused

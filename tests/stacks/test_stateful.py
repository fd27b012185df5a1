"""What holds state keeps its logical id, so that no upgrade replaces it; it stays, unless `dev` is set."""

from typing import Any

import pytest

from scripts.synthesis import Templates, reading, templates
from tests.stacks.guarded import GUARDED

PINNED = {
    ("OutcropStorage", "AWS::DynamoDB::Table"): "TableCD117FA1",
    ("OutcropStorage", "AWS::S3::Bucket"): "Bucket83908E77",
    ("OutcropImages", "AWS::ECR::Repository"): "ImageRepositoryD8036990",
}
"""Logical ids of release 0.1.0. One that changes makes CloudFormation replace the resource: what was in it
stays behind, and the deployment is empty."""
REPLACED_BY = {
    "AWS::DynamoDB::Table": ("KeySchema", "TableName", "LocalSecondaryIndexes"),
    "AWS::S3::Bucket": ("BucketName",),
    "AWS::ECR::Repository": ("RepositoryName",),
}
"""Properties whose change replaces the resource, too."""
DEV = pytest.param({"dev": True}, "Delete", marks=pytest.mark.slow)


def stateful(of: Templates) -> dict[tuple[str, str], dict[str, dict[str, Any]]]:
    types = {type for _, type in PINNED}
    return {
        (stack, type): found
        for stack, template in of.items()
        for type in types
        if (found := reading(template, type))
    }


@pytest.mark.parametrize(
    "settings", [{}, GUARDED, pytest.param({"dev": True}, marks=pytest.mark.slow)], ids=["", "guarded", "dev"]
)
def test_whatever_is_set_what_holds_state_has_the_id_it_always_had(settings: dict[str, Any]) -> None:
    found = stateful(templates(**settings))

    assert {place: list(resources) for place, resources in found.items()} == {
        place: [id] for place, id in PINNED.items()
    }
    ((_, table),) = found["OutcropStorage", "AWS::DynamoDB::Table"].items()
    assert table["Properties"]["KeySchema"] == [
        {"AttributeName": "pk", "KeyType": "HASH"},
        {"AttributeName": "sk", "KeyType": "RANGE"},
    ]
    for (_, type), resources in found.items():
        for resource in resources.values():
            named = set(REPLACED_BY[type]) & resource["Properties"].keys()
            assert named <= {"KeySchema"}


@pytest.mark.parametrize(("settings", "policy"), [({}, "Retain"), DEV], ids=["", "dev"])
def test_what_holds_state_stays_unless_dev_is_set(settings: dict[str, Any], policy: str) -> None:
    for resources in stateful(templates(**settings)).values():
        for resource in resources.values():
            assert (resource["DeletionPolicy"], resource["UpdateReplacePolicy"]) == (policy, policy)


@pytest.mark.slow
def test_in_dev_bucket_and_repository_are_emptied_before_they_are_deleted() -> None:
    of = templates(dev=True)

    assert reading(of["OutcropStorage"], "Custom::S3AutoDeleteObjects")
    (repository,) = reading(of["OutcropImages"], "AWS::ECR::Repository").values()
    assert repository["Properties"]["EmptyOnDelete"] is True

"""Training images that no job has been trained with for 30 days are put away; the others are kept."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import boto3
import pytest
import time_machine

from outcrop.operations.reconcile import whole
from outcrop.settings import settings
from outcrop.stores import container_images
from outcrop.stores.jobs import JobStore
from tests import factories
from tests.account import Account
from tests.aws_events import answering
from tests.factories import PROJECT
from tests.operations.test_image_builds import push
from tests.operations.test_reconcile import clock, found, motos_own_training_jobs

__all__ = ["clock", "motos_own_training_jobs"]  # fixtures
DAY, PULLED = 24 * 3600, "lastRecordedPullTime"


@pytest.fixture(autouse=True)
def _an_image_that_is_built(
    aws: Account, clock: time_machine.Traveller, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    boto3.client("ecr").create_repository(repositoryName="trainer")
    push("abc")
    image = "123456789012.dkr.ecr.us-west-2.amazonaws.com/trainer:abc"
    monkeypatch.setenv("OUTCROP_IMAGE_PROJECTS", json.dumps({image: "images"}))
    settings.cache_clear()
    yield
    settings.cache_clear()


def test_an_image_that_nobody_has_used_for_30_days_is_put_away(clock: time_machine.Traveller) -> None:
    clock.shift(30 * DAY - 1)
    assert found() == whole.sweep() == []

    clock.shift(1)
    (finding,) = found()
    (swept,) = whole.sweep()

    assert finding.about == swept.finding.about == "repository trainer"
    assert re.fullmatch(r"1 image \(\d\.\d GB\) that no job has trained with for 30 days\.", finding.says)
    assert swept.error is None
    assert not container_images.has_image("trainer", "abc")
    assert whole.sweep() == found() == []


def test_the_last_pull_counts_and_not_the_build(clock: time_machine.Traveller) -> None:
    """Which moto does not write down."""
    clock.shift(60 * DAY)
    pulled = datetime.now(UTC) - timedelta(days=29)

    with answering("ecr", "DescribeImages", lambda given: given["imageDetails"][0].update({PULLED: pulled})):
        assert found() == whole.sweep() == []
        clock.shift(DAY)
        assert [one.error for one in whole.sweep()] == [None]


@pytest.mark.parametrize("status", ["validating_files", "queued", "running"])
def test_an_image_is_kept_while_a_job_may_train(clock: time_machine.Traveller, status: str) -> None:
    clock.shift(40 * DAY)
    factories.a_job(status=status)

    assert found() == whole.sweep() == []
    assert container_images.has_image("trainer", "abc")


@pytest.mark.parametrize("status", ["paused", "succeeded", "failed", "cancelled"])
def test_a_job_that_is_paused_or_has_ended_keeps_the_image_for_30_days(
    clock: time_machine.Traveller, status: str
) -> None:
    """Whatever ECR knows of it."""
    clock.shift(40 * DAY)
    job = factories.a_job(status=status)
    JobStore(PROJECT).note_end_told(job.id)

    clock.shift(30 * DAY - 1)
    assert found() == whole.sweep() == []

    clock.shift(1)
    whole.sweep()
    assert not container_images.has_image("trainer", "abc")


def test_a_job_that_is_created_meanwhile_keeps_the_image(clock: time_machine.Traveller) -> None:
    clock.shift(40 * DAY)
    (finding,) = found()
    factories.a_job(status="validating_files")

    assert whole.repaired(finding).error is None
    assert container_images.has_image("trainer", "abc")


def test_what_ecr_keeps_is_told(clock: time_machine.Traveller) -> None:
    clock.shift(40 * DAY)
    kept = {"failures": [{"failureCode": "KmsError", "failureReason": "the key is disabled"}]}

    with answering("ecr", "BatchDeleteImage", lambda given: given.update(kept)):
        (swept,) = whole.sweep()

    assert str(swept.error) == "ECR does not delete 1 of the images in trainer. KmsError: the key is disabled"


def test_a_repository_that_is_gone_and_images_of_others_are_let_be(
    clock: time_machine.Traveller, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock.shift(40 * DAY)
    projects = settings().image_projects
    monkeypatch.setenv("OUTCROP_IMAGE_PROJECTS", "{}")
    settings.cache_clear()
    assert whole.sweep() == []
    assert container_images.has_image("trainer", "abc")

    monkeypatch.setenv("OUTCROP_IMAGE_PROJECTS", projects)
    settings.cache_clear()
    boto3.client("ecr").delete_repository(repositoryName="trainer", force=True)
    assert whole.sweep() == []

"""Calls to the account that only commands make: how something of the deployment is set up, and its end."""

from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from functools import cache
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from outcrop.stores.clients import client
from outcrop.stores.refusals import DeploymentError, is_denied, told

BOTO3_VERSION: str = boto3.__version__


class Refused(DeploymentError):
    """AWS did not answer the question."""

    def __init__(self, error: BotoCoreError | ClientError) -> None:
        super().__init__(told(error))
        self.code = error.response.get("Error", {}).get("Code", "") if isinstance(error, ClientError) else ""
        self.is_denied = is_denied(error)


def ask(service: str, operation: str, **about: Any) -> dict[str, Any]:
    """Raises: Refused."""
    try:
        return getattr(client(service), operation)(**about)
    except (BotoCoreError, ClientError) as error:
        raise Refused(error) from error


def find(
    service: str, operation: str, *, absent: str | tuple[str, ...], **about: Any
) -> dict[str, Any] | None:
    """As `ask`; None where AWS answers with a code that is, or begins with, one of `absent`."""
    try:
        return ask(service, operation, **about)
    except Refused as error:
        if not error.code.startswith(absent):
            raise
        return None


def every(service: str, operation: str, field: str, **about: Any) -> Iterator[dict[str, Any]]:
    """All that the pages of a list have in `field`. Raises: Refused."""
    try:
        for page in client(service).get_paginator(operation).paginate(**about):
            yield from page.get(field, ())
    except (BotoCoreError, ClientError) as error:
        raise Refused(error) from error


def aws_time() -> int:
    """What AWS's clock shows. Raises: Refused."""
    answer = ask("sts", "get_caller_identity")
    return int(parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"]).timestamp())


def has_service(region: str, service: str) -> bool:
    """As far as boto3 knows."""
    session = _session()
    partition = session.get_partition_for_region(region)
    return region in session.get_available_regions(service, partition_name=partition)


@cache
def _session() -> boto3.session.Session:
    """For what it knows by itself: no account is asked."""
    return boto3.session.Session()


def names(service: str, operation: str, field: str) -> Iterator[str]:
    """As `every`, of a list of plain names."""
    try:
        for page in client(service).get_paginator(operation).paginate():
            yield from page.get(field, ())
    except (BotoCoreError, ClientError) as error:
        raise Refused(error) from error


def region() -> str:
    return client("sts").meta.region_name

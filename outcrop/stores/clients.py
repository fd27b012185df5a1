"""The process's AWS clients, each made once, at its first use: a cold start pays only for what it calls."""

from functools import cache
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config

from outcrop.settings import settings

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table
    from mypy_boto3_s3.client import S3Client

# Four attempts within seconds, then the caller hears of it: an API request has 29 s in all.
_CONFIG = Config(
    connect_timeout=3,
    read_timeout=20,
    max_pool_connections=32,
    retries={"mode": "standard", "total_max_attempts": 4},
)


@cache
def dynamodb_table() -> "Table":
    return boto3.resource("dynamodb", config=_CONFIG).Table(settings().table)


@cache
def s3() -> "S3Client":
    return boto3.client("s3", config=_CONFIG)


@cache
def s3_links() -> "S3Client":
    """For URLs that others use: signed and addressed so that they work in every Region and for every bucket's
    name. By default they would name the global endpoint, which redirects, and sign in a way it may refuse."""
    return boto3.client(
        "s3", config=_CONFIG.merge(Config(signature_version="s3v4", s3={"addressing_style": "path"}))
    )


@cache
def client(name: str) -> Any:
    """The client of any other service; `Any`, since its type depends on `name`."""
    return boto3.client(name, config=_CONFIG)  # pyright: ignore[reportCallIssue, reportArgumentType]


@cache
def model_client(name: str) -> Any:
    """The client of a service that runs models: they take their time, and it is theirs alone to answer. One
    more try is for connections that have died unnoticed; each try may cost an answer's work."""
    config = _CONFIG.merge(
        Config(read_timeout=120, max_pool_connections=128, retries={"total_max_attempts": 2})
    )
    return boto3.client(name, config=config)  # pyright: ignore[reportCallIssue, reportArgumentType]


def forget() -> None:
    """Make clients anew at their next use: the process now acts with another account, Region or table."""
    for made in (dynamodb_table, s3, s3_links, client, model_client):
        made.cache_clear()

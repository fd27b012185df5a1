"""The process of a command on somebody's laptop: an AWS account, credentials for it, and no settings yet."""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import boto3
import pytest
from moto import mock_aws

from outcrop.settings import settings
from outcrop.stores import clients

REGION = "us-west-2"


@contextmanager
def command_process(*, region: str = REGION) -> Iterator[None]:
    """An empty account. What a command changes in its environment is undone."""
    before = dict(os.environ)
    with pytest.MonkeyPatch.context() as patch:
        try:
            for name in [name for name in os.environ if name.startswith(("OUTCROP_", "AWS_"))]:
                del os.environ[name]
            os.environ |= {"AWS_EC2_METADATA_DISABLED": "true"}
            for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
                os.environ[name] = os.devnull
            if region:
                os.environ["AWS_DEFAULT_REGION"] = region
            patch.setattr(boto3, "DEFAULT_SESSION", None)
            clients.forget()
            settings.cache_clear()
            yield
        finally:
            os.environ.clear()
            os.environ.update(before)
            clients.forget()
            settings.cache_clear()


@contextmanager
def command_account() -> Iterator[None]:
    """As `command_process`, with credentials for an empty emulated account."""
    with command_process(), mock_aws():
        yield


def a_stack(name: str, outputs: Mapping[str, str], region: str = REGION) -> None:
    """A stack with nothing in it but what it says."""
    template = {
        "Resources": {"Queue": {"Type": "AWS::SQS::Queue"}},
        "Outputs": {key: {"Value": value} for key, value in outputs.items()},
    }
    boto3.client("cloudformation", region_name=region).create_stack(
        StackName=name, TemplateBody=json.dumps(template)
    )

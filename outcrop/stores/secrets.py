"""Texts kept in Secrets Manager, each read once by a process and never shown."""

from functools import cache

import boto3
from botocore.exceptions import ClientError


class SecretUnreadable(Exception):
    """The message names the secret, and not what is in it."""


@cache
def text(arn: str) -> str:
    """Raises: SecretUnreadable."""
    try:
        secret = boto3.client("secretsmanager", region_name=arn.split(":")[3]).get_secret_value(SecretId=arn)
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "")
        raise SecretUnreadable(f"The secret {arn} cannot be read ({code}).") from error
    found = secret.get("SecretString", "").strip()
    if not found or not found.isascii() or not found.isprintable():
        raise SecretUnreadable(f"The secret {arn} has to be the token itself, as text.")
    return found

"""A judge's API key: the text of a secret in Secrets Manager, read once by each process and never shown."""

import threading
from functools import cache

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from outcrop.graders.judges.judge import failed

_READING = threading.Lock()


def api_key(arn: str) -> str:
    """Raises: JudgeFailure if the secret cannot be read or holds no text."""
    with _READING:  # the first of many threads reads it for all
        return _read(arn)


@cache
def _read(arn: str) -> str:
    region = arn.split(":")[3]
    try:
        secret = boto3.client("secretsmanager", region_name=region).get_secret_value(SecretId=arn)
    except (ClientError, BotoCoreError) as error:
        reported = error.response.get("Error", {}) if isinstance(error, ClientError) else {}
        reason = reported.get("Code", type(error).__name__)
        raise failed(f"The secret of the judge's API key cannot be read ({reason}): {arn}.") from error
    key = secret.get("SecretString", "").strip()
    if not key.isascii() or not key.isprintable() or not key:
        raise failed(f"The secret of the judge's API key has to be the key itself, as text: {arn}.")
    return key

"""Which failures of AWS pass by themselves: the same call may well succeed in a moment. Why others do not."""

import random
import time
from collections.abc import Callable
from typing import Any, TypeVar

from botocore.exceptions import ClientError, ConnectionError, HTTPClientError

Answer = TypeVar("Answer")

_PAUSES = (0.1, 0.2, 0.4, 0.8)
"""Between tries of a write, in seconds, at the most."""

_BUSY = {
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "RequestThrottled",
    "SlowDown",
    "Throttling",
    "ThrottlingException",
    "ThrottledException",
    "TooManyRequestsException",
    "TransactionConflictException",
}


def will_pass(error: BaseException) -> bool:
    """Whether `error` is AWS being busy or out of reach, after all of the client's own attempts."""
    if isinstance(error, ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return status >= 500 or error.response.get("Error", {}).get("Code") in _BUSY
    return isinstance(error, ConnectionError | HTTPClientError)


def despite_conflicts(write: Callable[[], Answer]) -> Answer:
    """DynamoDB refuses a write that meets a transaction on the same row; neither has gone wrong."""
    for longest_pause in _PAUSES:
        try:
            return write()
        except ClientError as error:
            if not any(reason.startswith("TransactionConflict") for reason in reasons(error)):
                raise
            time.sleep(random.uniform(0, longest_pause))  # noqa: S311 (spreads tries, guards nothing)
    return write()


def reasons(error: ClientError) -> list[str]:
    """Why a write was refused: the error's own code, then, of a transaction, one for each of its parts."""
    parts: list[Any] = error.response.get("CancellationReasons", [])
    return [error.response.get("Error", {}).get("Code", ""), *(one.get("Code", "") for one in parts)]

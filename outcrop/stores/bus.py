"""What others are told: events on the account's default EventBridge bus."""

import json
from collections.abc import Mapping
from typing import Any

from outcrop.stores.clients import client

SOURCE = "outcrop"
"""Of all events; roles may put no other."""


class BusError(Exception):
    """EventBridge did not take an event. Telling again is right."""


def tell(detail_type: str, detail: Mapping[str, Any]) -> None:
    """Raises: BusError, ClientError."""
    entry = {"Source": SOURCE, "DetailType": detail_type, "Detail": json.dumps(detail)}
    answer = client("events").put_events(Entries=[entry])
    if answer["FailedEntryCount"]:  # the call itself succeeds then
        (refused,) = answer["Entries"]
        raise BusError(f"{refused['ErrorCode']}: {refused.get('ErrorMessage', '')}")

"""What is known of the things that serve models: how far they are, who used them last.

A cold start is waited for by many at once, in as many processes. One of them looks, every few seconds, for
all: a row per thing says when that was, and what was seen.
"""

from collections.abc import Callable
from typing import Any, Literal

from botocore.exceptions import ClientError
from pydantic import BaseModel

from outcrop.stores import rows
from outcrop.stores.clients import dynamodb_table

USED_EVERY_SECONDS = 300
"""How exact `used_at` is: a busy model costs one write in that time."""

State = Literal["ready", "waiting", "failed", "asleep"]


class Sight(BaseModel):
    """What somebody saw who looked at a thing."""

    state: State
    message: str = ""
    """Says it to whoever waits."""
    should_retry: bool = True
    """Of a failure: whether asking again may help."""


class Served(Sight):
    """A row: an endpoint, or an adapter on one."""

    name: str
    state: State = "waiting"
    looked_at: int = 0
    """When somebody began to look; what they saw, if they have told, is of this time or a little later."""
    seen_at: int = 0
    used_at: int = 0
    """When somebody last asked for it, give or take five minutes."""
    scaled: str = ""
    """Of an endpoint: the creation time of the component whose scaling is set up."""


class ServingStore:
    """The things of one endpoint, or the endpoints themselves."""

    def __init__(self, endpoint: str = "") -> None:
        self._pk = f"SERVING#{endpoint}" if endpoint else "SERVING"

    def look(
        self, name: str, now: int, *, every_seconds: int, see: Callable[[], Sight], is_use: bool = True
    ) -> tuple[Served, bool]:
        """The thing as it is known to be, and whether that is first-hand: whoever comes `every_seconds` after
        the last look has `see` do the next one. A new thing is made known before it is looked at."""
        if not self._may_look(name, now, every_seconds, is_use):
            known = self.get(name)
            return known or Served(name=name), False
        sight = see()
        seen = {"state": sight.state, "message": sight.message, "should_retry": sight.should_retry}
        row = rows.update(
            self._pk,
            name,
            Served,
            {**seen, "seen_at": now},
            condition="attribute_exists(pk)",
        )
        return row or Served(name=name, **seen), True

    def get(self, name: str) -> Served | None:
        return rows.get(self._pk, name, Served)

    def list(self) -> list[Served]:
        return rows.every(self._pk, Served)

    def used(self, name: str, now: int) -> None:
        """Note that it is in use; of one that is not known, nothing is noted."""
        rows.update(
            self._pk,
            name,
            Served,
            {"used_at": now},
            condition="attribute_exists(pk) AND (attribute_not_exists(#used_at) OR #used_at <= :before)",
            operands={":before": now - USED_EVERY_SECONDS},
        )

    def scaled(self, name: str, component: str) -> None:
        rows.update(self._pk, name, Served, {"scaled": component}, condition="attribute_exists(pk)")

    def forget(self, name: str) -> None:
        dynamodb_table().delete_item(Key={"pk": self._pk, "sk": name})

    def _may_look(self, name: str, now: int, every_seconds: int, is_use: bool) -> bool:
        used = "used_at = :now" if is_use else "used_at = if_not_exists(used_at, :now)"
        values: dict[str, Any] = {":now": now, ":before": now - every_seconds, ":name": name}
        try:
            dynamodb_table().update_item(
                Key={"pk": self._pk, "sk": name},
                UpdateExpression=f"SET looked_at = :now, #name = :name, {used}",
                ConditionExpression="attribute_not_exists(looked_at) OR looked_at <= :before",
                ExpressionAttributeNames={"#name": "name"},
                ExpressionAttributeValues=values,
            )
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") != "ConditionalCheckFailedException":
                raise
            return False
        return True

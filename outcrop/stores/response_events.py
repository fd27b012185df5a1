"""The events of a background response that is streamed: a row for each second of them, then one for the end.

A row's key is the last sequence number it holds, so what follows a number is one query. No row is written
after the end: whoever has read it has read all. Events that carry the whole `response` are kept without it.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from botocore.exceptions import ClientError
from pydantic import BaseModel

from outcrop import s3_keys
from outcrop.stores import bodies, rows
from outcrop.stores.bodies import Body
from outcrop.stores.clients import dynamodb_table
from outcrop.stores.failures import despite_conflicts, reasons

_END = "end"  # sorts after all numbers
_HIGHEST = 999_999_999

Event = dict[str, Any]


class _Row(BaseModel):
    sk: str
    body: Body = b""


class ResponseEvents:
    def __init__(self, project: str, response_id: str) -> None:
        self._project = project
        self._id = response_id
        self._pk = f"P#{project}#RESPONSE#{response_id}#EVENT"

    def append(self, events: Sequence[Event]) -> bool:
        """Whether they were written: not after the end. Writing them again changes nothing."""
        name = _name(events[-1]["sequence_number"])
        body = bodies.pack(events, s3_keys.body(self._project, self._id, f"events-{name}"))
        table = dynamodb_table().name
        before_the_end: Any = {
            "TableName": table,
            "Key": self._key(_END),
            "ConditionExpression": "attribute_not_exists(pk)",
        }
        row: Any = {"TableName": table, "Item": self._key(name) | {"body": body, "ttl": bodies.expiry()}}
        try:
            rows.transact([{"ConditionCheck": before_the_end}, {"Put": row}])
        except ClientError as error:
            if "ConditionalCheckFailed" not in reasons(error):
                raise
            return False
        return True

    def end(self) -> None:
        """Ending again changes nothing."""
        despite_conflicts(lambda: dynamodb_table().put_item(Item=self._key(_END) | {"ttl": bodies.expiry()}))

    def has_ended(self) -> bool:
        return "Item" in dynamodb_table().get_item(Key=self._key(_END), ConsistentRead=True)

    def after(self, sequence_number: int) -> Iterator[Event | None]:
        """The events with a greater number that are written by now, in order; then a None, if no more will
        be."""
        for row in self._rows("sk > :sk", _name(sequence_number)):
            if row.sk == _END:
                yield None
                return
            for event in bodies.unpack(row.body):
                if event["sequence_number"] > sequence_number:
                    yield event

    def last(self) -> int:
        """The greatest number written by now; -1 without any."""
        newest = next(self._rows("sk < :sk", _END, newest_first=True), None)
        return int(newest.sk) if newest else -1

    def delete(self) -> None:
        """Remove all but the end, which says nothing and keeps the worker from writing more."""
        for row in self._rows("sk < :sk", _END):
            dynamodb_table().delete_item(Key=self._key(row.sk))
            bodies.discard(row.body)

    def _rows(self, condition: str, sk: str, *, newest_first: bool = False) -> Iterator[_Row]:
        query: dict[str, Any] = {
            "KeyConditionExpression": f"pk = :pk AND {condition}",
            "ExpressionAttributeValues": {":pk": self._pk, ":sk": sk},
            "ScanIndexForward": not newest_first,
            "ConsistentRead": True,
        }
        if newest_first:
            query["Limit"] = 1
        while True:
            answer = dynamodb_table().query(**query)
            yield from map(_Row.model_validate, answer["Items"])
            if "LastEvaluatedKey" not in answer:
                return
            query["ExclusiveStartKey"] = answer["LastEvaluatedKey"]

    def _key(self, sk: str) -> dict[str, str]:
        return {"pk": self._pk, "sk": sk}


def _name(sequence_number: int) -> str:
    """Sorts as the number does: -1, which is before all events, before all digits."""
    return f"{min(sequence_number, _HIGHEST):09d}"

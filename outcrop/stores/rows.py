"""How API objects lie in the table: one row each, sorted by id. The keys are in docs/architecture.md."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, Literal, TypeVar

import orjson
from botocore.exceptions import ClientError
from pydantic import BaseModel

from outcrop.errors import invalid_cursor
from outcrop.ids import is_id
from outcrop.stores.clients import dynamodb_table
from outcrop.stores.failures import despite_conflicts, reasons
from outcrop.types.page import Page

Order = Literal["asc", "desc"]
Row = TypeVar("Row", bound=BaseModel)
Other = TypeVar("Other", bound=BaseModel)

_NAMED = re.compile(r"#(\w+)")

# DynamoDB has no floats, so whatever may hold one is JSON text.
_JSON_ATTRIBUTES = {
    "billed",
    "budget_usd",
    "data",
    "error",
    "hyperparameters",
    "metadata",
    "method",
    "metrics",
    "result_files",
}


def encode(values: Mapping[str, Any]) -> dict[str, Any]:
    """Field values as DynamoDB stores them. A None says that there is nothing, and so does its absence."""
    plain = {name: _plain(value) for name, value in values.items()}
    return {
        name: orjson.dumps(value).decode() if name in _JSON_ATTRIBUTES else value
        for name, value in plain.items()
        if value is not None
    }


def decode(kind: type[Row], attributes: Mapping[str, Any]) -> Row:
    return kind.model_validate(
        {
            name: orjson.loads(value) if name in _JSON_ATTRIBUTES else value
            for name, value in attributes.items()
            if name not in ("pk", "sk", "ttl")
        }
    )


def item(pk: str, sk: str, row: BaseModel, *, ttl: int | None = None) -> dict[str, Any]:
    """A row as it lies in the table."""
    expiry = {} if ttl is None else {"ttl": ttl}
    return {"pk": pk, "sk": sk, **encode(row.model_dump(mode="json")), **expiry}


def put(pk: str, sk: str, row: BaseModel, *, ttl: int | None = None) -> None:
    """Write a whole row; writing it again changes nothing, so a retry is safe. `ttl`: when it goes away."""
    dynamodb_table().put_item(Item=item(pk, sk, row, ttl=ttl))


def put_new(pk: str, sk: str, row: BaseModel, *, ttl: int | None = None) -> bool:
    """Write a row unless there is one already; whether it was written."""
    try:
        dynamodb_table().put_item(
            Item=item(pk, sk, row, ttl=ttl), ConditionExpression="attribute_not_exists(pk)"
        )
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") != "ConditionalCheckFailedException":
            raise
        return False
    return True


def put_new_together(*new: tuple[str, str, BaseModel]) -> bool:
    """Write rows (`pk`, `sk`, row) in one transaction unless the first of them is there already; whether they
    were written."""
    table = dynamodb_table().name
    puts: list[Any] = [{"Put": {"TableName": table, "Item": item(*one)}} for one in new]
    puts[0]["Put"]["ConditionExpression"] = "attribute_not_exists(pk)"
    try:
        transact(puts)
    except ClientError as error:
        if "ConditionalCheckFailed" not in reasons(error):
            raise
        return False
    return True


def delete_together(*keys: tuple[str, str]) -> None:
    """Delete rows (`pk`, `sk`) in one transaction; those that are not there are no failure."""
    table = dynamodb_table().name
    deletes: list[Any] = [{"Delete": {"TableName": table, "Key": {"pk": pk, "sk": sk}}} for pk, sk in keys]
    transact(deletes)


def transact(actions: Sequence[Any]) -> None:
    """All of these or none. Raises: ClientError, with a reason for each action that was refused."""
    client = dynamodb_table().meta.client
    despite_conflicts(lambda: client.transact_write_items(TransactItems=actions))


def get(pk: str, sk: str, kind: type[Row]) -> Row | None:
    if not _can_be_a_key(sk):
        return None
    item = dynamodb_table().get_item(Key={"pk": pk, "sk": sk}, ConsistentRead=True).get("Item")
    return decode(kind, item) if item else None


def get_many(pk: str, sks: Sequence[str], kind: type[Row]) -> dict[str, Row]:
    """Those of up to 100 rows of a partition that are there, by `sk`, in one call."""
    found = _batch([(pk, sk) for sk in dict.fromkeys(sks) if _can_be_a_key(sk)])
    return {sk: decode(kind, row) for (_, sk), row in found.items()}


def get_both(
    one: tuple[str, str, type[Row]], other: tuple[str, str, type[Other]]
) -> tuple[Row | None, Other | None]:
    """Two rows in one call, each by its `pk`, `sk` and kind."""
    found = _batch([one[:2], other[:2]])
    first, second = found.get(one[:2]), found.get(other[:2])
    return (decode(one[2], first) if first else None), (decode(other[2], second) if second else None)


def _batch(keys: Sequence[tuple[str, str]]) -> dict[tuple[str, str], Mapping[str, Any]]:
    """Those of up to 100 rows that are there."""
    table = dynamodb_table().name
    asked: list[Any] = [{"pk": pk, "sk": sk} for pk, sk in keys]
    found: dict[tuple[str, str], Mapping[str, Any]] = {}
    while asked:
        answer = dynamodb_table().meta.client.batch_get_item(
            RequestItems={table: {"Keys": asked, "ConsistentRead": True}}
        )
        for row in answer["Responses"].get(table, []):
            found[str(row["pk"]), str(row["sk"])] = row
        asked = list(answer["UnprocessedKeys"].get(table, {"Keys": []})["Keys"])
    return found


def update(
    pk: str,
    sk: str,
    kind: type[Row],
    changes: Mapping[str, Any],
    *,
    condition: str,
    operands: Mapping[str, Any] | None = None,
) -> Row | None:
    """The row with its changes (None removes an attribute), or None if it does not meet the condition.

    The condition may name any attribute as `#name`; `operands` are its own `:values`.
    """
    if not _can_be_a_key(sk):
        return None
    values = encode(changes)
    removed = [name for name in changes if name not in values]
    expression = "SET " + ", ".join(f"#{name} = :{name}" for name in values)
    if removed:
        expression += " REMOVE " + ", ".join(f"#{name}" for name in removed)
    try:
        updated = dynamodb_table().update_item(
            Key={"pk": pk, "sk": sk},
            UpdateExpression=expression,
            ConditionExpression=condition,
            ExpressionAttributeNames={f"#{name}": name for name in [*changes, *_NAMED.findall(condition)]},
            ExpressionAttributeValues={
                **{f":{name}": value for name, value in values.items()},
                **(operands or {}),
            },
            ReturnValues="ALL_NEW",
        )
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") != "ConditionalCheckFailedException":
            raise
        return None
    return decode(kind, updated.get("Attributes", {}))


def page(
    pk: str,
    kind: type[Row],
    *,
    after: str | None,
    limit: int,
    prefix: str,
    order: Order = "desc",
    keep: Callable[[Row], bool] | None = None,
) -> Page[Row]:
    """Up to `limit` rows of a partition that `keep` lets through, from the row after the cursor `after`.

    Ids sort by time, so the id of a row deleted meanwhile still says where to go on: a client may delete what
    it lists. Any other cursor must be a row of the list, whose ids begin with `prefix`: the query starts at
    the cursor itself, so that row comes first.

    Raises: APIError with param `after`.
    """
    rows = _query(pk, after=after, descending=order == "desc", at_most=limit + 2 if keep is None else None)
    if after is not None:
        first = next(rows, {}) if _can_be_a_key(after) else {}
        if first.get("sk") != after:
            if not is_id(after, prefix):
                raise invalid_cursor(after)
            rows = chain([first] if first else [], rows)
    found: list[Row] = []
    for row in rows:
        one = decode(kind, row)
        if keep is not None and not keep(one):
            continue
        if len(found) == limit:
            return Page[kind].of(found, has_more=True)
        found.append(one)
    return Page[kind].of(found)


def every(pk: str, kind: type[Row]) -> list[Row]:
    """All rows of a partition, in the order of their keys."""
    return [decode(kind, row) for row in _query(pk, after=None, descending=False, at_most=None)]


def _query(
    pk: str, *, after: str | None, descending: bool, at_most: int | None
) -> Iterator[Mapping[str, Any]]:
    condition, values = "pk = :pk", {":pk": pk}
    if after:
        condition += " AND sk <= :after" if descending else " AND sk >= :after"
        values[":after"] = after
    # Consistent: a list shows what its reader has just written. Text, since boto3 writes its own conditions
    # in an object that all threads of a table share.
    query: dict[str, Any] = {
        "KeyConditionExpression": condition,
        "ExpressionAttributeValues": values,
        "ScanIndexForward": not descending,
        "ConsistentRead": True,
    }
    if at_most:
        query["Limit"] = at_most
    while True:
        answer = dynamodb_table().query(**query)
        yield from answer["Items"]
        if "LastEvaluatedKey" not in answer:
            return
        query["ExclusiveStartKey"] = answer["LastEvaluatedKey"]


def _can_be_a_key(sk: str) -> bool:
    """Whether a caller's id may be asked for at all: DynamoDB fails a call with a key of another size."""
    return 0 < len(sk.encode()) <= 1024


def _plain(value: Any) -> Any:
    return value.model_dump(mode="json") if isinstance(value, BaseModel) else value

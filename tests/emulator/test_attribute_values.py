"""DynamoDB's answers are the same bytes however they are written."""

from typing import Any

import boto3
import pytest
from moto.core.serialize import BaseJSONSerializer

from local.attribute_values import motos_way

pytestmark = pytest.mark.usefixtures("emulator")

ITEM: dict[str, Any] = {
    "pk": {"S": "é"},
    "number": {"N": "-1.50"},
    "bytes": {"B": b"\x00\xff"},
    "set": {"SS": ["a", "b"]},
    "numbers": {"NS": ["1", "2"]},
    "blobs": {"BS": [b"\x00", b"\x01"]},
    "list": {"L": [{"S": ""}, {"L": []}, {"M": {"S": {"BOOL": False}}}, {"NULL": True}]},
    "map": {"M": {"N": {"N": "0"}, "empty": {"M": {}}}},
}


def answers() -> list[bytes]:
    """Of the operations that answer with items."""
    client = boto3.client("dynamodb")
    bodies: list[bytes] = []
    client.meta.events.register(
        "before-parse.dynamodb", lambda response_dict, **_: bodies.append(response_dict["body"])
    )
    key = {"pk": ITEM["pk"]}
    client.put_item(TableName="items", Item=ITEM)
    client.get_item(TableName="items", Key=key)
    client.query(
        TableName="items",
        KeyConditionExpression="pk = :pk",
        ExpressionAttributeValues={":pk": ITEM["pk"]},
    )
    client.batch_get_item(RequestItems={"items": {"Keys": [key]}})
    client.transact_get_items(TransactItems=[{"Get": {"TableName": "items", "Key": key}}])
    client.update_item(
        TableName="items",
        Key=key,
        UpdateExpression="SET another = :other",
        ExpressionAttributeValues={":other": {"L": [{"N": "7"}]}},
        ReturnValues="ALL_NEW",
    )
    client.delete_item(TableName="items", Key=key, ReturnValues="ALL_OLD")
    return bodies


def test_an_answer_is_what_moto_would_write(monkeypatch: pytest.MonkeyPatch) -> None:
    boto3.client("dynamodb").create_table(
        TableName="items",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )

    ours = answers()
    monkeypatch.setattr(BaseJSONSerializer, motos_way.__name__, motos_way)
    motos = answers()

    assert ours == motos
    assert b'"BOOL": false' in ours[1] and len(ours) == 7

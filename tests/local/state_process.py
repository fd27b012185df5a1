"""A process with an emulator whose state is kept in a folder: `python state_process.py FOLDER COUNT`.

It restores and prints what there is. Then it writes COUNT objects, each before the row that refers to it, prints
`written`, and waits to be killed.
"""

import json
import sys
import time
from pathlib import Path

from local.emulator import Emulator
from local.state import State

folder, count = Path(sys.argv[1]), int(sys.argv[2])
state = State(folder)
emulator = Emulator(state.watch)
emulator.start()
dynamodb, s3 = emulator.client("dynamodb"), emulator.client("s3")
dynamodb.create_table(
    TableName="t",
    KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
    AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")],
    BillingMode="PAY_PER_REQUEST",
)
s3.create_bucket(Bucket="bucket", CreateBucketConfiguration={"LocationConstraint": "us-west-2"})
state.restore()
state.start()

items = dynamodb.scan(TableName="t")["Items"]
objects = {
    one["Key"]: s3.get_object(Bucket="bucket", Key=one["Key"])
    for one in s3.list_objects_v2(Bucket="bucket").get("Contents", [])
}
found = {
    "items": items,
    "objects": {
        key: [one["Body"].read().decode(), one["ContentType"], one["ETag"], one["Metadata"]]
        for key, one in objects.items()
    },
}
print(json.dumps(found), flush=True)
for number in range(count):
    s3.put_object(
        Bucket="bucket",
        Key=f"k/{number}",
        Body=f"body {number}",
        ContentType="text/plain",
        Metadata={"n": str(number)},
    )
    dynamodb.put_item(
        TableName="t",
        Item={
            "pk": {"S": "P"},
            "sk": {"S": f"{number:04}"},
            "number": {"N": str(number)},
            "nested": {"M": {"list": {"L": [{"S": "x"}, {"BOOL": True}, {"NULL": True}]}}},
        },
    )
print("written", flush=True)
time.sleep(600)

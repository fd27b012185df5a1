"""A process with an emulator whose state is kept in a folder: `python state_process.py FOLDER COUNT`.

It restores and prints what there is. Then it writes COUNT objects, each before the row that refers to it,
prints `written`, and waits to be killed. moto's bare server is enough of an emulator, and starts sooner.
"""

import json
import sys
import threading
import time
from pathlib import Path
from typing import Any

import boto3
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

from local.emulated_account import environment
from local.state import State

folder, count = Path(sys.argv[1]), int(sys.argv[2])
state = State(folder)
server = make_server(
    "127.0.0.1", 0, state.watch(DomainDispatcherApplication(create_backend_app)), threaded=True
)
threading.Thread(target=server.serve_forever, daemon=True).start()


def client(service: Any) -> Any:
    account = environment(f"http://127.0.0.1:{server.server_port}")
    return boto3.client(
        service,
        endpoint_url=account["AWS_ENDPOINT_URL"],
        region_name=account["AWS_REGION"],
        aws_access_key_id=account["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=account["AWS_SECRET_ACCESS_KEY"],
    )


dynamodb, s3 = client("dynamodb"), client("s3")
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

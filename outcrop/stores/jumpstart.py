"""SageMaker JumpStart's copy of a model's files, in a bucket of AWS's in the same Region.

Where it lies is told by the model's document in SageMaker's public hub.
"""

import json

from botocore.exceptions import ClientError

from outcrop.stores.clients import client, s3

_HUB = "SageMakerPublicHub"


class NotInJumpStart(Exception):
    """There is no copy that can be used; the message says why."""


def objects(name: str) -> dict[str, tuple[str, int]]:
    """File name to `s3://` URI and size. Raises: NotInJumpStart."""
    try:
        content = client("sagemaker").describe_hub_content(
            HubName=_HUB, HubContentType="Model", HubContentName=name
        )
        uri = json.loads(content["HubContentDocument"]).get("HostingArtifactUri") or ""
        bucket, _, prefix = uri.removeprefix("s3://").partition("/")
        if not uri.startswith("s3://") or not uri.endswith("/"):  # an archive, say
            raise NotInJumpStart(f"JumpStart has {name} as '{uri}', which is no folder.")
        pages = s3().get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        found = [one for page in pages for one in page.get("Contents", [])]
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "")
        raise NotInJumpStart(f"JumpStart's copy of {name} cannot be read ({code}).") from error
    except ValueError as error:
        raise NotInJumpStart(f"JumpStart's document of {name} is not JSON.") from error
    return {
        one.get("Key", "").removeprefix(prefix): (f"s3://{bucket}/{one.get('Key')}", one.get("Size", 0))
        for one in found
    }

"""Read access to the objects of the user's own buckets that may be named as files, and to no others."""

import aws_cdk as cdk

from stacks.deployment import Deployment
from stacks.permissions import Grantee, allow


def allow_s3_sources(reader: Grantee, deployment: Deployment) -> None:
    """Which project may name which of them is checked by the API (`outcrop/operations/s3_sources.py`)."""
    for source in sorted({source for sources in deployment.s3_sources.values() for source in sources}):
        bucket, _, prefix = source.removeprefix("s3://").rstrip("/").partition("/")
        arn = f"arn:{cdk.Aws.PARTITION}:s3:::{bucket or '*'}"
        names = [prefix, f"{prefix}/*"] if prefix else ["*"]
        because = "the setting s3_sources says so"
        allow(reader, "s3:GetObject", on=[f"{arn}/{name}" for name in names], because=because)
        # A training job lists what lies under the name it was given.
        under = {"StringLike": {"s3:prefix": names}}
        allow(reader, "s3:ListBucket", on=[arn], when=under, because=because)

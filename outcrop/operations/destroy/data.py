"""What stacks keep when they go, or never knew of: the table, the bucket, images, logs."""

from collections.abc import Sequence
from typing import Any

from outcrop.operations.destroy.kind import Kind
from outcrop.stores import lookups
from outcrop.stores.deployed import STACKS

_TRAINING_LOGS = "/aws/sagemaker/TrainingJobs"
_LOG_PREFIXES = (
    "Outcrop",
    "/aws/lambda/Outcrop",
    "/aws/sagemaker/Endpoints/outcrop-",
    "/aws/sagemaker/InferenceComponents/outcrop-",
)
_OF_STACKS = tuple(f"{place}{stack}-" for stack in STACKS for place in ("", "/aws/lambda/"))
_AT_A_TIME = 1000
"""Objects with one call."""


def bucket(names: Sequence[str]) -> Kind:
    return Kind("bucket", lambda: [name for name in names if _has_bucket(name)], _delete_bucket)


def table(names: Sequence[str]) -> Kind:
    return Kind(
        "table",
        lambda: [name for name in names if _has_table(name)],
        lambda name: lookups.ask("dynamodb", "delete_table", TableName=name),
    )


def repository(names: Sequence[str]) -> Kind:
    """With its images."""
    return Kind(
        "image repository",
        lambda: [name for name in names if _has_repository(name)],
        lambda name: lookups.ask("ecr", "delete_repository", repositoryName=name, force=True),
    )


def log_groups(others: Sequence[str] = ()) -> Kind:
    """Those of Outcrop, and others of whose names is known what they begin with."""

    def found() -> list[str]:
        names = [
            one["logGroupName"]
            for prefix in (*_LOG_PREFIXES, *others)
            for one in lookups.every("logs", "describe_log_groups", "logGroups", logGroupNamePrefix=prefix)
        ]
        ours = (*_OF_STACKS, *_LOG_PREFIXES[2:], *others)
        return [name for name in names if name.startswith(ours)]

    return Kind("log group", found, lambda name: lookups.ask("logs", "delete_log_group", logGroupName=name))


def training_logs() -> Kind:
    """In a group that all training jobs of the account share."""
    return Kind(
        "training log",
        _training_logs,
        lambda name: lookups.ask(
            "logs", "delete_log_stream", logGroupName=_TRAINING_LOGS, logStreamName=name
        ),
    )


def leftover_buckets() -> list[str]:
    """Of a deployment whose stacks are gone: CloudFormation named them after the stack."""
    found = lookups.every("s3", "list_buckets", "Buckets", Prefix="outcropstorage-bucket")
    return [one["Name"] for one in found if one.get("BucketRegion", lookups.region()) == lookups.region()]


def leftover_tables() -> list[str]:
    found = lookups.names("dynamodb", "list_tables", "TableNames")
    return [name for name in found if name.startswith("OutcropStorage-Table")]


def leftover_repositories() -> list[str]:
    found = lookups.every("ecr", "describe_repositories", "repositories")
    return [
        one["repositoryName"]
        for one in found
        if one["repositoryName"].startswith(("outcropimages-", "outcropsandboximage-"))
    ]


def _has_bucket(name: str) -> bool:
    return lookups.find("s3", "head_bucket", absent="404", Bucket=name) is not None


def _has_table(name: str) -> bool:
    return lookups.find("dynamodb", "describe_table", absent="ResourceNotFound", TableName=name) is not None


def _has_repository(name: str) -> bool:
    found = lookups.find("ecr", "describe_repositories", absent="RepositoryNotFound", repositoryNames=[name])
    return found is not None


def _delete_bucket(name: str) -> None:
    """With every version of every object, and parts of what was never finished."""
    batch: list[dict[str, Any]] = []
    for field in ("Versions", "DeleteMarkers"):
        for one in lookups.every("s3", "list_object_versions", field, Bucket=name):
            batch.append({"Key": one["Key"], "VersionId": one["VersionId"]})
            if len(batch) == _AT_A_TIME:
                _delete_objects(name, batch)
                batch = []
    if batch:
        _delete_objects(name, batch)
    for one in lookups.every("s3", "list_multipart_uploads", "Uploads", Bucket=name):
        lookups.ask("s3", "abort_multipart_upload", Bucket=name, Key=one["Key"], UploadId=one["UploadId"])
    lookups.ask("s3", "delete_bucket", Bucket=name)


def _delete_objects(bucket: str, objects: Sequence[dict[str, Any]]) -> None:
    lookups.ask("s3", "delete_objects", Bucket=bucket, Delete={"Objects": [*objects], "Quiet": True})


def _training_logs() -> list[str]:
    group = lookups.find(
        "logs",
        "describe_log_streams",
        absent="ResourceNotFound",
        logGroupName=_TRAINING_LOGS,
        logStreamNamePrefix="ftjob-",
    )
    return [one["logStreamName"] for one in group["logStreams"]] if group else []

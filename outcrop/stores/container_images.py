"""Container images in ECR, in repositories of the deployment's own."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from botocore.exceptions import ClientError

from outcrop.stores.clients import client

_AT_ONCE = 100
"""As many images as BatchDeleteImage takes."""
_NOT_DELETED_NOW = ("ImageNotFound", "ImageReferencedByManifestList")
"""It is gone already; or another that is deleted now names it, and it goes the next time."""


@dataclass(frozen=True)
class StoredImage:
    digest: str
    bytes: int
    used_at: int
    """When it was last pulled, else when it was pushed. ECR writes a pull down at least once a day, so it may
    have been used up to a day later."""


def has_image(repository: str, tag: str) -> bool:
    try:
        client("ecr").describe_images(repositoryName=repository, imageIds=[{"imageTag": tag}])
    except ClientError as error:
        if _code(error) != "ImageNotFoundException":
            raise
        return False
    return True


def every(repository: str) -> Iterator[StoredImage]:
    """None of a repository that is not there."""
    try:
        for page in client("ecr").get_paginator("describe_images").paginate(repositoryName=repository):
            for one in page["imageDetails"]:
                used = one.get("lastRecordedPullTime") or one["imagePushedAt"]
                size = one.get("imageSizeInBytes", 0)
                yield StoredImage(one["imageDigest"], size, int(used.timestamp()))
    except ClientError as error:
        if _code(error) != "RepositoryNotFoundException":
            raise


def delete(repository: str, digests: Sequence[str]) -> None:
    """With all their tags; deleting what is gone is success. Raises: RuntimeError for what ECR keeps."""
    for first in range(0, len(digests), _AT_ONCE):
        ids = [{"imageDigest": digest} for digest in digests[first : first + _AT_ONCE]]
        answer = client("ecr").batch_delete_image(repositoryName=repository, imageIds=ids)
        kept = [one for one in answer.get("failures", ()) if one.get("failureCode") not in _NOT_DELETED_NOW]
        if kept:
            reasons = "; ".join(f"{one.get('failureCode')}: {one.get('failureReason')}" for one in kept)
            raise RuntimeError(f"ECR does not delete {len(kept)} of the images in {repository}. {reasons}")


def _code(error: ClientError) -> str:
    return error.response.get("Error", {}).get("Code", "")

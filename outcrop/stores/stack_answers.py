"""CloudFormation, which waits for the answers of custom resources."""

import httpx

_ANSWER_SECONDS = 20


def send(url: str, answer: bytes) -> None:
    """Put the answer where CloudFormation reads it: an object of S3, by a signed URL that allows no content
    type."""
    httpx.put(url, content=answer, headers={"content-type": ""}, timeout=_ANSWER_SECONDS).raise_for_status()

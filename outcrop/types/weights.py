"""A base model's weights: the files that a repository has, and those that lie in the bucket."""

from typing import Literal

from pydantic import BaseModel, Field

WeightsSource = Literal["huggingface", "jumpstart", "elsewhere"]
"""`elsewhere`: the right file lay in the bucket already."""

_FILE_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,200}$"
_CHECKSUM = r"^(sha256:[0-9a-f]{64}|git-sha1:[0-9a-f]{40})$"


class RepositoryFile(BaseModel):
    """A file that is to lie in the bucket."""

    path: str = Field(pattern=_FILE_NAME)
    """A plain name: what loaders read lies at the top of a repository."""
    size: int = Field(ge=0)
    checksum: str = Field(pattern=_CHECKSUM)
    """`sha256:` of a large file; `git-sha1:` of one that git itself keeps: of its blob."""
    mirror: str = ""
    """`s3://bucket/key` of an object that may be the same file."""


class WeightsFile(BaseModel):
    """A file that lies in the bucket, and was read to its end."""

    path: str
    size: int
    sha256: str
    source: WeightsSource


class WeightsManifest(BaseModel):
    """`manifest.json`, written when every file is there: without it there are no weights."""

    model: str
    repository: str
    revision: str
    license: str
    synced_at: int
    files: list[WeightsFile]

    @property
    def bytes(self) -> int:
        return sum(file.size for file in self.files)

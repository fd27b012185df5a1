"""The `file` object: an uploaded JSONL, by id."""

from typing import Literal

from pydantic import BaseModel

FilePurpose = Literal["assistants", "batch", "fine-tune", "vision", "user_data", "evals"]
FileStatus = Literal["uploaded", "processed", "error"]


class FileObject(BaseModel):
    id: str
    object: Literal["file"] = "file"
    bytes: int
    created_at: int
    filename: str
    purpose: str
    status: FileStatus = "processed"
    status_details: str | None = None
    expires_at: int | None = None


class FileDeleted(BaseModel):
    id: str
    object: Literal["file"] = "file"
    deleted: bool = True

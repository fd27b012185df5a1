"""A list as the API returns it, cursor-paginated by `after`."""

from collections.abc import Sequence
from typing import Generic, Literal, TypeVar

from pydantic import BaseModel

T = TypeVar("T", bound=BaseModel)


class Page(BaseModel, Generic[T]):
    object: Literal["list"] = "list"
    data: Sequence[T]
    has_more: bool = False
    first_id: str | None = None
    last_id: str | None = None

    @classmethod
    def of(cls, data: Sequence[T], *, has_more: bool = False) -> "Page[T]":
        ids = [getattr(one, "id", None) for one in data]
        return cls(
            data=data, has_more=has_more, first_id=ids[0] if ids else None, last_id=ids[-1] if ids else None
        )

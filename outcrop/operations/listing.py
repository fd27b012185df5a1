"""Lists that are read whole and cut to pages here."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from outcrop.errors import invalid_cursor
from outcrop.stores.rows import Order

Item = TypeVar("Item")


def cut(
    oldest_first: Sequence[Item],
    id_of: Callable[[Item], str],
    *,
    after: str | None,
    limit: int,
    order: Order,
) -> tuple[list[Item], bool]:
    """The `limit` items that follow the cursor `after` in this order, and whether there are more.

    Raises: APIError with param `after`.
    """
    items = list(oldest_first if order == "asc" else reversed(oldest_first))
    if after is not None:
        ids = [id_of(item) for item in items]
        if after not in ids:
            raise invalid_cursor(after)
        items = items[ids.index(after) + 1 :]
    return items[:limit], len(items) > limit

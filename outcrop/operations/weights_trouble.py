"""Trouble with a server of weights that passes: how long to wait, and when to give up.

Nothing waits in a function, where every second is paid for: the state machine does.
"""

from dataclasses import dataclass

from outcrop.stores.hugging_face import TryLater

MOST_TRIES = 10
"""Calls in a row that came to nothing."""
_LONGEST_SECONDS = 3600


@dataclass(frozen=True)
class Later:
    wait: int = 0
    tries: int = 0
    problem: str = ""
    """Set when there were tries enough."""


def put_off(error: TryLater, tries: int) -> Later:
    """`tries` before this one."""
    if tries + 1 >= MOST_TRIES:
        return Later(problem=f"{error} So it went {MOST_TRIES} times in a row.")
    seconds = min(300, 5 * 2**tries) if error.seconds is None else error.seconds
    return Later(wait=max(1, min(_LONGEST_SECONDS, seconds)), tries=tries + 1)

"""`Finding`: two things that do not agree, in words, and what makes them agree where that is safe."""

from collections.abc import Callable
from dataclasses import dataclass

GRACE_SECONDS = 600
"""What is younger may still be in the making: an API call lives for half a minute, a step of the workflow for
ten, and each writes what it makes in an order that leaves a moment between."""


@dataclass(frozen=True)
class Finding:
    about: str
    """The thing, like `job ftjob-...`."""
    says: str
    """What does not agree, and what a person can do where nothing repairs it."""
    repair: Callable[[], object] | None = None
    """Makes them agree; may be done twice, and while the living go on."""
    mends: str = ""
    """What `repair` does."""
    is_swept: bool = False
    """Whether the sweeper repairs it, every quarter of an hour, without being asked."""

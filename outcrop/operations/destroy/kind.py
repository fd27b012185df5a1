"""`Kind`: things of one kind that a deployment leaves in an account, and how they are made to go.

Everything is found by looking and asked to go until it is not there any more, so a teardown that was cut
short is finished by the next one, and what AWS refuses for a while is asked for again.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from outcrop.stores.lookups import Refused
from outcrop.stores.refusals import DeploymentError

_LOOK_SECONDS = 10
_LONGEST_SECONDS = 3600
"""Network interfaces of Lambda take up to forty minutes."""


@dataclass(frozen=True)
class Kind:
    name: str
    """Of one of them, as `training job`."""
    find: Callable[[], Sequence[str]]
    """The names of those that are there, on their way out or not."""
    remove: Callable[[str], object]
    """Asks for one to go. Asked again, or too early, it may be refused."""


@dataclass(frozen=True)
class Watch:
    now: Callable[[], float]
    sleep: Callable[[float], None]
    say: Callable[[str], None]
    """Hears of each thing, as it is first asked to go."""


def clear(kind: Kind, watch: Watch) -> None:
    """Returns when none is left. Raises: DeploymentError for one that does not go."""
    asked: set[str] = set()
    give_up_at = watch.now() + _LONGEST_SECONDS
    while left := kind.find():
        refused = ""
        for name in left:
            if name not in asked:
                watch.say(f"{kind.name} {name}")
                asked.add(name)
            try:
                kind.remove(name)
            except Refused as error:
                if error.is_denied:
                    raise DeploymentError(f"The {kind.name} {name} cannot be deleted. {error}") from error
                refused = str(error)
        if watch.now() >= give_up_at:
            raise DeploymentError(
                f"The {kind.name} {left[0]} is still there after an hour. {refused} Look why in AWS's "
                "console, then run `outcrop destroy` again: it goes on where it is."
            )
        if kind.find():
            watch.sleep(_LOOK_SECONDS)

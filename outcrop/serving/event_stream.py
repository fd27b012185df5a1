"""What a model says by one of AWS's event streams, as it comes; or what it means that it breaks off."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from outcrop.errors import APIError, UnavailableError

_BUSY_SECONDS = 5


@dataclass(frozen=True)
class EventStream:
    events: Any
    """botocore's EventStream."""
    service: str
    """As people call it."""

    def parts(self, event: str, content: str) -> Iterator[bytes]:
        """What `event`s have in `content`. Raises: UnavailableError for an answer that breaks off."""
        try:
            for one in self.events:
                if part := one.get(event):
                    yield part[content]
        except ClientError as error:  # an event that says so
            said = error.response.get("Error", {})
            raise UnavailableError(
                f"The answer broke off ({said.get('Code')}): {said.get('Message')}"
            ) from error
        except BotoCoreError as error:
            raise unreachable(self.service, error) from error

    def close(self) -> None:
        """The model stops."""
        self.events.close()


def unreachable(service: str, error: BotoCoreError) -> APIError:
    return UnavailableError(
        f"{service} cannot be reached ({type(error).__name__}). Ask again in a moment.",
        retry_after_seconds=_BUSY_SECONDS,
    )


def busy(service: str, code: str) -> APIError:
    return UnavailableError(
        f"{service} cannot answer now ({code}). Ask again in a moment.", retry_after_seconds=_BUSY_SECONDS
    )


def refused(service: str, said: str) -> APIError:
    """The deployment's own role may not ask."""
    return UnavailableError(f"{service} refuses the deployment itself: {said}", should_retry=False)

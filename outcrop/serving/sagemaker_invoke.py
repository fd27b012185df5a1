"""One question to a component of an endpoint, and its answer as it comes; or why there is none.

Answers are streamed in any case: SageMaker allows 60 seconds for one that is not.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from outcrop.errors import APIError, TooLargeError, UnavailableError
from outcrop.serving.refusals import meaning
from outcrop.stores.clients import model_client

LARGEST_BODY = 6_291_456
_BUSY_SECONDS = 5


class AsleepError(Exception):
    """Nothing answers there: no endpoint, no component, or no copy of it."""


class AdapterLostError(Exception):
    """The container does not know the adapter that SageMaker has on it."""


@dataclass(frozen=True)
class Answer:
    events: Any
    """botocore's EventStream."""

    def pieces(self) -> Iterator[bytes]:
        """Raises: UnavailableError for an answer that breaks off."""
        try:
            for event in self.events:
                if part := event.get("PayloadPart"):
                    yield part["Bytes"]
        except ClientError as error:  # an event that says so
            said = error.response.get("Error", {})
            raise UnavailableError(
                f"The answer broke off ({said.get('Code')}): {said.get('Message')}"
            ) from error
        except BotoCoreError as error:
            raise _unreachable(error) from error

    def close(self) -> None:
        """The model stops."""
        self.events.close()


def invoke(endpoint: str, component: str, body: bytes, path: str) -> Answer:
    """Raises: AsleepError, AdapterLostError; APIError for what the model server refuses, UnavailableError
    when it cannot answer."""
    if len(body) > LARGEST_BODY:
        raise TooLargeError(
            f"The request has {len(body)} bytes for the model, and SageMaker takes {LARGEST_BODY}."
        )
    try:
        answer = model_client("sagemaker-runtime").invoke_endpoint_with_response_stream(
            EndpointName=endpoint, InferenceComponentName=component, ContentType="application/json", Body=body
        )
    except ClientError as error:
        raise _meaning(error, path) from error
    except BotoCoreError as error:
        raise _unreachable(error) from error
    return Answer(answer["Body"])


def _meaning(error: ClientError, path: str) -> Exception:
    response: Any = error.response
    code, said = response.get("Error", {}).get("Code", ""), response.get("Error", {}).get("Message", "")
    match code:
        case "ValidationError" | "ModelNotReadyException":
            # All that is not there is a ValidationError, in changing words. What is missing, a look shows.
            return AsleepError(said)
        case "ModelError":
            return _of_container(
                response.get("OriginalStatusCode", 500), response.get("OriginalMessage", ""), path
            )
        case "AccessDeniedException":
            return UnavailableError(f"SageMaker refuses the deployment itself: {said}", should_retry=False)
    return UnavailableError(
        f"SageMaker cannot answer now ({code}). Ask again in a moment.", retry_after_seconds=_BUSY_SECONDS
    )


def _of_container(status: int, body: str, path: str) -> Exception:
    if status == 404:
        return AdapterLostError()
    return meaning(status, body.encode(), path)


def _unreachable(error: BotoCoreError) -> APIError:
    return UnavailableError(
        f"SageMaker cannot be reached ({type(error).__name__}). Ask again in a moment.",
        retry_after_seconds=_BUSY_SECONDS,
    )

"""One question to a component of an endpoint, and its answer as it comes; or why there is none.

Answers are streamed in any case: SageMaker allows 60 seconds for one that is not.
"""

from collections.abc import Iterator
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from outcrop.errors import TooLargeError
from outcrop.serving.event_stream import EventStream, busy, refused, unreachable
from outcrop.serving.refusals import meaning
from outcrop.stores.clients import model_client

LARGEST_BODY = 6_291_456
_SERVICE = "SageMaker"


class AsleepError(Exception):
    """Nothing answers there: no endpoint, no component, or no copy of it."""


class AdapterLostError(Exception):
    """The container does not know the adapter that SageMaker has on it."""


class Answer(EventStream):
    def pieces(self) -> Iterator[bytes]:
        """Raises: UnavailableError for an answer that breaks off."""
        return self.parts("PayloadPart", "Bytes")


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
        raise unreachable(_SERVICE, error) from error
    return Answer(answer["Body"], _SERVICE)


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
            return refused(_SERVICE, said)
    return busy(_SERVICE, code)


def _of_container(status: int, body: str, path: str) -> Exception:
    if status == 404:
        return AdapterLostError()
    return meaning(status, body.encode(), path)

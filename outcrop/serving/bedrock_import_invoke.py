"""One question to an imported model, in OpenAI's words (Bedrock's schemas OpenAIChatCompletion and
OpenAICompletion), and its answer as it comes; or what it means that there is none.

https://docs.aws.amazon.com/bedrock/latest/userguide/invoke-imported-model.html
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson
from botocore.exceptions import BotoCoreError, ClientError

from outcrop.errors import APIError, UnavailableError
from outcrop.serving.refusals import meaning
from outcrop.stores.clients import model_client

_BUSY_SECONDS = 5


class AsleepError(Exception):
    """Bedrock has put the model away, as it does after minutes without a question, and fetches it now."""


class GoneError(Exception):
    """There is no such imported model."""


@dataclass(frozen=True)
class Answer:
    events: Any
    """botocore's EventStream."""

    def pieces(self) -> Iterator[bytes]:
        """As server-sent events. Raises: UnavailableError for an answer that breaks off."""
        try:
            for event in self.events:
                if part := event.get("chunk"):
                    yield _as_event(part["bytes"])
        except ClientError as error:  # an event that says so
            said = error.response.get("Error", {})
            raise UnavailableError(
                f"The answer broke off ({said.get('Code')}): {said.get('Message')}"
            ) from error
        except BotoCoreError as error:
            raise _unreachable(error) from error
        yield b"data: [DONE]\n\n"

    def close(self) -> None:
        """The model stops."""
        self.events.close()


def invoke(arn: str, body: bytes, path: str) -> Answer:
    """Raises: AsleepError, GoneError; APIError for what the model refuses, UnavailableError when it cannot
    answer."""
    try:
        answer = model_client("bedrock-runtime").invoke_model_with_response_stream(
            modelId=arn, contentType="application/json", body=body
        )
    except ClientError as error:
        raise _meaning(error, path) from error
    except BotoCoreError as error:
        raise _unreachable(error) from error
    return Answer(answer["body"])


def _as_event(part: bytes) -> bytes:
    """A chunk is JSON, and may be an event already."""
    return part + b"\n\n" if part.startswith(b"data:") else b"data: " + part + b"\n\n"


def _meaning(error: ClientError, path: str) -> Exception:
    response: Any = error.response
    code, said = response.get("Error", {}).get("Code", ""), response.get("Error", {}).get("Message", "")
    match code:
        case "ModelNotReadyException":
            return AsleepError(said)
        case "ResourceNotFoundException":
            return GoneError(said)
        case "ValidationException":
            return meaning(400, orjson.dumps({"error": {"message": said}}), path)
        case "ModelErrorException":
            status = response.get("originalStatusCode", 500)
            return meaning(status, orjson.dumps({"error": {"message": said}}), path)
        case "AccessDeniedException":
            return UnavailableError(f"Bedrock refuses the deployment itself: {said}", should_retry=False)
    return UnavailableError(
        f"Bedrock cannot answer now ({code}). Ask again in a moment.", retry_after_seconds=_BUSY_SECONDS
    )


def _unreachable(error: BotoCoreError) -> APIError:
    return UnavailableError(
        f"Bedrock cannot be reached ({type(error).__name__}). Ask again in a moment.",
        retry_after_seconds=_BUSY_SECONDS,
    )

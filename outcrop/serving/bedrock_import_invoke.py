"""One question to an imported model, in OpenAI's words (Bedrock's schemas OpenAIChatCompletion and
OpenAICompletion), and its answer as it comes; or what it means that there is none.

https://docs.aws.amazon.com/bedrock/latest/userguide/invoke-imported-model.html
"""

from collections.abc import Iterator
from typing import Any

import orjson
from botocore.exceptions import BotoCoreError, ClientError

from outcrop.serving.event_stream import EventStream, busy, refused, unreachable
from outcrop.serving.refusals import meaning
from outcrop.stores.clients import model_client

_SERVICE = "Bedrock"


class AsleepError(Exception):
    """Bedrock has put the model away, as it does after minutes without a question, and fetches it now."""


class GoneError(Exception):
    """There is no such imported model."""


class Answer(EventStream):
    def pieces(self) -> Iterator[bytes]:
        """As server-sent events. Raises: UnavailableError for an answer that breaks off."""
        yield from map(_as_event, self.parts("chunk", "bytes"))
        yield b"data: [DONE]\n\n"


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
        raise unreachable(_SERVICE, error) from error
    return Answer(answer["body"], _SERVICE)


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
            return refused(_SERVICE, said)
    return busy(_SERVICE, code)

"""What vLLM streams, as botocore hands it on: events with pieces of server-sent events."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError


@dataclass
class Events:
    """What botocore's EventStream is to its reader."""

    events: list[dict[str, Any]]
    closed: bool = False

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for event in self.events:
            if "broken" in event:
                raise ClientError(
                    {"Error": {"Code": event["broken"], "Message": "the stream broke"}}, "InvokeEndpoint"
                )
            yield event

    def close(self) -> None:
        self.closed = True


def says_its_name(speaker: str, body: dict[str, Any]) -> list[dict[str, Any]]:
    """As vLLM streams it."""
    text = f"I am {speaker}."
    kind = "messages" if "messages" in body else "prompt"
    pieces: list[dict[str, Any]] = []
    for index in range(body.get("n") or 1):
        for word in ("I am ", f"{speaker}."):
            said = {"delta": {"content": word}} if kind == "messages" else {"text": word}
            pieces.append({"index": index, "finish_reason": None, "logprobs": None, **said})
        end = {"delta": {}} if kind == "messages" else {"text": ""}
        pieces.append({"index": index, "finish_reason": "stop", "logprobs": None, **end})
    usage = {
        "prompt_tokens": 3,
        "completion_tokens": len(text.split()),
        "total_tokens": 3 + len(text.split()),
    }
    chunks = [{"id": "1", "model": speaker, "choices": [piece]} for piece in pieces]
    return events(*chunks, {"id": "1", "model": speaker, "choices": [], "usage": usage}, "[DONE]")


def events(*said: dict[str, Any] | str) -> list[dict[str, Any]]:
    """Server-sent events, cut at places that do not matter to them."""
    text = "".join(f"data: {one if isinstance(one, str) else json.dumps(one)}\n\n" for one in said).encode()
    return [{"PayloadPart": {"Bytes": text[at : at + 50]}} for at in range(0, len(text), 50)]

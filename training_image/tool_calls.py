"""The functions that a completion calls, read from its text as the chat API reads them."""

from typing import Any

from training_image.answer_reader import AnswerReader, CallArguments, CallStart, Content


def read(text: str) -> tuple[str, list[dict[str, Any]]]:
    """What the completion says beside its calls, and the calls as a message of the chat API has them."""
    reader = AnswerReader(calls=True)
    said: list[str] = []
    calls: list[dict[str, Any]] = []
    for part in reader.feed(text) + reader.end():
        match part:
            case Content(text=more):
                said.append(more)
            case CallStart(index=index, name=name):
                function = {"name": name, "arguments": ""}
                calls.append({"id": f"call_{index}", "type": "function", "function": function})
            case CallArguments(text=more):
                calls[-1]["function"]["arguments"] += more
    return "".join(said), calls

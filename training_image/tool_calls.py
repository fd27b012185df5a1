"""What a completion says and which functions it calls, read from its text as the chat API reads it."""

from typing import Any

from training_image.answer_reader import AnswerReader, CallArguments, CallStart, Content
from training_image.grammars import Thought
from training_image.harmony import ChannelReader


def reader_of(thought: Thought, *, calls: bool) -> AnswerReader | ChannelReader:
    """What reads one completion; `calls`: whether it may call at all."""
    return ChannelReader() if thought == "channels" else AnswerReader(thought, calls=calls)


def read(text: str, thought: Thought = "none", *, calls: bool = True) -> tuple[str, list[dict[str, Any]]]:
    """What the completion says beside its thought and its calls, and the calls as a message of the chat API
    has them."""
    reader = reader_of(thought, calls=calls)
    said: list[str] = []
    called: list[dict[str, Any]] = []
    for part in reader.feed(text) + reader.end():
        match part:
            case Content(text=more):
                said.append(more)
            case CallStart(index=index, name=name):
                function = {"name": name, "arguments": ""}
                called.append({"id": f"call_{index}", "type": "function", "function": function})
            case CallArguments(text=more):
                called[-1]["function"]["arguments"] += more
    return "".join(said), called

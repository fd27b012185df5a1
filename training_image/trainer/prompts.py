"""What the policy reads of a row: its conversation and tools, as the model's own chat template puts them."""

from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter

from outcrop.types.chat import Tool
from outcrop.types.chat_message import ChatMessage
from training_image.chat_prompt import chat_prompt

_MESSAGES = TypeAdapter(list[ChatMessage])
_TOOLS = TypeAdapter(list[Tool])


def tokens(question: Mapping[str, Any], tokenizer: Any) -> list[int]:
    """Of one of `dataset.question`s: the very prompt that the tuned model is asked with later.

    Raises: APIError if the template cannot show this conversation, or calls in a way that cannot be read.
    """
    messages = _MESSAGES.validate_python(question["prompt"])
    tools = _TOOLS.validate_python(question["tools"])
    text = chat_prompt(tokenizer, messages, tools, reasoning_effort=None).text
    return tokenizer(text, add_special_tokens=False).input_ids

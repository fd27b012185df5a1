"""How the policy is asked and understood: a row as the model's own chat template puts it, a completion as the
chat API reads it."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from pydantic import TypeAdapter

from outcrop.types.chat import Tool
from outcrop.types.chat_message import ChatMessage
from training_image import tool_calls
from training_image.chat_prompt import ChatPrompt, chat_prompt
from training_image.grammars import Thought

_MESSAGES = TypeAdapter(list[ChatMessage])
_TOOLS = TypeAdapter(list[Tool])


class ChatFormat:
    def __init__(self, tokenizer: Any, reasoning_effort: str = "default") -> None:
        """`reasoning_effort`: the job's; the tuned model is to be asked with the same."""
        self._tokenizer = tokenizer
        self._effort = None if reasoning_effort == "default" else reasoning_effort

    def tokens(self, question: Mapping[str, Any]) -> list[int]:
        """The prompt of one of `dataset.question`s: the very one that the tuned model is asked with later.

        Raises: APIError if the template cannot show this conversation, or calls in a way that cannot be read.
        """
        text = self._prompt(question).text
        return self._tokenizer(text, add_special_tokens=False).input_ids

    def text(self, token_ids: Sequence[int]) -> str:
        """A completion in letters. Where special tokens part what is said from what is thought, they stay."""
        return self._tokenizer.decode(token_ids, skip_special_tokens=self.thought != "channels")

    def read(self, text: str, may_call: bool) -> tuple[str, list[dict[str, Any]]]:
        """What a completion says after its thought and beside its calls, and the calls."""
        if self.thought == "none" and not may_call:
            return text, []
        return tool_calls.read(text, self.thought, calls=may_call)

    @cached_property
    def thought(self) -> Thought:
        """Whether completions begin with one between tags."""
        return self._prompt({"prompt": [{"role": "user", "content": "?"}], "tools": []}).thought

    def _prompt(self, question: Mapping[str, Any]) -> ChatPrompt:
        messages = _MESSAGES.validate_python(question["prompt"])
        tools = _TOOLS.validate_python(question["tools"])
        return chat_prompt(self._tokenizer, messages, tools, self._effort)

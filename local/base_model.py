"""What the local inference server needs of a base model. `local/inference_server.py` has the one that is."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from outcrop.types.chat import Tool
from outcrop.types.chat_message import ChatMessage
from training_image.chat_prompt import ChatPrompt

if TYPE_CHECKING:
    from training_image.constraints import Constraint


class BaseModel(Protocol):
    context_length: int
    vocabulary_size: int

    def chat_prompt(
        self, messages: Sequence[ChatMessage], tools: Sequence[Tool], reasoning_effort: str | None
    ) -> ChatPrompt: ...

    def encode(self, text: str, *, whole: bool) -> list[int]:
        """`whole`: the text begins a document, before which some models want a token of its own."""
        ...

    def decode(self, tokens: list[int]) -> str: ...

    def token_bytes(self, token: int) -> bytes: ...

    def constraint(self, grammar: str) -> "Constraint":
        """Raises: GrammarError."""
        ...


class BaseModels(Protocol):
    def names(self) -> list[str]: ...

    def base(self, name: str) -> BaseModel:
        """Blocks while the model is loaded. `name` is one of `names()`."""
        ...

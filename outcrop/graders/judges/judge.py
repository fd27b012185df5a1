"""What graders ask judges, and what judges answer: one protocol, whoever serves the model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from outcrop.graders.reward import ErrorKind, GradingError, TokenUsage
from outcrop.types.judge_grader import SamplingParams

# How often a call that failed this way is made again. A judge that has too much to do needs patience; one
# that thinks for longer than it has time will most often do so again.
THROTTLED = 5
FAILED = 3
TIMED_OUT = 1


@dataclass(frozen=True)
class Message:
    role: Literal["system", "user", "assistant"]
    text: str


@dataclass(frozen=True)
class Question:
    messages: Sequence[Message]
    """The last is a user's."""
    schema: Mapping[str, Any]
    """JSON schema of the verdict."""
    sampling: SamplingParams


@dataclass(frozen=True)
class Answer:
    text: str
    """The verdict as JSON, if the judge kept to the schema."""
    tokens: TokenUsage
    ended: Literal["complete", "truncated", "refused"] = "complete"


class Judge(Protocol):
    """A model that is asked from many threads at a time."""

    @property
    def model(self) -> str:
        """What tokens are counted under."""
        ...

    def ask(self, question: Question) -> Answer:
        """Raises: JudgeFailure if there is no answer."""
        ...

    def close(self) -> None: ...


class JudgeFailure(GradingError):
    """The judge could not be asked. `retries` is how often it is asked again before that is said."""

    def __init__(self, kind: ErrorKind, message: str, *, retries: int = 0) -> None:
        super().__init__(kind, message)
        self.retries = retries


def retries_of(error: GradingError) -> int:
    return error.retries if isinstance(error, JudgeFailure) else 0


def throttled(message: str) -> JudgeFailure:
    return JudgeFailure("judge_throttled", message, retries=THROTTLED)


def failed(message: str, *, retries: int = 0) -> JudgeFailure:
    return JudgeFailure("model_grader_server_error", message, retries=retries)

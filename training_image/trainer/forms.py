"""What a job's completions are held to while they are sampled: its `response_format`."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from training_image.constraints import Constraint, Vocabulary
from training_image.generate import stop_tokens
from training_image.grammars import GrammarError, response_format_grammar
from training_image.sampling import Sampling
from training_image.trainer.chat_format import ChatFormat
from training_image.trainer.errors import TrainingError


@dataclass(frozen=True)
class Forms:
    answer: Constraint | None = None
    """None: a completion may be anything."""
    answer_or_calls: Constraint | None = None
    """Of rows with tools: a call is held to nothing."""

    def applied(self, sampling: Sampling, question: Mapping[str, Any]) -> Sampling:
        """As `sampling` says, for one of `dataset.question`s."""
        return replace(sampling, constraint=self.answer_or_calls if question["tools"] else self.answer)

    def named(self, grammar: str | None) -> Constraint | None:
        """By the grammar, which is what another process can be told of it."""
        return next(
            (one for one in (self.answer, self.answer_or_calls) if one and one.grammar == grammar), None
        )


FREE = Forms()


def forms(response_format: Mapping[str, Any] | None, chat: ChatFormat, model: Any, tokenizer: Any) -> Forms:
    """What holds completions to the job's `response_format`, after their thought.

    Raises: TrainingError if nothing can.
    """
    if response_format is None or response_format["type"] == "text":
        return FREE
    vocabulary = Vocabulary(tokenizer, stop_tokens(model, tokenizer), model.config.vocab_size)
    # vLLM reads the tokenizer by llguidance, which takes what is added between angle brackets for special.
    added = {token.content for token in tokenizer.added_tokens_decoder.values()}

    def constraint(*, may_call: bool) -> Constraint | None:
        here, elsewhere = (
            response_format_grammar(response_format, chat.thought, may_call=may_call, tags=tags)
            for tags in ((), added)
        )
        return vocabulary.constraint(here, elsewhere) if here else None

    try:
        return Forms(constraint(may_call=False), constraint(may_call=True))
    except GrammarError as error:
        raise TrainingError(f"method.reinforcement.response_format cannot be kept to: {error}") from error

"""What a chat request asks of a model: a prompt, a way to draw tokens, and a way to read what comes."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from local.base_model import BaseModel
from local.sampling_options import completion_room, sampling
from local.tool_grammar import tool_grammar
from outcrop.errors import APIError
from outcrop.types.chat import AllowedToolsChoice, ChatRequest, NamedTool, Tool
from training_image.answer_reader import AnswerReader
from training_image.chat_prompt import ChatPrompt
from training_image.grammars import GrammarError, Thought, grammar, response_format_rule
from training_image.harmony import ChannelReader
from training_image.sampling import Sampling
from training_image.tool_calls import reader_of


@dataclass(frozen=True)
class ChatPlan:
    prompt: list[int]
    sampling: Sampling
    thought: Thought
    may_call: bool
    must_call: bool

    def reader(self) -> AnswerReader | ChannelReader:
        """Of one completion."""
        return reader_of(self.thought, calls=self.may_call)


def chat_plan(asked: ChatRequest, base: BaseModel) -> ChatPlan:
    """Raises: APIError for what this model cannot do."""
    choice, tools = _tool_choice(asked)
    prompt = base.chat_prompt(asked.messages, tools, asked.reasoning_effort)
    tokens = base.encode(prompt.text, whole=False)
    room = completion_room(len(tokens), asked.token_limit, base.context_length, param="messages")
    wants = sampling(
        asked,
        max_tokens=room,
        top_logprobs=(asked.top_logprobs or 0) if asked.logprobs else None,
        vocabulary_size=base.vocabulary_size,
    )
    form = _grammar(asked, base, prompt, tools, must_call=choice == "required")
    if form:
        try:
            wants = replace(wants, constraint=base.constraint(form))
        except GrammarError as error:
            param = "tools" if tools else "response_format"
            raise APIError(f"{param}: this form cannot be kept to: {error}", param=param) from error
    return ChatPlan(tokens, wants, prompt.thought, bool(tools), must_call=choice == "required")


def _tool_choice(asked: ChatRequest) -> tuple[str, list[Tool]]:
    """`none`, `auto` or `required`, and the tools that may be called."""
    tools = asked.tools or []
    match asked.tool_choice:
        case NamedTool(function=function):
            return "required", [tool for tool in tools if tool.function.name == function.name]
        case AllowedToolsChoice(allowed_tools=allowed):
            names = {tool.function.name for tool in allowed.tools}
            return allowed.mode, [tool for tool in tools if tool.function.name in names]
        case "none":
            return "none", []
        case choice:
            return choice or "auto", tools


def _grammar(
    asked: ChatRequest, base: BaseModel, prompt: ChatPrompt, tools: Sequence[Tool], *, must_call: bool
) -> str | None:
    """None if the model may write what it likes."""
    text = None
    if asked.response_format:
        text = response_format_rule(asked.response_format.model_dump(by_alias=True, exclude_none=True))
        if text and (reason := _refused(base, grammar(text))):
            raise APIError(
                f"response_format: this schema cannot be kept to: {reason}", param="response_format"
            )
    if not tools:
        return text and grammar(text, prompt.thought)
    return tool_grammar(
        [tool.function for tool in tools],
        must_call=must_call,
        parallel=asked.parallel_tool_calls is not False,
        as_list=prompt.lists_calls,
        text=text,
        thought=prompt.thought,
        refused=lambda grammar: _refused(base, grammar),
    )


def _refused(base: BaseModel, grammar: str) -> str | None:
    """Why the library cannot keep to a grammar."""
    try:
        base.constraint(grammar)
    except GrammarError as error:
        return str(error)
    return None

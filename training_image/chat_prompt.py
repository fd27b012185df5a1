"""A conversation as the prompt that a model's own chat template makes of it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from jinja2 import TemplateError

from outcrop.errors import APIError
from outcrop.types.chat import Tool
from outcrop.types.chat_message import ChatMessage, FunctionCall
from training_image import harmony
from training_image.grammars import Thought

_DESCRIPTION = """You can call functions. They are described as JSON between <tools> and </tools>:
<tools>{tools}</tools>

To call some of them, answer with a list of calls between <tool_call> and </tool_call> and with nothing else:
<tool_call>[{{"name": "function", "arguments": {{"argument": "value"}}}}]</tool_call>"""
"""What a model reads whose template has no place for tools. Tags and the form of a call are those by which
SmolLM2's larger models were taught to call functions."""


@dataclass(frozen=True)
class ChatPrompt:
    text: str
    thought: Thought
    """Whether the answer begins with one."""
    lists_calls: bool
    """Whether all calls go into one list."""


def chat_prompt(
    tokenizer: Any, messages: Sequence[ChatMessage], tools: Sequence[Tool], reasoning_effort: str | None
) -> ChatPrompt:
    """The prompt, up to where the answer begins.

    Raises: APIError if the template cannot show this conversation, or calls in a way that cannot be read.
    """
    template: str = tokenizer.get_chat_template()
    shows_tools = "tools" in template
    described = [tool.model_dump(exclude_none=True, exclude={"function": {"strict"}}) for tool in tools]
    if shows_tools:
        if tools and not _is_readable(template):
            raise APIError(
                "tools: this server cannot read the tool calls of this model, whose chat template writes "
                "them otherwise than as JSON between <tool_call> and </tool_call>.",
                param="tools",
            )
        has_channels = harmony.CHANNEL in template
        if has_channels:  # GPT-OSS's template asks for a description
            for tool in described:
                tool["function"].setdefault("description", "")
        turns = [_turn(message, has_channels) for message in messages]
    else:
        turns = _with_tools_in_words(messages, described)
    variables: dict[str, Any] = (
        {}
        if reasoning_effort is None
        else {
            "enable_thinking": reasoning_effort != "none",
            "reasoning_effort": reasoning_effort,
        }
    )
    try:
        text: str = tokenizer.apply_chat_template(
            turns,
            tools=described if described and shows_tools else None,
            add_generation_prompt=True,
            tokenize=False,
            **variables,
        )
    except TemplateError as error:  # some templates refuse orders of roles
        raise APIError(f"messages: {error}.", param="messages") from error
    return ChatPrompt(text, _thought(template, text, reasoning_effort), lists_calls=not shows_tools)


def _is_readable(template: str) -> bool:
    if harmony.CHANNEL in template:
        return True
    return "<tool_call>" in template and '"arguments"' in template and "<function=" not in template


def _thought(template: str, prompt: str, reasoning_effort: str | None) -> Thought:
    if harmony.CHANNEL in template:
        return "channels"
    if prompt.rstrip().endswith("<think>"):
        return "open"
    if "enable_thinking" not in template or reasoning_effort == "none":
        return "none"
    return "none" if prompt.rstrip().endswith("</think>") else "optional"


def _turn(message: ChatMessage, has_channels: bool = False) -> dict[str, Any]:
    """A message as templates read it, which know no developers: OpenAI's newer name for the system."""
    turn: dict[str, Any] = {
        "role": "system" if message.role == "developer" else message.role,
        "content": message.content or message.refusal or "",
    }
    if reasoning := message.reasoning_content or message.reasoning:
        turn["thinking" if has_channels else "reasoning_content"] = reasoning
    if message.tool_calls:
        turn["tool_calls"] = [
            {"id": call.id, "type": "function", "function": _call(call.function)}
            for call in message.tool_calls
        ]
    if message.tool_call_id:
        turn["tool_call_id"] = message.tool_call_id
    return turn


def _call(call: FunctionCall) -> dict[str, Any]:
    try:
        arguments = json.loads(call.arguments)
    except ValueError:  # as a model may have written them; templates show a string as it is
        arguments = call.arguments
    return {"name": call.name, "arguments": arguments}


def _with_tools_in_words(
    messages: Sequence[ChatMessage], tools: Sequence[dict[str, Any]]
) -> list[dict[str, Any]]:
    """The conversation for a template that knows nothing but a role and a content."""
    turns = [_turn_in_words(message) for message in messages]
    if tools:
        functions = json.dumps([tool["function"] for tool in tools], ensure_ascii=False)
        description = _DESCRIPTION.format(tools=functions)
        if turns[0]["role"] == "system":
            turns[0]["content"] += f"\n\n{description}"
        else:
            turns.insert(0, {"role": "system", "content": description})
    return turns


def _turn_in_words(message: ChatMessage) -> dict[str, Any]:
    turn = _turn(message)
    if calls := turn.pop("tool_calls", None):
        listed = json.dumps([call["function"] for call in calls], ensure_ascii=False)
        said = f"{turn['content']}\n" if turn["content"] else ""
        turn["content"] = f"{said}<tool_call>{listed}</tool_call>"
    if turn["role"] == "tool":
        turn = {"role": "user", "content": f"<tool_response>\n{turn['content']}\n</tool_response>"}
    return turn

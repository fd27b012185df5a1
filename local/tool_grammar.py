"""The grammar of a completion that may, or must, call functions.

Free text is free until `<tool_call>`, or until a message of GPT-OSS has a recipient; from there on it is a
call of a known function with arguments of its schema. So a call can always be read, and `strict` is kept to,
with or without `tool_choice`.
"""

import json
import re
from collections.abc import Callable, Sequence

from outcrop.errors import APIError
from outcrop.types.chat import FunctionDefinition
from training_image.grammars import Thought, channel_call, grammar, json_rule

_ANY_ARGUMENTS = {"type": "object"}
_NO_ARGUMENTS = {"type": "object", "properties": {}, "additionalProperties": False}

Refused = Callable[[str], str | None]
"""Why a grammar cannot be kept to; None if it can."""


def tool_grammar(
    functions: Sequence[FunctionDefinition],
    *,
    must_call: bool,
    parallel: bool,
    as_list: bool,
    text: str | None,
    thought: Thought,
    refused: Refused,
) -> str:
    """`as_list`: all calls between one pair of tags (SmolLM), not each in its own (Qwen, Hermes). `text`: the
    rule of an answer without a call; None: free text.

    Raises: APIError for a strict function whose schema cannot be kept to; those of others are passed over.
    """
    if thought == "channels":
        heard = [
            channel_call(re.escape(function.name), _arguments(number, function, refused))
            for number, function in enumerate(functions)
        ]
        return grammar(None if must_call else text or "FREE", thought, call=" | ".join(heard))
    calls = [
        f'call{number}: {_opening(function)} {_arguments(number, function, refused)} "}}"'
        for number, function in enumerate(functions)
    ]
    call = " | ".join(f"call{number}" for number in range(len(functions)))
    rules = [f"call: {call}", *calls]
    if as_list:
        more = f"({_literal(', ')} call)*" if parallel else ""
        rules.append(f"calls: {_literal('[')} call {more} {_literal(']</tool_call>')}")
    else:
        between, end = _literal("\n</tool_call>\n<tool_call>\n"), _literal("\n</tool_call>")
        more = f"({between} call)*" if parallel else ""
        rules.append(f"calls: {_literal(chr(10))} call {more} {end}")
    if must_call:
        answer = '"<tool_call>" calls'
    elif text:
        answer = f'{text} | "<tool_call>" calls'
    else:
        answer = "TEXT | said calls"
        rules += ["TEXT: /(.|\\n)*/", 'said[lazy]: TEXT "<tool_call>"']
    return grammar("\n".join([answer, *rules]), thought)


def _opening(function: FunctionDefinition) -> str:
    return _literal(f'{{"name": {json.dumps(function.name)}, "arguments": ')


def _arguments(number: int, function: FunctionDefinition, refused: Refused) -> str:
    rule = json_rule(_NO_ARGUMENTS if function.parameters is None else function.parameters)
    reason = refused(grammar(rule))
    if reason is None:
        return rule
    if function.strict:
        raise APIError(
            f"tools.{number}.function.parameters: this schema cannot be kept to: {reason}",
            param=f"tools.{number}.function.parameters",
        )
    return json_rule(_ANY_ARGUMENTS)


def _literal(text: str) -> str:
    return json.dumps(text)

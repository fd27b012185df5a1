"""What a completion may look like, in llguidance's Lark: JSON, JSON of a schema, anything after a thought.

`training_image.constraints` holds completions to such a grammar.
"""

import json
from collections.abc import Collection, Mapping
from typing import Any, Literal

Thought = Literal["none", "optional", "open", "channels"]
"""Whether `<think>...</think>` may come before what is constrained: not at all, if the model likes, or it is
open already, the prompt's end being `<think>`. `channels`: thoughts are messages of their own
(`training_image.harmony`), and what is constrained is the last one, in the final channel."""

_BEFORE = 'before: <|channel|> ("analysis" | "commentary") <|message|> FREE <|end|> <|start|> "assistant"'
_FINAL = 'final: <|channel|> "final" form <|message|> answer <|return|>'
_FORM = 'form: (" "? <|constrain|> "json" | " json")?'
_WHITESPACE = r"(\n {0,24}|[ \t])"
"""Between JSON's tokens: a blank, or a new line with its indentation. Any whitespace at all, as JSON would
have it, lets a model that is unsure of what comes next write blank lines until its tokens are used up."""


class GrammarError(ValueError):
    """The library cannot keep to this grammar; says why."""


def json_rule(schema: Mapping[str, Any]) -> str:
    """What stands for a JSON value of `schema` in a rule."""
    own = {name: value for name, value in schema.items() if name != "x-guidance"}
    return f"%json {json.dumps(own | {'x-guidance': {'whitespace_pattern': _WHITESPACE}})}"


def grammar(
    answer: str | None, thought: Thought = "none", *, call: str | None = None, tags: Collection[str] = ()
) -> str:
    """A whole grammar: `answer` is the right side of the rule for all that comes after the thought, and may
    be followed by lines with rules of its own. `call` is the same for what may stand in its place, or has to
    if there is no `answer`.

    `tags`: those that are tokens which no text contains, in the eyes of whoever reads the grammar. Others are
    text.
    """
    given = [f"{name}: {rule}" for name, rule in (("answer", answer), ("call", call)) if rule is not None]
    last = "final" if thought == "channels" else "answer"
    ends = " | ".join(name for name, rule in ((last, answer), ("call", call)) if rule is not None)
    rules = [*_start(thought, ends, tags), *given, r"GAP: /\n{0,2}/", r"FREE: /(.|\n)*/"]
    return "\n".join(["%llguidance {}", *rules, ""])


def channel_call(name: str, arguments: str) -> str:
    """The right side of GPT-OSS's call of a function, which stands in the head of its message before the
    channel or after it. `name` is a regular expression, `arguments` a rule's right side."""
    first = rf"<|channel|> /commentary to=functions\.{name}/"
    second = rf'/ to=functions\.{name}/ <|channel|> "commentary"'
    return f"({first} | {second}) form <|message|> {arguments} <|call|>"


def _start(thought: Thought, ends: str, tags: Collection[str]) -> list[str]:
    match thought:
        case "none":
            return [f"start: {ends}"]
        case "optional":
            enclosed = _enclosed("thought", "<think>", "</think>", tags)
            return [f"start: {ends} | thought GAP ({ends})", enclosed]
        case "open":
            return [f"start: thought GAP ({ends})", _enclosed("thought", "", "</think>", tags)]
        case "channels":
            return [f"start: before* ({ends})", _BEFORE, _FORM, *([_FINAL] if "final" in ends else [])]


def _enclosed(name: str, opening: str, closing: str, tags: Collection[str]) -> str:
    """The rule of anything between two tags."""
    if closing in tags:
        return f"{name}: {opening} FREE {closing}"
    escaped = closing.replace("/", r"\/")
    return rf"{name}[lazy]: /{opening}(.|\n)*{escaped}/"


def _any_calls(thought: Thought, tags: Collection[str]) -> str:
    """The right side of the rule of calls of whatever function."""
    if thought == "channels":
        return channel_call(r"[a-zA-Z0-9_.\-]+", "FREE")
    return f"one (GAP one)*\n{_enclosed('one', '<tool_call>', '</tool_call>', tags)}"


def response_format_rule(response_format: Mapping[str, Any]) -> str | None:
    """What stands for a completion of an API's `response_format`; None for `text`.

    `{"type": "json_object"}`, or `{"type": "json_schema", "json_schema": {"schema": {...}}}`, strict or not:
    a schema is always kept to.
    """
    match response_format["type"]:
        case "text":
            return None
        case "json_object":
            return json_rule({"type": "object"})
        case _:
            schema = response_format["json_schema"].get("schema")
            return json_rule({"type": "object"} if schema is None else schema)


def response_format_grammar(
    response_format: Mapping[str, Any],
    thought: Thought = "none",
    *,
    may_call: bool = False,
    tags: Collection[str] = (),
) -> str | None:
    """The whole grammar of it; None for `text`. `may_call`: or else it calls functions, in whatever form.
    `tags`: `grammar`'s."""
    rule = response_format_rule(response_format)
    return rule and grammar(rule, thought, call=_any_calls(thought, tags) if may_call else None, tags=tags)

"""The messages that a judge is asked with. Our own words are the text files of `outcrop/graders/prompts`."""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from string import Template
from typing import Any, Final

from outcrop.graders.judges.judge import Message
from outcrop.graders.reward import GradedCompletion
from outcrop.graders.template import render
from outcrop.types.judge_grader import JudgeMessage

_FOLDER = Path(__file__).parent.parent / "prompts"


@cache
def _template(name: str) -> Template:
    return Template((_FOLDER / f"{name}.txt").read_text().strip())


def words(name: str, **values: str) -> str:
    """The text `name`, with `values` in their places; nothing in them is taken for a place."""
    return _template(name).substitute(values)


PLACEHOLDERS: Final = frozenset(re.findall(r'"(<[^"]*>)"', _template("score").template))
"""What stands in the example of a verdict where a judge's own words have to be."""


def of_messages(messages: Sequence[JudgeMessage], form: str, completion: GradedCompletion) -> list[Message]:
    """The grader's messages with their variables filled in, and at the end the verdict's `form` in words. A
    `developer` is a `system` to most models.

    Raises: GradingError where a variable is not there.
    """
    rendered = [
        Message(
            "system" if one.role == "developer" else one.role,
            render(one.text, completion.item, completion.sample),
        )
        for one in messages
    ]
    return _ending_with(form, rendered)


def of_instructions(instructions: str, form: str, completion: GradedCompletion) -> list[Message]:
    """Ours, with the grader's instructions, and the material in parts that no text within them can end: their
    marks carry a code that depends on all of it.

    Raises: GradingError where a variable of the instructions is not there.
    """
    instructions = render(instructions, completion.item, completion.sample)
    system = words("model_as_judge", instructions=instructions)
    parts = list(_parts(completion))
    code = hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:12]
    material = "\n\n".join(f"[{name} {code}]\n{text}\n[end {code}]" for name, text in parts)
    return _ending_with(form, [Message("system", system), Message("user", material)])


def _parts(completion: GradedCompletion) -> Iterator[tuple[str, str]]:
    messages = completion.item.get("messages", [])
    for message in messages if isinstance(messages, list) else [messages]:
        said = message if isinstance(message, dict) else {"content": message}
        yield f"{said.get('role', 'user')} message", _content(said)
    if "reference_answer" in completion.item:
        yield "reference answer", _text(completion.item["reference_answer"])
    yield "response to grade", completion.text
    if calls := completion.sample.get("output_tools"):
        yield "tool calls of the response to grade", _text(calls)


def _content(message: Mapping[str, Any]) -> str:
    content = message.get("content")
    return content if isinstance(content, str) else _text({k: v for k, v in message.items() if k != "role"})


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _ending_with(form: str, messages: list[Message]) -> list[Message]:
    """A user speaks last: models answer users, and some refuse to answer anyone else."""
    *before, last = messages
    if last.role == "user":
        return [*before, Message("user", f"{last.text}\n\n{form}")]
    return [*messages, Message("user", form)]

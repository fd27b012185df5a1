"""Completions of GPT-OSS: what is said reaches the grader, what is thought does not, calls are calls."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests import tiny_qwen
from training_image import tool_calls
from training_image.answer_reader import Content, Thinking
from training_image.call_scanner import CallArguments, CallStart
from training_image.harmony import ChannelReader
from training_image.trainer.chat_format import ChatFormat

MARKS = ("<|start|>", "<|end|>", "<|message|>", "<|channel|>", "<|constrain|>", "<|return|>", "<|call|>")
QUESTION = {"role": "user", "content": "Weather in Paris?"}
WEATHER: dict[str, Any] = {
    "type": "function",
    "function": {"name": "weather", "parameters": {"type": "object", "properties": {"city": {}}}},
}


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    """With GPT-OSS's own template, as TRL keeps it, and its marks as special tokens."""
    import trl

    tokenizer = tiny_qwen.tokenizer()
    tokenizer.add_tokens([*MARKS], special_tokens=True)
    tokenizer.chat_template = (Path(trl.__file__).parent / "chat_templates/gptoss.jinja").read_text()
    return tokenizer


def completion(tokenizer: Any, message: dict[str, Any]) -> str:
    """What the model is taught to answer with for `message` to come out."""
    described = WEATHER | {"function": WEATHER["function"] | {"description": "Of today."}}
    options = {"tokenize": False, "tools": [described]}
    asked = tokenizer.apply_chat_template([QUESTION], add_generation_prompt=True, **options)
    whole = tokenizer.apply_chat_template([QUESTION, message], **options)
    return whole.removeprefix(asked)


def test_the_final_channel_is_what_is_said(tokenizer: Any) -> None:
    text = completion(tokenizer, {"role": "assistant", "thinking": "It rains?", "content": "Rain."})

    assert "It rains?" in text
    assert tool_calls.read(text, "channels") == ("Rain.", [])


def test_a_call_is_read_as_the_template_writes_it(tokenizer: Any) -> None:
    call = {"function": {"name": "weather", "arguments": {"city": "Paris"}}}
    text = completion(tokenizer, {"role": "assistant", "thinking": "I look.", "tool_calls": [call]})

    said, [called] = tool_calls.read(text, "channels")

    assert said == ""
    assert called["function"]["name"] == "weather"
    assert json.loads(called["function"]["arguments"]) == {"city": "Paris"}


@pytest.mark.parametrize(
    ("text", "said", "calls"),
    [
        ("<|channel|>final<|message|>Rain.", "Rain.", 0),  # the stop token is not always kept
        ("<|channel|>analysis<|message|>It may be", "", 0),  # cut off in its thought
        ("<|channel|>analy", "", 0),
        ("Rain.", "Rain.", 0),
        (
            "<|channel|>commentary to=functions.weather <|constrain|>json<|message|>{}<|call|>",
            "",
            1,
        ),
        (
            "<|channel|>commentary<|message|>I look.<|end|><|start|>assistant to=functions.a-b.c"
            "<|channel|>commentary json<|message|>{}<|call|>",
            "",
            1,
        ),
        (
            "<|channel|>analysis<|message|>a<|end|><|start|>assistant<|channel|>final<|message|>b\nc<|return|>",
            "b\nc",
            0,
        ),
    ],
)
def test_whatever_the_model_writes_is_read(text: str, said: str, calls: int) -> None:
    found, called = tool_calls.read(text, "channels")

    assert (found, len(called)) == (said, calls)


@pytest.mark.parametrize("calls", [False, True])
def test_a_cut_anywhere_changes_nothing(calls: bool) -> None:
    last = "final<|message|>b < c <|" if not calls else "commentary to=functions.f json<|message|>{}"
    text = f"<|channel|>analysis<|message|>a<|x|><|end|><|start|>assistant<|channel|>{last}"
    whole = said(ChannelReader(), [text])

    assert whole == ("a<|x|>", "", "{}") if calls else ("a<|x|>", "b < c <|", "")
    for cut in range(len(text)):
        assert said(ChannelReader(), [text[:cut], text[cut:]]) == whole
    assert said(ChannelReader(), list(text)) == whole


def said(reader: ChannelReader, pieces: list[str]) -> tuple[str, ...]:
    """Thoughts, answers, and arguments of calls."""
    parts = [part for piece in pieces for part in reader.feed(piece)] + reader.end()
    texts = [(type(part), part.text) for part in parts if not isinstance(part, CallStart)]
    return tuple(
        "".join(text for of, text in texts if of is kind) for kind in (Thinking, Content, CallArguments)
    )


def test_tokens_keep_the_marks_that_the_grader_does_not_see(tokenizer: Any) -> None:
    chat = ChatFormat(tokenizer)
    text = (
        "<|channel|>analysis<|message|>hm<|end|><|start|>assistant<|channel|>final<|message|>rain<|return|>"
    )

    decoded = chat.text(tokenizer(text, add_special_tokens=False).input_ids)

    assert chat.thought == "channels"
    assert chat.read(decoded, False) == ("rain", [])


@pytest.mark.parametrize("effort", ["low", "high"])
def test_the_jobs_reasoning_effort_is_in_the_prompt(tokenizer: Any, effort: str) -> None:
    asked = tokenizer.decode(ChatFormat(tokenizer, effort).tokens({"prompt": [QUESTION], "tools": []}))

    assert f"Reasoning: {effort}" in asked
    assert asked.endswith("<|start|>assistant")


def test_earlier_calls_and_tools_are_shown(tokenizer: Any) -> None:
    call = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "x"}'}}
    turns = [
        QUESTION,
        {"role": "assistant", "content": None, "reasoning_content": "I look.", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": "Rain."},
    ]

    asked = tokenizer.decode(ChatFormat(tokenizer).tokens({"prompt": turns, "tools": [WEATHER]}))

    assert "type weather = " in asked
    assert "to=functions.weather" in asked and "I look." in asked and "Rain." in asked

"""A model's text is taken apart alike, however it is cut into pieces."""

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training_image.answer_reader import AnswerReader, Content, Part, Thinking
from training_image.call_scanner import CallArguments, CallStart
from training_image.grammars import Thought

QWEN = """<think>
The user wants the weather; in </tool_call> I trust.
</think>

I will look it up.
<tool_call>
{"name": "get_weather", "arguments": {"city": "Zürich </tool_call> \\"x\\"", "days": [1, {"a": null}]}}
</tool_call>
<tool_call>
{"arguments": {"zone": 5}, "name": "get_time"}
</tool_call>"""
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.sampled_from(["</tool_call>", '"}']),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
CALLS = st.lists(
    st.tuples(
        st.from_regex(r"[a-z_]{1,9}", fullmatch=True), st.dictionaries(st.text(max_size=5), JSON_VALUES)
    ),
    min_size=1,
    max_size=3,
)


def read(pieces: list[str], thought: Thought = "none", *, calls: bool = True) -> list[Part]:
    reader = AnswerReader(thought, calls=calls)
    parts = [part for piece in pieces for part in reader.feed(piece)]
    return parts + reader.end()


def said(parts: list[Part]) -> tuple[str, str, list[list[str]]]:
    """All thought, all content, and each call's name and arguments."""
    calls: list[list[str]] = []
    for part in parts:
        if isinstance(part, CallStart):
            assert part.index == len(calls)
            calls.append([part.name, ""])
        elif isinstance(part, CallArguments):
            calls[part.index][1] += part.text
    thought = "".join(part.text for part in parts if isinstance(part, Thinking))
    return thought, "".join(part.text for part in parts if isinstance(part, Content)), calls


def test_thought_answer_and_calls_are_told_apart() -> None:
    thought, content, calls = said(read([QWEN], "optional"))

    assert thought == "The user wants the weather; in </tool_call> I trust."
    assert content == "I will look it up."
    assert [(name, json.loads(arguments)) for name, arguments in calls] == [
        ("get_weather", {"city": 'Zürich </tool_call> "x"', "days": [1, {"a": None}]}),
        ("get_time", {"zone": 5}),
    ]


@pytest.mark.parametrize("cut", range(len(QWEN) + 1))
def test_a_cut_anywhere_changes_nothing(cut: int) -> None:
    parts = read([QWEN[:cut], QWEN[cut:]], "optional")

    assert said(parts) == said(read([QWEN], "optional"))


@given(st.lists(st.integers(0, len(QWEN)), max_size=12), st.sampled_from(["optional", "none"]))
def test_cuts_anywhere_change_nothing(cuts: list[int], thought: Thought) -> None:
    places = [0, *sorted(cuts), len(QWEN)]
    pieces = [QWEN[start:end] for start, end in pairwise(places)]

    assert said(read(pieces, thought)) == said(read(list(QWEN), thought))


@given(CALLS, st.booleans(), st.sampled_from([None, 1]))
def test_calls_are_read_back_as_they_were_written(
    calls: list[tuple[str, dict[str, Any]]], as_list: bool, indent: int | None
) -> None:
    written = [json.dumps({"name": name, "arguments": given}, indent=indent) for name, given in calls]
    text = "\n".join(f"<tool_call>\n{one}\n</tool_call>" for one in written)
    if as_list:
        text = f"<tool_call>[{', '.join(written)}]</tool_call>"

    whole, by_character = said(read([text])), said(read(list(text)))

    assert whole == by_character
    assert (whole[0], whole[1]) == ("", "")
    assert [(name, json.loads(arguments)) for name, arguments in whole[2]] == calls


@given(st.text(alphabet='<>/think tool_cal{}"', max_size=40), st.booleans())
def test_any_text_is_read_alike_at_once_and_by_the_character(text: str, calls: bool) -> None:
    for thought in ("none", "optional", "open"):
        assert said(read([text], thought, calls=calls)) == said(read(list(text), thought, calls=calls))


@given(st.text(max_size=40))
def test_where_nothing_is_looked_for_text_stays_as_it_is(text: str) -> None:
    assert said(read(list(text), calls=False)) == ("", text, [])


@given(st.lists(st.text(alphabet="ab \n<", max_size=6), max_size=8))
def test_content_says_where_in_the_text_it_is(pieces: list[str]) -> None:
    text = "".join(pieces)

    for part in read(pieces, "optional"):
        assert isinstance(part, Content) and text[part.start :].startswith(part.text)


@pytest.mark.parametrize(
    ("text", "content", "calls"),
    [
        ("<tool_call>[]</tool_call>", "", []),
        ('<tool_call>[{"name": "f"}]</tool_call>', "", [["f", "{}"]]),
        ('<tool_call>{"name": "f", "arguments": null}</tool_call>', "", [["f", "{}"]]),
        ('<tool_call>{"name": "f", "parameters": {"a": 1}}</tool_call>', "", [["f", '{"a": 1}']]),
        ('<tool_call>{"name": "f", "arguments": "{\\"a\\": 1}"}</tool_call>', "", [["f", '{"a": 1}']]),
        ('<tool_call>{"id": 7, "name": "f", "arguments": {}}</tool_call>', "", [["f", "{}"]]),
        ('<tool_call>{"name": "f", "arguments": {"a": 1', "", [["f", '{"a": 1']]),
        ('<tool_call>{"nam', "", []),
        (
            '<tool_call>{"name": "f"</tool_call>\n<tool_call>{"name": "g"}</tool_call>',
            "",
            [["f", ""], ["g", "{}"]],
        ),
        ("<tool_call>call me</tool_call> maybe", "<tool_call>call me</tool_call>maybe", []),
        ("a < b <tool", "a < b <tool", []),
        ("two\n\n", "two\n\n", []),
    ],
)
def test_odd_calls_are_made_the_best_of(text: str, content: str, calls: list[list[str]]) -> None:
    assert said(read([text])) == said(read(list(text))) == ("", content, calls)


@pytest.mark.parametrize(
    ("text", "thought", "expected"),
    [
        ("<think>\n\n</think>\n\nhi", "optional", ("", "hi")),
        ("hm\n</think>\n\nhi\n", "open", ("hm", "hi\n")),
        ("hm, ", "open", ("hm, ", "")),
        ("  <think>a", "optional", ("a", "")),
        ("I <think> so", "optional", ("", "I <think> so")),
        ("<thi", "optional", ("", "<thi")),
        ("<think>a</think>b", "none", ("", "<think>a</think>b")),
    ],
)
def test_a_thought_is_one_where_the_model_has_them(
    text: str, thought: Thought, expected: tuple[str, str]
) -> None:
    assert said(read([text], thought))[:2] == said(read(list(text), thought))[:2] == expected

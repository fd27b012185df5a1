"""Rows with tools: the policy reads them as the tuned model will, and its calls reach the grader."""

from typing import Any

import pytest

from outcrop.errors import APIError
from outcrop.graders.pipeline import GraderPipeline
from outcrop.types.grader import MultiGrader
from tests import tiny_qwen
from training_image.trainer.chat_format import ChatFormat
from training_image.trainer.dataset import question
from training_image.trainer.rewards import Rewards

WEATHER = {
    "type": "function",
    "function": {"name": "weather", "parameters": {"type": "object", "properties": {"city": {}}}},
}
CALL = '<tool_call>\n{"name": "weather", "arguments": {"city": "Paris"}}\n</tool_call>'
MESSAGES = [{"role": "user", "content": "Weather in Paris?"}]


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return tiny_qwen.tokenizer()


def read_by_policy(row: dict[str, Any], tokenizer: Any) -> str:
    return tokenizer.decode(ChatFormat(tokenizer).tokens(question([row], 0)))


def test_the_policy_reads_a_rows_tools_by_its_own_template(tokenizer: Any) -> None:
    prompt = read_by_policy({"messages": MESSAGES, "tools": [WEATHER]}, tokenizer)

    assert prompt == tokenizer.apply_chat_template(
        MESSAGES, tools=[WEATHER], add_generation_prompt=True, tokenize=False
    )
    assert '"name": "weather"' in prompt


def test_a_row_without_tools_is_read_without_them(tokenizer: Any) -> None:
    plain = tokenizer.apply_chat_template(MESSAGES, add_generation_prompt=True, tokenize=False)

    assert read_by_policy({"messages": MESSAGES}, tokenizer) == plain
    assert read_by_policy({"messages": MESSAGES, "tools": None}, tokenizer) == plain


def test_earlier_calls_and_parts_of_text_are_read_too(tokenizer: Any) -> None:
    call = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "x"}'}}
    turns = [
        {
            "role": "user",
            "content": [{"type": "text", "text": "Weather "}, {"type": "text", "text": "in x?"}],
        },
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": "Rain."},
    ]

    prompt = read_by_policy({"messages": turns, "tools": [WEATHER]}, tokenizer)

    assert "Weather in x?" in prompt
    assert '<tool_call>\n{"name": "weather", "arguments": {"city": "x"}}\n</tool_call>' in prompt
    assert "<tool_response>\nRain.\n</tool_response>" in prompt


def test_a_template_whose_calls_nobody_can_read_ends_the_run_with_the_reason(tokenizer: Any) -> None:
    template = tokenizer.chat_template
    tokenizer.chat_template = "{% for tool in tools %}{{ tool }}{% endfor %}<function=f>"
    try:
        with pytest.raises(APIError, match="cannot read the tool calls of this model"):
            read_by_policy({"messages": MESSAGES, "tools": [WEATHER]}, tokenizer)
    finally:
        tokenizer.chat_template = template


def test_the_calls_of_a_completion_reach_its_grader_and_the_text_without_them(tokenizer: Any) -> None:
    part = {"type": "string_check", "operation": "eq"}
    called = {**part, "input": "{{sample.output_tools[0].function.name}}", "reference": "{{item.function}}"}
    said = {**part, "input": "{{sample.output_text}}", "reference": "Let me look."}
    ended = {**part, "input": "{{sample.choices[0].finish_reason}}", "reference": "tool_calls"}
    grader = MultiGrader.model_validate(
        {
            "type": "multi",
            "graders": {"called": called, "said": said, "ended": ended},
            "calculate_output": "called + said + ended",
        }
    )
    row = {"messages": MESSAGES, "tools": [WEATHER], "function": "weather"}
    rewards = Rewards(GraderPipeline(grader), [row], read=ChatFormat(tokenizer).read, failure_limit=1.0)
    texts = [f"Let me look.\n{CALL}", f"Let me look.\n{CALL}", "It is sunny."]

    round = rewards.round([question([row], 0)] * 3)
    for place, text in enumerate(texts):
        round.submit(place, text, "length" if place == 1 else "stop")
    given = rewards.rewards(round, texts)

    assert given == [3.0, 2.0, None]
    assert rewards.latest[0].completion == texts[0]
    assert "no 'sample.output_tools[0]'" in (rewards.latest[2].reward.message or "")


@pytest.mark.parametrize(
    ("effort", "thought"), [("default", "optional"), ("low", "optional"), ("none", "none")]
)
def test_the_policy_thinks_as_the_job_asks(tokenizer: Any, effort: str, thought: str) -> None:
    chat = ChatFormat(tokenizer, effort)

    asked = tokenizer.decode(chat.tokens(question([{"messages": MESSAGES}], 0)))

    assert asked.rstrip().endswith("</think>") == (effort == "none")
    assert chat.thought == thought


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("<think>\nIs it 5?\n</think>\n\n4", "4"),
        ("4", "4"),
        ("<think>\nIt must be 4. It", ""),  # cut off before it said anything
    ],
)
def test_a_thought_is_not_what_the_model_says(tokenizer: Any, text: str, said: str) -> None:
    part = {"type": "string_check", "operation": "eq", "input": "{{sample.output_text}}", "reference": said}
    grader = MultiGrader.model_validate({"type": "multi", "graders": {"a": part}, "calculate_output": "a"})
    row = {"messages": MESSAGES}
    rewards = Rewards(GraderPipeline(grader), [row], read=ChatFormat(tokenizer).read, failure_limit=1.0)

    given = rewards.rewards(rewards.round([question([row], 0)]), [text])

    assert given == [1.0]
    assert rewards.latest[0].completion == text


def test_the_tags_of_a_call_are_text_where_a_row_has_no_tools(tokenizer: Any) -> None:
    part = {"type": "string_check", "operation": "eq", "input": "{{sample.output_text}}", "reference": CALL}
    grader = MultiGrader.model_validate({"type": "multi", "graders": {"a": part}, "calculate_output": "a"})
    rewards = Rewards(
        GraderPipeline(grader), [{"messages": MESSAGES}], read=ChatFormat(tokenizer).read, failure_limit=1.0
    )

    given = rewards.rewards(rewards.round([question([{"messages": MESSAGES}], 0)]), [CALL])

    assert given == [1.0]

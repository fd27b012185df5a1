"""Tools, thoughts and forms of answers, straight from the local inference server."""

import json
from typing import Any

import openai
import pytest
from openai import OpenAI
from openai.types.chat import ChatCompletionMessageParam, ChatCompletionToolUnionParam
from pydantic import BaseModel

from tests.inference.scripted_model import ScriptedModels

ASK: list[ChatCompletionMessageParam] = [{"role": "user", "content": "weather in rome?"}]


def a_tool(name: str, *, strict: bool = False, **properties: Any) -> ChatCompletionToolUnionParam:
    parameters = {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
    return {"type": "function", "function": {"name": name, "parameters": parameters, "strict": strict}}


CITY = {"enum": ["rome", "paris", "oslo"]}
WEATHER = a_tool("get_weather", city=CITY, sure={"type": "boolean"})
TIME = a_tool("get_time", city=CITY)
CALLING = """Let me see.
<tool_call>
{"name": "get_weather", "arguments": {"city": "rome", "sure": true}}
</tool_call>
<tool_call>
{"name": "get_time", "arguments": {"city": "oslo"}}
</tool_call>"""


def calls_of(message: Any) -> list[tuple[str, Any]]:
    return [(call.function.name, json.loads(call.function.arguments)) for call in message.tool_calls or ()]


def test_calls_are_taken_out_of_the_text(local: OpenAI, scripted_models: ScriptedModels) -> None:
    scripted_models.script = CALLING

    choice = local.chat.completions.create(
        model="tiny-qwen", messages=ASK, tools=[WEATHER, TIME], reasoning_effort="none"
    ).choices[0]

    assert choice.message.content == "Let me see."
    assert calls_of(choice.message) == [
        ("get_weather", {"city": "rome", "sure": True}),
        ("get_time", {"city": "oslo"}),
    ]
    assert choice.finish_reason == "tool_calls"
    ids = [call.id for call in choice.message.tool_calls or ()]
    assert len(set(ids)) == 2 and all(id.startswith("call_") for id in ids)


def test_a_stream_of_calls_has_openais_deltas(local: OpenAI, scripted_models: ScriptedModels) -> None:
    scripted_models.script = CALLING

    chunks = list(
        local.chat.completions.create(
            model="tiny-qwen", messages=ASK, tools=[WEATHER, TIME], reasoning_effort="none", stream=True
        )
    )

    deltas = [chunk.choices[0].delta for chunk in chunks]
    calls = [call for delta in deltas for call in delta.tool_calls or ()]
    starts = [call for call in calls if call.id]
    assert "".join(delta.content or "" for delta in deltas) == "Let me see."
    assert [(call.index, call.type, call.function and call.function.name) for call in starts] == [
        (0, "function", "get_weather"),
        (1, "function", "get_time"),
    ]
    assert all(call.function and call.function.arguments == "" for call in starts)
    later = [call for call in calls if not call.id]
    assert all(call.type is None and call.function and call.function.name is None for call in later)
    arguments = [
        "".join(c.function.arguments or "" for c in later if c.index == i and c.function) for i in (0, 1)
    ]
    assert [json.loads(one) for one in arguments] == [{"city": "rome", "sure": True}, {"city": "oslo"}]
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices[0].finish_reason] == [
        "tool_calls"
    ]
    assert chunks[-1].choices[0].delta.model_dump(exclude_none=True) == {}


@pytest.mark.parametrize("parallel", [True, False])
def test_a_model_that_must_call_calls_with_arguments_of_the_schema(local: OpenAI, parallel: bool) -> None:
    answer = local.chat.completions.create(
        model="tiny-qwen",
        messages=ASK,
        tools=[WEATHER, TIME],
        tool_choice="required",
        parallel_tool_calls=parallel,
        reasoning_effort="none",
        seed=1,
    )

    calls = calls_of(answer.choices[0].message)
    assert answer.choices[0].message.content is None
    assert answer.choices[0].finish_reason == "tool_calls"
    assert calls and (parallel or len(calls) == 1)
    for name, arguments in calls:
        assert name in ("get_time", "get_weather") and arguments["city"] in CITY["enum"]
        assert type(arguments.get("sure", True)) is bool


def test_a_model_whose_template_has_no_tools_is_told_of_them_in_words(local: OpenAI) -> None:
    answer = local.chat.completions.create(
        model="tiny-caps",
        messages=[{"role": "user", "content": "x"}],
        tools=[a_tool("f", city=CITY)],
        tool_choice="required",
        parallel_tool_calls=False,
    )

    [(name, arguments)] = calls_of(answer.choices[0].message)
    assert name == "f" and arguments["city"] in CITY["enum"]


def test_a_named_function_is_the_one_that_is_called(local: OpenAI) -> None:
    for name in ("get_weather", "get_time"):
        answer = local.chat.completions.create(
            model="tiny-qwen",
            messages=ASK,
            tools=[WEATHER, TIME],
            tool_choice={"type": "function", "function": {"name": name}},
            parallel_tool_calls=False,
            reasoning_effort="none",
        )
        assert [called for called, _ in calls_of(answer.choices[0].message)] == [name]


def test_a_call_once_begun_is_held_to_a_known_function_and_its_schema(local: OpenAI) -> None:
    begin = {"104": 100}  # <tool_call>

    answer = local.chat.completions.create(
        model="tiny-qwen",
        messages=ASK,
        tools=[WEATHER, TIME],
        logit_bias=begin,
        parallel_tool_calls=False,
        reasoning_effort="none",
    )

    [(name, arguments)] = calls_of(answer.choices[0].message)
    assert name in ("get_weather", "get_time") and arguments["city"] in CITY["enum"]


def test_without_room_a_call_is_cut_and_says_so(local: OpenAI) -> None:
    answer = local.chat.completions.create(
        model="tiny-qwen",
        messages=ASK,
        tools=[WEATHER],
        tool_choice="required",
        reasoning_effort="none",
        max_tokens=40,
    )

    [call] = answer.choices[0].message.tool_calls or []
    assert answer.choices[0].finish_reason == "length"
    assert call.type == "function" and call.function.name == "get_weather"
    assert call.function.arguments.startswith("{")


@pytest.mark.parametrize("choice", ["none", None])
def test_where_nothing_may_be_called_a_call_is_text(
    local: OpenAI, scripted_models: ScriptedModels, choice: Any
) -> None:
    scripted_models.script = "<tool_call>{}</tool_call>"
    options: dict[str, Any] = {"tools": [WEATHER], "tool_choice": "none"} if choice else {}

    message = (
        local.chat.completions.create(model="tiny-qwen", messages=ASK, reasoning_effort="none", **options)
        .choices[0]
        .message
    )

    assert (message.content, message.tool_calls) == ("<tool_call>{}</tool_call>", None)


@pytest.mark.parametrize("model", ["tiny-qwen", "tiny-caps"])
def test_a_conversation_with_calls_and_their_results_goes_on(local: OpenAI, model: str) -> None:
    history: list[Any] = [
        *ASK,
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}},
                {"id": "call_2", "type": "function", "function": {"name": "f", "arguments": "not JSON"}},
            ],
        },
        {"role": "tool", "tool_call_id": "call_1", "content": "sun"},
        {"role": "tool", "tool_call_id": "call_2", "content": [{"type": "text", "text": "rain"}]},
    ]

    answer = local.chat.completions.create(model=model, messages=history, max_tokens=5)

    assert answer.usage and answer.usage.prompt_tokens > len("weather in rome?sunrain")


def test_a_strict_function_whose_schema_cannot_be_kept_to_is_refused(local: OpenAI) -> None:
    odd = {"type": "string", "pattern": "(?=a)"}

    with pytest.raises(openai.BadRequestError, match="look-ahead") as error:
        local.chat.completions.create(
            model="tiny-qwen", messages=ASK, tools=[WEATHER, a_tool("f", strict=True, a=odd)]
        )

    assert error.value.param == "tools.1.function.parameters"


def test_a_function_that_is_not_strict_may_have_any_schema(local: OpenAI) -> None:
    odd = {"type": "string", "pattern": "(?=a)"}

    answer = local.chat.completions.create(
        model="tiny-qwen", messages=ASK, tools=[a_tool("f", a=odd)], max_tokens=3, logit_bias={"101": -100}
    )

    assert answer.choices[0].finish_reason == "length"


def test_a_thought_is_told_apart_and_its_tokens_are_counted(
    local: OpenAI, scripted_models: ScriptedModels
) -> None:
    scripted_models.script = "<think>\nhm\n</think>\n\nrome"

    answer = local.chat.completions.create(model="tiny-qwen", messages=ASK)

    message = answer.choices[0].message.model_dump()
    assert (message["content"], message["reasoning"]) == ("rome", "hm")
    assert message["reasoning_content"] == message["reasoning"]
    assert answer.usage and answer.usage.completion_tokens_details
    assert answer.usage.completion_tokens_details.reasoning_tokens == len(["<think>", *"\nhm\n", "</think>"])
    assert answer.usage.completion_tokens == 6 + len("\n\nrome")


def test_a_thought_streams_in_its_own_field(local: OpenAI, scripted_models: ScriptedModels) -> None:
    scripted_models.script = "<think>\nhm hm\n</think>\n\nrome"

    stream = local.chat.completions.create(model="tiny-qwen", messages=ASK, stream=True)
    deltas = [chunk.choices[0].delta.model_dump() for chunk in stream]

    assert "".join(delta.get("reasoning_content") or "" for delta in deltas) == "hm hm"
    assert "".join(delta.get("reasoning") or "" for delta in deltas) == "hm hm"
    assert "".join(delta.get("content") or "" for delta in deltas) == "rome"


def test_a_thought_that_is_cut_is_all_there_is(local: OpenAI, scripted_models: ScriptedModels) -> None:
    scripted_models.script = "<think>\nhm hm hm"

    answer = local.chat.completions.create(model="tiny-qwen", messages=ASK, max_tokens=4)

    message = answer.choices[0].message.model_dump()
    assert (message["content"], message["reasoning"]) == ("", "hm")
    assert answer.choices[0].finish_reason == "length"
    assert answer.usage and answer.usage.completion_tokens_details
    assert answer.usage.completion_tokens_details.reasoning_tokens == 4


def test_a_thought_may_come_before_a_form_and_before_calls(
    local: OpenAI, scripted_models: ScriptedModels
) -> None:
    thinking = '<think>{"not": "this"}</think>\n\n'

    scripted_models.script = thinking + '{"a": 1}'
    form = local.chat.completions.create(
        model="tiny-qwen", messages=ASK, response_format={"type": "json_object"}
    )
    scripted_models.script = thinking + CALLING
    calls = local.chat.completions.create(model="tiny-qwen", messages=ASK, tools=[WEATHER, TIME])

    assert form.choices[0].message.content == '{"a": 1}'
    assert calls.choices[0].message.content == "Let me see."
    assert len(calls_of(calls.choices[0].message)) == 2


def test_the_sdks_own_parser_reads_an_answer_of_a_schema(local: OpenAI) -> None:
    class Step(BaseModel):
        done: bool
        next: "Step | None"

    class Plan(BaseModel):
        city: bool
        steps: Step

    answer = local.chat.completions.parse(
        model="tiny-qwen", messages=ASK, response_format=Plan, reasoning_effort="none", seed=3
    )

    assert isinstance(answer.choices[0].message.parsed, Plan)
    assert answer.choices[0].finish_reason == "stop"


def test_json_that_is_cut_says_so(local: OpenAI) -> None:
    schema = {"type": "object", "properties": {"city": CITY}, "required": ["city"]}

    answer = local.chat.completions.create(
        model="tiny-qwen",
        messages=ASK,
        response_format={"type": "json_schema", "json_schema": {"name": "s", "schema": schema}},
        reasoning_effort="none",
        max_tokens=3,
    )

    assert answer.choices[0].finish_reason == "length"
    assert (answer.choices[0].message.content or "").startswith("{")


def test_an_answer_is_of_the_schema_or_a_call(local: OpenAI, scripted_models: ScriptedModels) -> None:
    schema = {"type": "json_schema", "json_schema": {"name": "s", "schema": {"type": "integer"}}}
    options: dict[str, Any] = {"response_format": schema, "tools": [TIME], "reasoning_effort": "none"}

    scripted_models.script = "55"
    number = local.chat.completions.create(model="tiny-qwen", messages=ASK, **options)
    scripted_models.script = CALLING[CALLING.rindex("<tool_call>") :]
    called = local.chat.completions.create(model="tiny-qwen", messages=ASK, **options)

    assert number.choices[0].message.content == "55"
    assert calls_of(called.choices[0].message) == [("get_time", {"city": "oslo"})]


@pytest.mark.parametrize("strict", [True, False])
def test_a_schema_that_cannot_be_kept_to_is_a_400_with_the_reason(local: OpenAI, strict: bool) -> None:
    schema = {"type": "object", "not": {"type": "string"}}

    with pytest.raises(openai.BadRequestError, match=r'response_format.*"not"') as error:
        local.chat.completions.create(
            model="tiny-qwen",
            messages=ASK,
            response_format={
                "type": "json_schema",
                "json_schema": {"name": "s", "strict": strict, "schema": schema},
            },
        )

    assert error.value.param == "response_format"

"""The namespace `sample`: what a grader is told about a completion, and where a template finds nothing."""

import pytest

from outcrop.graders.pipeline import GraderPipeline
from outcrop.graders.reward import GradedCompletion, GradingError
from outcrop.graders.template import render, validate
from outcrop.types.grader import StringCheckGrader
from training_image import tool_calls

WEATHER = '<tool_call>\n{"name": "weather", "arguments": {"city": "Paris"}}\n</tool_call>'


def a_call(text: str = WEATHER) -> GradedCompletion:
    said, calls = tool_calls.read(text)
    return GradedCompletion({"function": "weather"}, said, calls)


def test_a_completion_is_told_as_the_chat_api_tells_it() -> None:
    sample = GradedCompletion({}, "Paris").sample

    message = {"role": "assistant", "content": "Paris"}
    assert sample == {
        "output_text": "Paris",
        "output_tools": [],
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
    }


def test_output_json_is_there_where_the_text_is_json() -> None:
    assert GradedCompletion({}, '{"a": [1, null]}').sample["output_json"] == {"a": [1, None]}
    assert "output_json" not in GradedCompletion({}, "{'a': 1}").sample


def test_the_calls_of_a_completion_are_its_output_tools() -> None:
    sample = a_call("Let me look.\n" + WEATHER).sample

    function = {"name": "weather", "arguments": '{"city": "Paris"}'}
    calls = [{"id": "call_0", "type": "function", "function": function}]
    message = {"role": "assistant", "content": "Let me look.", "tool_calls": calls}
    assert sample == {
        "output_text": "Let me look.",
        "output_tools": calls,
        "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}],
    }


def test_a_completion_that_only_calls_has_no_content_as_in_the_chat_api() -> None:
    [choice] = a_call().sample["choices"]

    assert (a_call().sample["output_text"], choice["message"]["content"]) == ("", None)


def test_a_completion_that_was_cut_off_says_so() -> None:
    assert (
        GradedCompletion({}, "Par", finish_reason="length").sample["choices"][0]["finish_reason"] == "length"
    )


def test_several_calls_keep_their_order_and_their_own_spelling() -> None:
    text = WEATHER + '\n<tool_call>\n{"name": "time", "arguments": {"zone":   "CET"}}\n</tool_call>'

    functions = [call["function"] for call in a_call(text).tool_calls]

    assert [function["name"] for function in functions] == ["weather", "time"]
    assert functions[1]["arguments"] == '{"zone":   "CET"}'


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{{sample.output_tools[0].function.name}}", "weather"),
        ("{{ sample.output_tools[0].function.arguments }}", '{"city": "Paris"}'),
        ("{{sample.choices[0].message.tool_calls[0].type}}", "function"),
        ("{{sample.choices[0].finish_reason}}", "tool_calls"),
        ("{{sample.choices[0].message.content}}", "null"),
    ],
)
def test_openais_templates_read_calls_and_choices(template: str, text: str) -> None:
    completion = a_call()

    validate(template)

    assert render(template, completion.item, completion.sample) == text


def test_a_call_that_is_not_there_is_named_by_its_index() -> None:
    with pytest.raises(GradingError, match=r"There is no 'sample\.output_tools\[0\]'") as caught:
        render("{{sample.output_tools[0].function.name}}", {}, GradedCompletion({}, "Hello").sample)

    assert caught.value.kind == "invalid_variable_error"


def test_completions_with_the_same_text_and_other_calls_are_graded_apart() -> None:
    grader = StringCheckGrader(
        type="string_check",
        input="{{sample.output_tools[0].function.name}}",
        reference="{{item.function}}",
        operation="eq",
    )

    rewards = GraderPipeline(grader).grade([a_call(), a_call(WEATHER.replace("weather", "time"))])

    assert [reward.reward for reward in rewards] == [1.0, 0.0]

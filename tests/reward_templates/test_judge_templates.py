"""What each judge template shows its judge, and that its examples are worth what its owner is told."""

from typing import Any

import pytest

from outcrop import dataset
from outcrop.graders.pipeline import GraderPipeline
from outcrop.graders.reward import GradedCompletion
from outcrop.types.grader import LambdaGrader, LambdaTarget
from tests.converse_server import Asked, Said
from tests.graders.lambda_endpoint import LambdaEndpoint
from tests.reward_templates.judges import (
    JUDGES,
    TEMPLATES,
    MakeTemplate,
    block,
    criteria,
    entry,
    rows,
    said_on,
)

EVERY_JUDGE = pytest.mark.parametrize("name", JUDGES)


def a_judge_of(template: str) -> Any:
    """A judge that gives each completion among the template's examples the levels which stand beside it."""
    levels = {one["completion"]: one["levels"] for one in rows(template, "example_completions.jsonl")}

    def judge(asked: Asked) -> Said:
        return said_on(asked, {"reasoning": "As the example says.", **levels[block(asked, "completion")]})

    return judge


def fives(asked: Asked) -> Said:
    return said_on(asked, {"reasoning": "Fine.", **dict.fromkeys(criteria(asked), 5)})


@EVERY_JUDGE
@pytest.mark.parametrize("wire", ["converse", "chat"])
def test_the_examples_are_worth_what_stands_beside_them(
    a_template: MakeTemplate, name: str, wire: str
) -> None:
    template = a_template(a_judge_of(name), wire, name)
    items, examples = rows(name, "example.jsonl"), rows(name, "example_completions.jsonl")
    event = [entry(str(n), one["completion"], **items[one["row"]]) for n, one in enumerate(examples)]

    answer = template(event)

    assert [round(one["aggregate_reward_score"], 4) for one in answer] == [one["reward"] for one in examples]


@EVERY_JUDGE
def test_of_each_example_row_the_first_completion_is_the_best_and_no_other_comes_near(name: str) -> None:
    for row in range(len(rows(name, "example.jsonl"))):
        first, *others = [
            one["reward"] for one in rows(name, "example_completions.jsonl") if one["row"] == row
        ]

        assert first > 0.9
        assert others and max(others) < 0.7


@EVERY_JUDGE
def test_the_example_rows_can_be_trained_on(name: str) -> None:
    lines = (TEMPLATES / name / "example.jsonl").read_bytes().splitlines()

    assert dataset.read(lines) == rows(name, "example.jsonl")


@EVERY_JUDGE
def test_the_prompt_has_a_rubric_for_each_criterion_and_forbids_what_must_not_count(
    a_template: MakeTemplate, name: str
) -> None:
    template = a_template(fives, name=name)
    items = rows(name, "example.jsonl")

    template([entry(str(n), "Some text.", **item) for n, item in enumerate(items)])

    prompt = template.module.PROMPT
    for asked in template.server.asked:
        for criterion in criteria(asked):
            assert f'"{criterion}"' in prompt or criterion.startswith("instruction_")
    for forbidden in ("Length", "addressed to you", "Reasons first"):
        assert forbidden in prompt


@EVERY_JUDGE
def test_the_readme_tells_its_owner_all_there_is_to_set(a_template: MakeTemplate, name: str) -> None:
    readme = (TEMPLATES / name / "README.md").read_text()

    for term in ("JUDGE_MODEL", "JUDGE_BASE_URL", "JUDGE_API_KEY", "JUDGE_CONCURRENCY", "JUDGE_MAX_TOKENS"):
        assert term in readme
    for term in ("WEIGHT", "bedrock:InvokeModel", "1,000 completions", "example_completions.jsonl"):
        assert term in readme


def test_a_list_of_instructions_gets_a_level_for_each(a_template: MakeTemplate) -> None:
    template = a_template(fives, name="instruction_following")

    [answer] = template([entry("a", "Hello!", instructions=["Greet.", "Be brief.", "No French."])])

    [asked] = template.server.asked
    assert criteria(asked) == ["instruction_1", "instruction_2", "instruction_3", "quality"]
    assert block(asked, "instructions") == "1. Greet.\n2. Be brief.\n3. No French."
    assert answer["aggregate_reward_score"] == pytest.approx(1.0)


@pytest.mark.parametrize("instructions", ["Greet.", [], ["x"] * 21])
def test_instructions_that_are_no_list_are_a_broken_row(a_template: MakeTemplate, instructions: Any) -> None:
    template = a_template(fives, name="instruction_following")

    with pytest.raises(Exception, match="instructions has to be a list of 1 to 20 texts"):
        template([entry("a", "Hello!", instructions=instructions)])


def test_a_conversation_reaches_the_judge_turn_by_turn(a_template: MakeTemplate) -> None:
    template = a_template(fives, name="summarization")
    call = {"id": "c", "type": "function", "function": {"name": "refund", "arguments": "{}"}}
    messages = [
        {"role": "user", "content": [{"type": "text", "text": "Refund "}, {"type": "text", "text": "me."}]},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "content": "done", "tool_call_id": "c"},
        {"role": "user", "content": "Summarise."},
    ]

    template([entry("a", "A refund was made.", messages=messages)])

    shown = block(template.server.asked[0], "conversation")
    assert [turn.partition(": ")[0] for turn in shown.split("\n\n")] == ["user", "assistant", "tool", "user"]
    assert "Refund me." in shown and '"refund"' in shown


@pytest.mark.parametrize(
    ("reference", "shown"),
    [("4 ml", "4 ml"), ({"final_answer": "4 µl", "steps": []}, '{"final_answer": "4 µl", "steps": []}')],
)
def test_a_reference_answer_and_a_domain_reach_the_judge(
    a_template: MakeTemplate, reference: Any, shown: str
) -> None:
    template = a_template(fives, name="reasoning_quality")

    template([entry("a", "It is 4.", reference_answer=reference, domain="nursing")])

    assert block(template.server.asked[0], "reference_answer") == shown
    assert block(template.server.asked[0], "domain") == "nursing"


def test_reasoning_without_a_reference_answer_is_judged_too(a_template: MakeTemplate) -> None:
    template = a_template(fives, name="reasoning_quality")

    [answer] = template([entry("a", "It is 4.")])

    assert answer["aggregate_reward_score"] == pytest.approx(1.0)
    assert "reference_answer" not in template.server.asked[0].text


ASKS = [{"role": "user", "content": "How long?"}]


@pytest.mark.parametrize(
    ("row", "shown"),
    [
        ({"messages": ASKS, "context": "Two weeks."}, "Two weeks."),
        ({"messages": ASKS, "context": ["Two weeks.", "One."]}, "[1] Two weeks.\n\n[2] One."),
        (
            {"messages": ASKS, "context": [{"title": "A", "text": "Two."}]},
            '[1] {"title": "A", "text": "Two."}',
        ),
        ({"messages": [{"role": "system", "content": "Two weeks."}, *ASKS]}, "Two weeks."),
    ],
)
def test_the_context_is_found_where_rows_have_it(
    a_template: MakeTemplate, row: dict[str, Any], shown: str
) -> None:
    template = a_template(fives, name="rag_faithfulness")

    template([entry("a", "Two weeks.", **row)])

    assert block(template.server.asked[0], "context") == shown
    assert block(template.server.asked[0], "conversation") == "user: How long?"


def test_a_row_without_a_context_is_a_broken_row(a_template: MakeTemplate) -> None:
    template = a_template(fives, name="rag_faithfulness")

    with pytest.raises(Exception, match="neither a context"):
        template([entry("a", "Two weeks.", messages=ASKS)])


def test_the_trainer_gets_rewards_and_leaves_out_what_has_none(
    a_template: MakeTemplate, monkeypatch: pytest.MonkeyPatch
) -> None:
    rambling = Said("I would say it is fine.")
    template = a_template(lambda asked: rambling if "odd" in asked.text else fives(asked))
    endpoint = LambdaEndpoint()
    monkeypatch.setenv("AWS_ENDPOINT_URL_LAMBDA", endpoint.url)
    arn = endpoint.function(template.module.lambda_handler)
    grader = LambdaGrader.model_validate({"type": "lambda", "lambda": LambdaTarget(function=arn)})
    pipeline = GraderPipeline(grader, concurrency=4)
    [item, _] = rows("summarization", "example.jsonl")

    graded = pipeline.grade([GradedCompletion(item, text) for text in ("Fine.", "An odd one.", "Good.")])
    pipeline.close()
    endpoint.stop()

    assert [one.reward for one in graded] == [1.0, None, 1.0]
    assert [one.error for one in graded] == [None, "missing_reward", None]
    assert graded[0].metrics["faithfulness"] == 1.0

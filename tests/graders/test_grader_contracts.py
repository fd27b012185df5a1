"""The three contracts as data: what the events hold, and which answers count."""

import json
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outcrop.graders.contracts import batch_event, parse, read_batch, read_single, single_event
from outcrop.graders.reward import GradingError, Score
from tests.graders.grading import a_completion


def test_a_batch_event_is_what_bedrocks_documentation_and_its_walk_through_read() -> None:
    completion = a_completion("4", id="row-1", task_id="t", metadata={"test_cases": [1]})

    [entry] = batch_event([completion])

    assert entry["messages"][-2:] == [
        {"role": "user", "content": "2 + 2?"},
        {"role": "assistant", "content": "4"},
    ]
    assert entry["reference_answer"] == {"text": "4"}
    assert entry["metadata"] == {"reference_answer": "4", "id": "row-1", "task_id": "t", "test_cases": [1]}


def test_an_object_as_reference_answer_stays_as_it_is() -> None:
    [entry] = batch_event([a_completion(reference_answer={"city": "Paris"})])

    assert entry["reference_answer"] == entry["metadata"]["reference_answer"] == {"city": "Paris"}


def test_completions_of_one_row_have_ids_of_their_own() -> None:
    entries = batch_event([a_completion("4", id="row-1"), a_completion("5", id="row-1")])

    assert len({entry["id"] for entry in entries}) == 2


def test_a_single_event_has_prompt_and_response_the_items_fields_and_openais_names() -> None:
    completion = a_completion('{"n": 4}', prompt="the column", level=3)

    event = single_event(completion)

    assert (event["prompt"], event["response"]) == ("2 + 2?", '{"n": 4}')
    assert (event["reference_answer"], event["level"]) == ("4", 3)
    assert event["messages"] == completion.item["messages"]
    assert event["item"]["prompt"] == "the column"
    assert event["sample"] == completion.sample
    assert (event["sample"]["output_text"], event["sample"]["output_json"]) == ('{"n": 4}', {"n": 4})


def test_the_prompt_of_a_message_in_parts_is_its_text() -> None:
    parts = [{"type": "text", "text": "2 + "}, {"type": "text", "text": "2?"}]
    messages = [{"role": "user", "content": parts}, {"role": "assistant", "content": "Well"}]

    assert single_event(a_completion(messages=messages))["prompt"] == "2 + 2?"


@pytest.mark.parametrize(
    ("answer", "reward"),
    [
        (0.5, 0.5),
        (1, 1.0),
        (-1.5, -1.5),
        ({"reward": 0.5}, 0.5),
        ({"score": 0.5}, 0.5),
        ({"aggregate_reward_score": 0.5, "score": 9}, 0.5),
        ({"statusCode": 200, "body": '{"score": 0.7}'}, 0.7),
        ({"statusCode": 200, "body": {"score": 0.7}}, 0.7),
        ({"statusCode": "200", "body": {"reward": 0.7}}, 0.7),
        ({"statusCode": 200, "body": "0.7"}, 0.7),
        ({"statusCode": 200, "body": 0.7}, 0.7),
    ],
)
def test_one_completion_may_be_answered_in_all_these_ways(answer: Any, reward: float) -> None:
    assert read_single(answer) == Score(reward)


@pytest.mark.parametrize(
    ("answer", "kind", "message"),
    [
        (None, "missing_reward", "answered nothing"),
        ("0.5", "missing_reward", "answered a text"),
        ([0.5], "missing_reward", "answered a list"),
        ({}, "missing_reward", "neither 'reward' nor 'score'"),
        ({"statusCode": 200}, "missing_reward", "answered nothing"),
        ({"statusCode": 200, "body": "good"}, "missing_reward", "not valid JSON"),
        ({"statusCode": 200, "body": '{"score": NaN}'}, "invalid_reward", "NaN or Infinity"),
        ({"statusCode": 500, "body": "no database"}, "grader_exception", "statusCode 500: no database"),
        ({"statusCode": 400, "body": {"error": "x"}}, "grader_exception", 'statusCode 400: {"error":"x"}'),
        (True, "invalid_reward", "not bool"),
        ({"reward": "0.5"}, "invalid_reward", "not str: '0.5'"),
        ({"reward": None}, "invalid_reward", "not NoneType"),
        ({"reward": [1]}, "invalid_reward", "not list"),
        ({"reward": 1e300}, "invalid_reward", "within ±1e"),
    ],
)
def test_an_answer_without_a_proper_number_is_no_reward(answer: Any, kind: str, message: str) -> None:
    try:
        outcome = read_single(answer)
    except GradingError as error:
        outcome = error

    assert isinstance(outcome, GradingError)
    assert outcome.kind == kind
    assert message in outcome.message


def test_ids_decide_whose_reward_is_whose() -> None:
    event = [{"id": "a"}, {"id": "b"}, {"id": "7"}]
    answer = [
        {"id": 7, "aggregate_reward_score": 0.7},
        {"id": "b", "aggregate_reward_score": 0.2},
        {"id": "a", "aggregate_reward_score": 0.1},
    ]

    assert read_batch(answer, event) == [Score(0.1), Score(0.2), Score(0.7)]


def test_a_doubled_a_missing_and_a_bad_entry_cost_themselves_alone() -> None:
    event = [{"id": name} for name in "abcde"]
    answer = [
        {"id": "a", "aggregate_reward_score": 1},
        {"id": "b", "aggregate_reward_score": 1},
        {"id": "b", "aggregate_reward_score": 0},
        {"id": "d", "aggregate_reward_score": "high"},
        {"id": "e"},
        {"id": "nobody's", "aggregate_reward_score": 1},
        "garbage",
    ]

    outcomes = read_batch(answer, event)

    assert outcomes[0] == Score(1.0)
    errors = [outcome for outcome in outcomes if isinstance(outcome, GradingError)]
    assert [error.kind for error in errors] == [
        "missing_reward",
        "missing_reward",
        "invalid_reward",
        "missing_reward",
    ]
    assert "2 times for one id" in errors[0].message
    assert "answered 7 for 5 completions, 2 of them under an unknown id or none" in errors[1].message


def test_metrics_come_along_and_a_bad_metric_costs_nothing() -> None:
    entry = {
        "id": "a",
        "aggregate_reward_score": 1,
        "metrics_list": [
            {"name": "format", "value": 0.5, "type": "Metric"},
            {"name": "broken", "value": "high"},
            {"value": 1},
            None,
        ],
    }

    assert read_batch([entry], [{"id": "a"}]) == [Score(1.0, {"format": 0.5})]


HOSTILE = (
    st.floats()
    | st.integers()
    | st.booleans()
    | st.text()
    | st.none()
    | st.just(1e999)
    | st.lists(st.floats(), max_size=2)
    | st.dictionaries(st.text(max_size=3), st.floats(), max_size=2)
    | st.integers(min_value=10**400, max_value=10**401)
)


@given(st.lists(HOSTILE, min_size=10, max_size=10))
@settings(max_examples=200, deadline=None)
def test_hostile_rewards_become_a_finite_number_or_a_typed_error(rewards: list[Any]) -> None:
    event = [{"id": str(index)} for index in range(len(rewards))]
    answer = [{"id": str(index), "aggregate_reward_score": reward} for index, reward in enumerate(rewards)]

    try:
        outcomes = read_batch(parse(json.dumps(answer)), event)
    except GradingError as error:  # the bytes are no JSON: NaN, Infinity
        assert error.kind in ("invalid_reward", "missing_reward")
        outcomes = read_batch(answer, event)

    for reward, outcome in zip(rewards, outcomes, strict=True):
        if isinstance(outcome, Score):
            assert not isinstance(reward, bool)
            assert math.isfinite(outcome.reward)
            assert outcome.reward == float(reward)
        else:
            assert isinstance(outcome, GradingError)
            assert outcome.kind == "invalid_reward"

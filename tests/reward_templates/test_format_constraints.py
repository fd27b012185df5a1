"""Form: what each constraint gives, and what is said about one that cannot be checked."""

from typing import Any

import pytest

from tests.reward_templates.rules import metrics, reward

_CITY = {"type": "object", "properties": {"city": {"type": "string", "minLength": 2}}, "required": ["city"]}
_GERMAN = "Guten Tag, Ihr Paket kommt morgen bei Ihnen an."
_ENGLISH = "Good morning, your parcel will arrive tomorrow."


def form(completion: str, **constraints: Any) -> float:
    return reward("format_constraints", completion, constraints=constraints)


@pytest.mark.parametrize(
    ("constraints", "completion", "reward"),
    [
        ({"json_schema": _CITY}, '{"city": "Rome"}', 1),
        ({"json_schema": _CITY}, '{"city": "R"}', 0.2),
        ({"json_schema": _CITY}, 'Here: {"city": "Rome"}', 0),
        ({"json_schema": True}, "NaN", 0),
        ({"json_schema": {"pattern": "^(?=.*\\d)(a+)+\\1$"}}, '"' + "a" * 40 + '!"', 0.2),
        ({"regex": "^\\d+$"}, "123", 1),
        ({"regex": "^\\d+$"}, "123 or so", 0),
        ({"words": {"min": 2, "max": 3}}, "two words", 1),
        ({"words": {"max": 4}}, "one two three four five", 0.75),
        ({"words": {"min": 4}}, "one two three", 0.75),
        ({"words": {"max": 2}}, "word " * 100, 0),
        ({"characters": {"max": 5}}, "  12345 ", 1),
        ({"lines": {"min": 2, "max": 2}}, "one\n\ntwo\n", 1),
        ({"items": {"min": 3, "max": 3}}, "- a\n* b\n3. c", 1),
        ({"items": {"min": 3, "max": 3}}, '["a", "b", "c"]', 1),
        ({"items": {"min": 2}}, "a and b", 0),
        ({"language": "de"}, _GERMAN, 1),
        ({"language": "en"}, _GERMAN, 0),
        ({"language": "en"}, "1234 5678", 0),
        ({"required": ["4711", "Morgen"]}, "4711 kommt", 0.5),
        ({"forbidden": ["Sorry", "as an AI"]}, "I am sorry.", 0),
        ({"forbidden": ["sorry"]}, "I am glad.", 1),
        ({"starts_with": "Dear"}, "\nDear Sir", 1),
        ({"ends_with": "."}, "End!", 0),
    ],
)
def test_a_constraint_gives_from_0_to_1(constraints: dict[str, Any], completion: str, reward: float) -> None:
    assert form(completion, **constraints) == pytest.approx(reward)


def test_a_first_line_in_the_language_is_not_enough() -> None:
    assert 0.4 < form(f"{_GERMAN}\n{_ENGLISH}", language="de") < 0.6


def test_the_reward_is_the_weighted_mean_and_each_part_is_shown() -> None:
    constraints = {"required": ["a"], "starts_with": "b", "weights": {"starts_with": 3}}

    assert reward("format_constraints", "a", constraints=constraints) == 0.25
    assert metrics("format_constraints", "a", constraints=constraints) == {"required": 1, "starts_with": 0}


def test_saying_nothing_earns_nothing() -> None:
    assert form("", words={"max": 5}, forbidden=["sorry"]) == 0
    assert form(" \n", words={"max": 5}, forbidden=["sorry"]) == 0


@pytest.mark.parametrize(
    "row",
    [
        {"constraints": {"ends_with": "!"}},
        {"constraints": '{"ends_with": "!"}'},
        {"constraints": {"ends_with": "!"}, "reference_answer": "of another grader"},
        {"metadata": {"constraints": {"ends_with": "!"}}},
        {"reference_answer": {"ends_with": "!"}},
        {"reference_answer": '{"ends_with": "!"}'},
    ],
    ids=str,
)
def test_the_row_has_its_constraints_at_one_of_these_places(row: dict[str, Any]) -> None:
    assert reward("format_constraints", "Go!", **row) == 1


@pytest.mark.parametrize(
    ("constraints", "reason"),
    [
        ({"word": {"max": 5}}, "there is no constraint 'word'; there are json_schema, regex, words"),
        ({"words": 5}, '\'words\' has to be like {"min": 1, "max": 50}'),
        ({"words": {"most": 5}}, '\'words\' has to be like {"min": 1, "max": 50}'),
        ({"words": {"max": True}}, "'words' takes whole numbers"),
        ({"regex": "("}, "'regex' is no regular expression"),
        ({"regex": "(a|aa)+$"}, "'regex' takes longer than 1 s"),
        ({"json_schema": {"type": "objekt"}}, "'json_schema' is no JSON schema that stands alone"),
        ({"json_schema": {"$ref": "https://example.com/schema"}}, "that stands alone"),
        ({"required": "a"}, "'required' has to be a list of texts"),
        ({"language": 7}, "'language' has to be a text"),
        ({"weights": {"words": 1}}, "the row has no constraints"),
        ({"ends_with": ".", "weights": {"ends_with": 0}}, "have to be above 0"),
        ({}, "the row has no constraints"),
    ],
)
def test_what_cannot_be_checked_gives_no_reward_and_a_reason(
    constraints: dict[str, Any], reason: str
) -> None:
    with pytest.raises(Exception) as caught:
        form("a" * 200 + "!", **constraints)

    assert reason in str(caught.value)

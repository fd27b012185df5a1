"""The texts that `outcrop graders test` tempts a grader with."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outcrop.cli.grader_probes import PROBES, Subject, reference, reference_column, subjects
from outcrop.cli.grader_trial import Grade, Row

PROBE = {probe.name: probe for probe in PROBES}


def a_row(answer: Any, question: str = "What is it?", **columns: Any) -> Row:
    return {"messages": [{"role": "user", "content": question}], "answer": answer, **columns}


def made_of(*answers: str, grades: list[Grade] | None = None, longest: int = 200) -> dict[int, Subject]:
    rows = {index: a_row(answer, f"Question {index}?") for index, answer in enumerate(answers)}
    return subjects(rows, "answer", grades or [], longest, seed=7)


@settings(deadline=None)
@given(st.lists(st.text(min_size=1, max_size=20), min_size=1, max_size=8), st.integers(1, 300))
def test_every_probe_is_a_text_or_absent_and_the_same_each_time(answers: list[str], longest: int) -> None:
    def texts() -> list[str | None]:
        return [
            probe.text(subject) for subject in made_of(*answers, longest=longest).values() for probe in PROBES
        ]

    first = texts()

    assert all(text is None or isinstance(text, str) for text in first)
    assert texts() == first


@settings(deadline=None)
@given(st.lists(st.sampled_from(["yes", "no", "Yes.", "maybe"]), min_size=2, max_size=8))
def test_another_rows_answer_is_never_this_rows(answers: list[str]) -> None:
    for index, subject in made_of(*answers).items():
        other = subject.other_answer
        same = {answer.lower().strip(".") for answer in answers} == {answers[index].lower().strip(".")}

        assert (other is None) == same
        assert other is None or other.lower().strip(".") != answers[index].lower().strip(".")


def test_a_completion_that_did_well_is_tried_where_it_is_wrong() -> None:
    grades = [
        Grade(0, "It is Paris", 1.0),
        Grade(1, "It is Paris, too", 1.0),
        Grade(2, "Rome?", 0.2),
        Grade(2, "no idea", 0.0),
    ]

    made = made_of("Paris", "Paris", "Rome", grades=grades)

    assert made[2].other_completion == "It is Paris"
    assert made[0].other_completion is None, "row 1 wants the same answer, and row 2's did not do well"


def test_without_known_answers_a_completion_is_tried_where_another_did_well() -> None:
    rows = {index: a_row(None) for index in range(3)}
    grades = [Grade(0, "Yes.", 1.0), Grade(1, "yes", 1.0), Grade(2, "No", 1.0)]

    made = subjects(rows, None, grades, 100, seed=7)

    assert [made[index].other_completion for index in range(3)] == ["No", "No", "Yes."]


def test_every_answer_at_once_has_the_right_one_and_fits() -> None:
    answers = [f"answer number {number}" for number in range(40)]

    for index, subject in made_of(*answers, longest=100).items():
        listed = (PROBE["every answer at once"].text(subject) or "").splitlines()

        assert answers[index] in listed
        assert 2 <= len(listed) == len(set(listed))
        assert len("\n".join(listed)) <= 100


def test_a_prompt_is_echoed_as_long_as_the_policy_can_write() -> None:
    rows = {0: a_row("x", "Tell me a story. " * 100)}

    [subject] = subjects(rows, "answer", [], 40, seed=7).values()

    assert PROBE["prompt echo"].text(subject) == ("Tell me a story. " * 100)[:40]
    assert len(PROBE["very long"].text(subject) or "") >= 4000


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("Paris", "Paris"),
        (18, "18"),
        (1.5, "1.5"),
        ({"text": "Paris", "source": "atlas"}, "Paris"),
        ({"city": "Paris", "year": 1889}, '{"city":"Paris","year":1889}'),
        (["Paris", "Lutetia"], '["Paris","Lutetia"]'),
        (None, None),
        (True, None),
        ("", None),
    ],
)
def test_a_reference_is_the_text_that_a_completion_would_be(value: Any, text: str | None) -> None:
    assert reference(a_row(value), "answer") == text


@pytest.mark.parametrize(
    ("columns", "grader", "column"),
    [
        ({"answer": "x", "reference_answer": "y"}, {"reference": "{{item.answer}}"}, "answer"),
        ({"answer": "x", "reference_answer": "y"}, {"type": "lambda"}, "reference_answer"),
        ({"city": "x", "note": "y"}, {"reference": "{{item.city}}"}, "city"),
        ({"city": "x", "note": "y"}, {"type": "lambda"}, None),
        ({"answer": None, "city": "x"}, {"type": "lambda"}, None),
        ({}, {"type": "lambda"}, None),
    ],
)
def test_the_column_of_right_answers_is_found(
    columns: dict[str, Any], grader: Any, column: str | None
) -> None:
    row = {"messages": [{"role": "user", "content": "?"}], **columns}

    assert reference_column([row, row], grader) == column

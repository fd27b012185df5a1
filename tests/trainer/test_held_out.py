"""What base and tuned model said on the validation file, as a person reads it."""

from typing import Any

from training_image.trainer import held_out


def line(index: int, completion: str, reward: float | None, temperature: float = 0.0) -> dict[str, Any]:
    """Of an evaluation's file."""
    return {
        "index": index,
        "prompt": [{"role": "user", "content": f"Question {index}: a|b?\n<b>"}],
        "completion": completion,
        "reward": reward,
        "error": None if reward is not None else "grader_timeout",
        "temperature": temperature,
    }


BASE = [
    *[line(index, "no", 0.0) for index in range(7)],
    line(7, "yes", 1.0),
    line(8, "no", None),
    *[line(index, "drawn", 0.0, temperature=1.0) for index in (0, 0, 1)],
]
TUNED = [
    *[line(index, "yes | surely", 1.0) for index in range(7)],
    line(7, "what", 0.0),
    line(8, "yes", 1.0),
    line(0, "drawn", 1.0, temperature=1.0),
    line(0, "drawn", 0.0, temperature=1.0),
    line(1, "drawn", 1.0, temperature=1.0),
]
CLASSES = {index: "easy" if index < 4 else "hard" for index in range(9)}


def found(rows: list[dict[str, Any]]) -> held_out.Found:
    found = held_out.compare(rows)
    assert found is not None
    return found


def test_a_row_has_what_both_said_and_what_their_drawn_completions_earned() -> None:
    rows = held_out.rows(BASE, TUNED, CLASSES)

    assert [row["index"] for row in rows] == [*range(9)]
    assert rows[0]["tuned"] == {
        "completion": "yes | surely",
        "reward": 1.0,
        "error": None,
        "sampled_reward_mean": 0.5,
    }
    assert rows[8]["base"] == {
        "completion": "no",
        "reward": None,
        "error": "grader_timeout",
        "sampled_reward_mean": None,
    }


def test_likeliest_and_drawn_completions_are_compared_by_themselves() -> None:
    told = found(held_out.rows(BASE, TUNED, CLASSES)).to_json()

    assert (told["comparison"]["better"], told["comparison"]["worse"]) == (7, 1)
    assert (told["sampled_comparison"]["base"]["mean"], told["sampled_comparison"]["tuned"]["mean"]) == (
        0,
        0.75,
    )
    assert told["by_class"] == {
        "easy": {"base": 0.0, "tuned": 1.0, "rows": 4},
        "hard": {"base": 0.25, "tuned": 0.8, "rows": 5},
    }


def test_the_page_shows_figures_classes_and_the_rows_that_changed_most() -> None:
    rows = held_out.rows(BASE, TUNED, CLASSES)

    page = held_out.page(rows, found(rows), step=6)

    assert page.startswith("# Base model and tuned model (step 6) on the validation file\n")
    assert "7 rows got better, 1 worse, 0 neither: more than chance" in page
    assert "| the likeliest completion | 0.125 (" in page
    assert "| completions drawn as in training | 0.000 (" in page
    assert "| easy | 0.000 (" in page
    assert page.index("## Rows that got worse") < page.index("## Rows that got better")
    assert page.count("| yes \\| surely | 1 |") == 5  # of the seven


def test_what_was_said_cannot_break_the_page() -> None:
    rows = held_out.rows(BASE, TUNED, {})
    rows[0]["tuned"]["completion"] = "one\n\n| two <script>" + "x" * 500

    page = held_out.page(rows, found(rows), step=6)

    assert "| 1 | Question 0: a\\|b? &lt;b> | no | 0 | one \\| two &lt;script>xxx" in page
    assert max(map(len, page.splitlines())) < 500


def test_an_evaluation_that_an_earlier_release_wrote_is_of_likeliest_completions() -> None:
    earlier = [{name: value for name, value in one.items() if name != "temperature"} for one in BASE[:3]]

    rows = held_out.rows(earlier, TUNED, {})

    assert [(row["base"]["reward"], row["tuned"]["reward"]) for row in rows] == [(0.0, 1.0)] * 3


def test_nothing_can_be_said_without_a_row_that_both_were_graded_on() -> None:
    assert held_out.compare(held_out.rows([line(0, "no", None)], [line(0, "yes", 1.0)], {})) is None

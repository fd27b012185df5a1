"""Mathematical reasoning: what is read as the final answer, what is equal to it, and what cannot be gamed."""

import time
from typing import Any

import pytest

from tests.reward_templates.rules import load, metrics, reward


def maths(completion: str, reference: Any) -> float:
    return reward("math_reasoning", completion, reference_answer=reference)


@pytest.mark.parametrize(
    ("completion", "reward"),
    [
        (r"\boxed{18}", 1),
        (r"\fbox{18}", 1),
        (r"\fbox{18} of 20", 1),
        (r"\boxed{\boxed{18}}", 1),
        (r"\boxed {18} eggs, out of \{16, 18\}", 1),
        ("5 + 13 =\n#### 18", 1),
        ("#### $18", 1),
        ("#### Step 2\n16 and 2 make 18", 1),
        ("The answer is 18. I checked 16 twice.", 1),
        ("**Answer:** $18$", 1),
        ("The final answer is: $x = 18$ dollars.", 1),
        ("16 + 2 makes 18", 1),
        ("#### 17\nbut \\boxed{18}", 1),
        ("The answer is 17, so #### 18", 0),
        ("\\boxed{17}\n#### 18\nThe answer is 18", 0),
        ("The answer is not 18", 0),
        (r"\boxed{18", 1),
        (r"18 \boxed{17", 0),
        ("no idea", 0),
    ],
)
def test_the_final_answer_is_found_in_the_documented_order(completion: str, reward: int) -> None:
    assert maths(completion, 18) == reward


@pytest.mark.parametrize(
    ("completion", "reference", "reward"),
    [
        (r"\frac{1}{2}", "0.5", 1),
        ("(x + 1)^2", "x^2 + 2x + 1", 1),
        (r"\{2, -2\}", r"\{-2, 2\}", 1),
        ("Monday", "Monday", 1),
        ("Tuesday", "Monday", 0),
        ("18 dollars", 18, 1),
        ("2 + 16 = 18", 18, 1),
        ("9 + 9", 18, 0),
        ("16, 18", 18, 0),
    ],
)
def test_a_completion_that_is_nothing_but_an_answer_states_it(
    completion: str, reference: Any, reward: int
) -> None:
    assert maths(completion, reference) == reward


@pytest.mark.parametrize(
    "completion",
    [
        r"\boxed{16} \boxed{17} \boxed{18}",
        r"\boxed{16, 17, 18}",
        r"\boxed{16 \text{ or } 18}",
        r"\boxed{\{16, 18\}}",
        r"\boxed{16 \lor 18}",
        r"\boxed{[0, 18]}",
        r"\boxed{18 \pm 2}",
        "The answer is 16 or 18.",
        "The answer is 16. The answer is 18.",
        "#### 16\n#### 18",
        r"\boxed{x \le 18}",
    ],
)
def test_several_answers_are_a_guess(completion: str) -> None:
    assert maths(completion, "18") == 0


@pytest.mark.parametrize(
    "completion", [r"\boxed{9 + 9}", r"\boxed{36/2}", r"\boxed{\max(16, 18)}", r"\boxed{\sum_{i=1}^{18} 1}"]
)
def test_the_question_is_not_its_answer(completion: str) -> None:
    assert maths(completion, "18") == 0


def test_an_answer_stated_twice_is_one() -> None:
    assert maths(r"\boxed{1,800} ... so \boxed{ 1800 }.", 1800) == 1


@pytest.mark.parametrize(
    ("reference", "answer"),
    [
        ("18", "18.0"),
        ("#### 18", "18"),
        ({"text": "#### 1,800"}, r"1{,}800"),
        ({"final_answer": 18, "steps": ["16 + 2"]}, r"\$18"),
        (r"so it is \boxed{18}", r"18 \text{ dollars}"),
        (0.5, r"\frac{1}{2}"),
        (r"\frac{1}{2}", "0.5"),
        (r"\frac12", "50\\%"),
        ("1/3", r"\tfrac{2}{6}"),
        ("1500", r"1.5 \times 10^{3}"),
        ("-3", "\u22123"),
        (r"90^\circ", "90"),
        (r"2\sqrt{2}", r"\sqrt{8}"),
        ("x^2 + 2x + 1", "(x+1)^2"),
        (r"(3, \frac{\pi}{2})", r"\left(3, \frac{\pi}{2}\right)"),
        (r"\{1, 2\}", "2, 1"),
        ("x > 3", "3 < x"),
        (r"\begin{pmatrix}1\\2\end{pmatrix}", r"\begin{bmatrix}1\\ 2\end{bmatrix}"),
        ("B", r"\text{B}"),
        ("Monday", r"\text{monday}"),
    ],
)
def test_equal_answers_are_equal(reference: Any, answer: str) -> None:
    assert maths(f"\\boxed{{{answer}}}", reference) == 1


@pytest.mark.parametrize(
    ("reference", "answer"),
    [
        ("18", "-18"),
        ("18", "18.00001"),
        ("0.5", r"\frac{1}{4} + \frac{1}{4}"),
        (r"\frac{1}{2}", r"\frac{1}{3}"),
        (r"\{1, 2\}", "1"),
        ("x^2", "y^2"),
        ("Paris", "Pairs"),
        ("B", "C"),
        ("x", "x" * 201),
    ],
)
def test_different_answers_are_different(reference: Any, answer: str) -> None:
    assert maths(f"\\boxed{{{answer}}}", reference) == 0


@pytest.mark.parametrize("reference", [None, "", "  ", True, [18], {"answers": 18}])
def test_a_row_without_a_reference_has_no_reward(reference: Any) -> None:
    with pytest.raises(Exception, match="the row has no reference_answer that is a number or a text"):
        maths("18", reference)


@pytest.mark.parametrize(
    "bomb", ["9^{9^{9^{9}}}", r"\frac{5^{(5^{(5^{(5^5)})})} - 5}{16}", r"\prod_{i=1}^{10^9} i"]
)
def test_an_answer_that_would_take_for_ever_is_left_out_and_the_next_one_graded(
    bomb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    handler = load("math_reasoning")
    monkeypatch.setattr(handler.compare, "_seconds", 0.3)
    started = time.monotonic()

    with pytest.raises(Exception, match=r"comparing took longer than 0\.3 s"):
        maths(f"\\boxed{{{bomb}}}", "x + 1")

    assert time.monotonic() - started < 10
    monkeypatch.undo()
    assert maths(r"\boxed{1 + x}", "x + 1") == 1


def test_the_form_of_the_answer_may_be_part_of_the_reward(monkeypatch: pytest.MonkeyPatch) -> None:
    handler = load("math_reasoning")
    without = [maths(text, 18) for text in (r"\boxed{18}", "18", r"\boxed{17}", r"\boxed{16} \boxed{18}")]
    monkeypatch.setattr(handler, "FORMAT_WEIGHT", 0.1)

    weighted = [maths(text, 18) for text in (r"\boxed{18}", "18", r"\boxed{17}", r"\boxed{16} \boxed{18}")]

    assert without == [1, 1, 0, 0]
    assert weighted == pytest.approx([1, 0.9, 0.1, 0])
    assert metrics("math_reasoning", r"\boxed{16} \boxed{18}", reference_answer=18) == {
        "correct": 0,
        "format": 0,
        "answers": 2,
    }

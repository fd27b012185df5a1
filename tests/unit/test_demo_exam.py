"""When the demo calls a held-out gain real."""

from outcrop.cli.demo_exam import Exam


def exam(base: list[float], tuned: list[float]) -> Exam:
    texts = [""] * len(base)
    return Exam(texts, {"base": texts, "tuned": texts}, {"base": base, "tuned": tuned})


def test_a_large_one_sided_gain_is_real() -> None:
    result = exam([0.0] * 40, [1.0] * 30 + [0.0] * 10)

    assert result.gain == 0.75
    assert result.is_real


def test_a_gain_that_chance_explains_is_not_real() -> None:
    result = exam([0.0] * 10, [1.0] * 3 + [0.0] * 7)

    assert result.gain == 0.3
    assert result.chance == 0.125
    assert not result.is_real


def test_equal_models_show_no_gain() -> None:
    result = exam([1.0, 0.0] * 20, [1.0, 0.0] * 20)

    assert result.chance == 1.0
    assert not result.is_real


def test_a_partly_right_answer_is_not_exact() -> None:
    assert exam([0.0] * 40, [0.9] * 40).gain == 0.0

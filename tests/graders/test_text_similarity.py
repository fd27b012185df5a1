"""`text_similarity`: values of the libraries OpenAI names, and what cannot be compared."""

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rouge_score.rouge_scorer import RougeScorer

from outcrop.graders.pipeline import GradedCompletion, GraderPipeline, Reward
from outcrop.graders.rouge import rouge_l, rouge_n
from outcrop.types.grader import TextMetric, TextSimilarityGrader

CAT = ("the cat sat on the mat", "the cat is on the mat")
FOX = ("The quick brown fox jumps over the lazy dog.", "A quick brown fox jumped over a lazy dog!")


def graded(metric: str, text: str, reference: str) -> Reward:
    grader = TextSimilarityGrader.model_validate(
        {
            "type": "text_similarity",
            "input": "{{sample.output_text}}",
            "reference": "{{item.reference}}",
            "evaluation_metric": metric,
        }
    )
    [reward] = GraderPipeline(grader).grade([GradedCompletion({"reference": reference}, text)])
    return reward


@pytest.mark.parametrize(
    ("metric", "pair", "value"),
    [
        # rapidfuzz 3.14.6: fuzz.ratio(text, reference) / 100
        ("fuzzy_match", CAT, 0.930232558),
        ("fuzzy_match", FOX, 0.847058824),
        # nltk 3.10.4: sentence_bleu, smoothing method1, auto_reweigh; sentence_gleu; wordpunct_tokenize
        ("bleu", CAT, 0.254066379),
        ("bleu", FOX, 0.137470810),
        ("gleu", CAT, 0.5),
        ("gleu", FOX, 0.294117647),
        # rouge-score 0.1.2: RougeScorer([...]).score(reference, text)[...].fmeasure
        ("rouge_1", CAT, 0.833333333),
        ("rouge_1", FOX, 0.666666667),
        ("rouge_2", CAT, 0.6),
        ("rouge_2", FOX, 0.375),
        ("rouge_3", CAT, 0.25),
        ("rouge_3", FOX, 0.142857143),
        ("rouge_4", CAT, 0.0),
        ("rouge_5", FOX, 0.0),
        ("rouge_l", CAT, 0.833333333),
        ("rouge_l", FOX, 0.666666667),
    ],
)
def test_a_similarity_is_the_librarys(metric: str, pair: tuple[str, str], value: float) -> None:
    assert graded(metric, *pair).reward == pytest.approx(value, abs=1e-8)


@pytest.mark.parametrize("metric", [metric for metric in get_args(TextMetric) if metric != "meteor"])
@pytest.mark.parametrize("text", ["one two three four five", "Die Antwort ist 42, so steht es da."])
def test_equal_texts_are_wholly_alike_and_strangers_are_not(metric: str, text: str) -> None:
    assert graded(metric, text, text).reward == 1.0
    assert graded(metric, "@@@@@@", text).reward == 0.0
    assert graded(metric, "", text).reward == 0.0


@pytest.mark.parametrize(("text", "value"), [("Paris", 0.5), ("New York", 0.9375), ("a b c d e", 0.996)])
def test_equal_texts_come_closer_to_a_full_meteor_as_they_grow(text: str, value: float) -> None:
    assert graded("meteor", text, text).reward == pytest.approx(value)
    assert graded("meteor", "@@@@@@", text).reward == 0.0


def test_meteor_finds_synonyms_whatever_the_case() -> None:
    """Those of stems alone, as nltk does it: `large` is `larg`, which is in no dictionary."""
    assert graded("meteor", "He is ILL", "he is sick").reward == graded("meteor", "a b c", "a b c").reward
    assert graded("meteor", "a big dog", "a large dog").reward == pytest.approx(1 / 3)


@pytest.mark.parametrize("text", ["Paris", "New York", "Rio de Janeiro"])
def test_a_short_answer_that_is_right_has_a_full_bleu(text: str) -> None:
    assert graded("bleu", text, text).reward == 1.0


@pytest.mark.parametrize("metric", ["rouge_1", "rouge_l"])
def test_rouge_says_that_it_cannot_read_other_scripts(metric: str) -> None:
    reward = graded(metric, "東京", "東京")

    assert (reward.reward, reward.error) == (None, "other_error")
    assert reward.message == "ROUGE compares ASCII letters and digits only, and the reference has none."


@pytest.mark.parametrize(("text", "reference"), [("x" * 200_001, "x"), ("x", "x" * 200_001)])
def test_a_text_too_long_to_compare_is_an_error_of_its_own(text: str, reference: str) -> None:
    reward = graded("fuzzy_match", text, reference)

    assert reward.error == "other_error"
    assert reward.message is not None
    assert "has 200001 characters" in reward.message


def test_a_row_without_the_column_gets_no_reward() -> None:
    grader = TextSimilarityGrader(
        type="text_similarity", input="a", reference="{{item.absent}}", evaluation_metric="gleu"
    )

    [reward] = GraderPipeline(grader).grade([GradedCompletion({}, "a")])

    assert (reward.reward, reward.error) == (None, "invalid_variable_error")


_TEXTS = st.lists(st.sampled_from("the The cat sat 42 mat, on-line it's".split()), max_size=25).map(" ".join)


@given(_TEXTS | st.text(max_size=40), _TEXTS)
def test_rouge_is_what_rouge_score_computes(text: str, reference: str) -> None:
    scorer = RougeScorer([*(f"rouge{n}" for n in range(1, 6)), "rougeL"])
    expected = {name: score.fmeasure for name, score in scorer.score(reference, text).items()}

    ours = {f"rouge{n}": rouge_n(text, reference, n) for n in range(1, 6)}

    assert ours | {"rougeL": rouge_l(text, reference)} == pytest.approx(expected)


@given(st.sampled_from(get_args(TextMetric)), st.text(max_size=60), _TEXTS)
def test_any_two_texts_have_a_similarity_from_zero_to_one(metric: str, text: str, reference: str) -> None:
    reward = graded(metric, text, reference).reward

    assert reward is not None
    assert 0.0 <= reward <= 1.0

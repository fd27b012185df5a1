"""Every grader that is computed here gives the values of the libraries that OpenAI names: `golden/*.json`,
which `golden/recompute.py` writes."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outcrop.graders.multi import formula_of
from outcrop.graders.pipeline import GradedCompletion, GraderPipeline
from outcrop.graders.wordnet import WordNet, wordnet
from outcrop.types.grader import Grader, MultiGrader, StringCheckGrader, TextSimilarityGrader
from tests.factories import STRING_CHECK

INPUT, REFERENCE = "{{sample.output_text}}", "{{item.reference}}"


def golden(name: str) -> list[dict[str, Any]]:
    return json.loads((Path(__file__).parent / "golden" / f"{name}.json").read_text())["cases"]


def reward(grader: Grader, text: str, **item: object) -> float | None:
    [graded] = GraderPipeline(grader).grade([GradedCompletion(item, text)])
    return graded.reward


@pytest.mark.parametrize("case", golden("text_similarity"), ids=lambda case: case["text"][:30])
def test_text_similarity_is_the_libraries(case: dict[str, Any]) -> None:
    graders = {
        metric: TextSimilarityGrader.model_validate(
            {
                "type": "text_similarity",
                "input": INPUT,
                "reference": REFERENCE,
                "evaluation_metric": metric,
            }
        )
        for metric in case["answer"]
    }

    rewards = {
        metric: reward(one, case["text"], reference=case["reference"]) for metric, one in graders.items()
    }

    assert rewards == pytest.approx(case["answer"], abs=1e-12)


@pytest.mark.parametrize("case", golden("string_check"), ids=str)
def test_string_check_is_as_openai_describes_it(case: dict[str, Any]) -> None:
    grader = StringCheckGrader(
        type="string_check", input=INPUT, reference=REFERENCE, operation=case["operation"]
    )

    assert reward(grader, case["input"], reference=case["reference"]) == case["answer"]


@pytest.mark.parametrize("case", golden("multi"), ids=lambda case: case["formula"])
def test_a_multi_grader_computes_with_openais_precedence(case: dict[str, Any]) -> None:
    grader = MultiGrader.model_validate(
        {
            "type": "multi",
            "graders": dict.fromkeys(case["rewards"], STRING_CHECK),
            "calculate_output": case["formula"],
        }
    )

    assert formula_of(grader)(case["rewards"]) == pytest.approx(case["answer"])


def synonyms(dictionary: WordNet, word: str) -> list[str]:
    """Those that METEOR can find: it has every word in lower case."""
    names = {lemma.name() for synset in dictionary.synsets(word) for lemma in synset.lemmas()}
    return sorted(name for name in names if name == name.lower() and "_" not in name)


@pytest.mark.parametrize("case", golden("synonyms"), ids=lambda case: case["word"])
def test_a_word_has_the_synonyms_that_nltks_reader_finds(case: dict[str, Any]) -> None:
    assert synonyms(wordnet(), case["word"]) == case["answer"]


@cache
def nltks_reader() -> Any:
    from nltk.corpus import wordnet

    try:
        wordnet.ensure_loaded()
    except LookupError:
        pytest.skip("nltk has no WordNet here; NLTK_DATA may say where it is")
    return wordnet


_NAMES = sorted({name for part in wordnet().parts_of_speech for name in part.synsets})


@settings(deadline=None)  # nltk's reader takes seconds to load
@given(st.sampled_from(_NAMES), st.sampled_from(["", "s", "es", "ed", "ing", "er", "est"]))
def test_our_wordnet_is_nltks(word: str, ending: str) -> None:
    assert synonyms(wordnet(), word + ending) == synonyms(nltks_reader(), word + ending)

"""The `text_similarity` grader: how alike two rendered texts are, from 0.0 to 1.0.

OpenAI names the measures and the packages in its graders' sandbox, not how it calls them; so:

- `fuzzy_match`: rapidfuzz's `fuzz.ratio`, as a share;
- `bleu`: nltk's `sentence_bleu` of runs of 1 to 4 words, of as many as a shorter answer has, with smoothing
  method 1: unsmoothed, an answer without four words in a row right would score nothing;
- `gleu`: nltk's `sentence_gleu`;
- `meteor`: nltk's `single_meteor_score`, with WordNet 3.0. By its definition an answer equal to the reference
  comes close to 1.0 only as it grows: one right word is worth 0.5, five 0.996;
- `rouge_1` to `rouge_5`, `rouge_l`: the F-measure, as rouge-score computes it.

For BLEU, GLEU and METEOR a text is words and marks of punctuation (`wordpunct_tokenize`); case counts but for
METEOR.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from outcrop.graders.reward import GradedCompletion, GradingError, Score
from outcrop.graders.template import render
from outcrop.types.grader import TextMetric, TextSimilarityGrader

MAX_CHARACTERS = 200_000
"""Of each text. Comparing takes time by the product of both lengths."""


def grade(grader: TextSimilarityGrader, completion: GradedCompletion) -> Score:
    """Raises: GradingError where a template's variable is not there or a text cannot be compared."""
    text = render(grader.input, completion.item, completion.sample)
    reference = render(grader.reference, completion.item, completion.sample)
    for name, one in (("input", text), ("reference", reference)):
        if len(one) > MAX_CHARACTERS:
            message = f"{name} has {len(one)} characters; text_similarity compares up to {MAX_CHARACTERS}."
            raise GradingError("other_error", message)
    return Score(_METRICS[grader.evaluation_metric](text, reference))


# Each imports its library at first use: few functions grade, and nltk alone takes a quarter of a second.


def _fuzzy_match(text: str, reference: str) -> float:
    from rapidfuzz import fuzz

    return fuzz.ratio(text, reference) / 100


def _bleu(text: str, reference: str) -> float:
    from nltk.tokenize import wordpunct_tokenize
    from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu

    score: Any = sentence_bleu(
        [wordpunct_tokenize(reference)],
        wordpunct_tokenize(text),
        smoothing_function=SmoothingFunction().method1,
        auto_reweigh=True,
    )
    return float(score)


def _gleu(text: str, reference: str) -> float:
    from nltk.tokenize import wordpunct_tokenize
    from nltk.translate.gleu_score import sentence_gleu

    return float(sentence_gleu([wordpunct_tokenize(reference)], wordpunct_tokenize(text)))


def _meteor(text: str, reference: str) -> float:
    from nltk.tokenize import wordpunct_tokenize
    from nltk.translate.meteor_score import single_meteor_score

    from outcrop.graders.wordnet import wordnet

    synonyms: Any = wordnet()
    return float(
        single_meteor_score(wordpunct_tokenize(reference), wordpunct_tokenize(text), wordnet=synonyms)
    )


def _rouge(text: str, reference: str, n: int) -> float:
    from outcrop.graders.rouge import rouge_n

    return rouge_n(text, reference, n)


def _rouge_l(text: str, reference: str) -> float:
    from outcrop.graders.rouge import rouge_l

    return rouge_l(text, reference)


_METRICS: dict[TextMetric, Callable[[str, str], float]] = {
    "fuzzy_match": _fuzzy_match,
    "bleu": _bleu,
    "gleu": _gleu,
    "meteor": _meteor,
    "rouge_1": partial(_rouge, n=1),
    "rouge_2": partial(_rouge, n=2),
    "rouge_3": partial(_rouge, n=3),
    "rouge_4": partial(_rouge, n=4),
    "rouge_5": partial(_rouge, n=5),
    "rouge_l": _rouge_l,
}

"""The `string_check` grader: 1.0 if two rendered texts compare as asked, else 0.0."""

from collections.abc import Callable

from outcrop.graders.reward import GradedCompletion, Score
from outcrop.graders.template import render
from outcrop.types.grader import StringCheckGrader

_OPERATIONS: dict[str, Callable[[str, str], bool]] = {
    "eq": lambda text, reference: text == reference,
    "ne": lambda text, reference: text != reference,
    "like": lambda text, reference: reference in text,
    "ilike": lambda text, reference: reference.lower() in text.lower(),
}


def grade(grader: StringCheckGrader, completion: GradedCompletion) -> Score:
    """Raises: GradingError where a template's variable is not there."""
    text = render(grader.input, completion.item, completion.sample)
    reference = render(grader.reference, completion.item, completion.sample)
    return Score(float(_OPERATIONS[grader.operation](text, reference)))

"""What a judge may say, and what of that is a verdict.

The form is OpenAI's, `{steps: [{description, conclusion}], result}`, with the reasons first: what a model
writes before its verdict is what the verdict is drawn from. A number beyond the range counts as the nearer
end of it, as OpenAI has it. Whatever else is no verdict is a failure, never a score.
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from outcrop.graders.judges import prompt
from outcrop.graders.judges.judge import Answer
from outcrop.graders.reward import GradingError, Outcome, Score
from outcrop.types.judge_grader import LabelModelGrader, ModelAsJudgeGrader, ScoreModelGrader

_FENCE = re.compile(r"```(?:json)?\s*\n(.*)\n\s*```", re.DOTALL)
_LONGEST_EXPLANATION = 8000
_STEP = {
    "type": "object",
    "properties": {"description": {"type": "string"}, "conclusion": {"type": "string"}},
    "required": ["description", "conclusion"],
    "additionalProperties": False,
}


@dataclass(frozen=True)
class Form:
    """Of a grader's verdicts: in words, as a JSON schema, and as a reward."""

    words: str
    schema: Mapping[str, Any]
    reward: Callable[[Any], float]
    """Of a verdict's `result`. Raises: GradingError."""


def form_of(grader: ScoreModelGrader | LabelModelGrader | ModelAsJudgeGrader) -> Form:
    match grader:
        case ScoreModelGrader():
            return _numbers(*grader.range)
        case LabelModelGrader():
            return _labels(grader.labels, grader.passing_labels)
        case ModelAsJudgeGrader():
            return _numbers(0.0, 1.0)


def read(answer: Answer, form: Form) -> Outcome:
    """The score, or why there is none: then what the judge said is the explanation."""
    try:
        if answer.ended == "refused":
            raise GradingError("model_grader_refusal_error", "The judge refused to judge this completion.")
        verdict = _verdict(answer)
        return Score(form.reward(verdict.get("result")), explanation=_explanation(verdict.get("steps")))
    except GradingError as error:
        said = answer.text[:_LONGEST_EXPLANATION]
        return GradingError(error.kind, error.message, explanation=said or None)


def _numbers(low: float, high: float) -> Form:
    def reward(result: Any) -> float:
        if isinstance(result, bool) or not isinstance(result, int | float) or not math.isfinite(result):
            raise _no_verdict(f"its result has to be a number, and is {_kind(result)}")
        return float(min(max(result, low), high))

    return Form(
        prompt.words("score", low=f"{low:.12g}", high=f"{high:.12g}"), _schema({"type": "number"}), reward
    )


def _labels(labels: Sequence[str], passing: Sequence[str]) -> Form:
    def reward(result: Any) -> float:
        if result not in labels:
            raise _no_verdict("its result is none of the labels")
        return float(result in passing)

    named = ", ".join(orjson.dumps(label).decode() for label in labels)
    return Form(prompt.words("label", labels=named), _schema({"type": "string", "enum": [*labels]}), reward)


def _schema(result: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {"steps": {"type": "array", "items": _STEP}, "result": result},
        "required": ["steps", "result"],
        "additionalProperties": False,
    }


def _verdict(answer: Answer) -> dict[str, Any]:
    if answer.ended == "truncated":
        raise _no_verdict(
            "it was cut off at the judge's token limit before it was complete (max_completions_tokens of "
            "sampling_params, or the model's own limit)"
        )
    text = answer.text.strip()
    fenced = _FENCE.fullmatch(text)
    try:
        verdict = orjson.loads(fenced[1] if fenced else text)
    except orjson.JSONDecodeError as error:
        raise _no_verdict(f"{len(text)} characters that are not the JSON it was asked for") from error
    if not isinstance(verdict, dict):
        raise _no_verdict(f"it has to be an object, and is {_kind(verdict)}")
    return verdict


def _explanation(steps: Any) -> str | None:
    """The steps as text, a line each. Raises: GradingError if they are the example's."""
    lines: list[str] = []
    for step in steps if isinstance(steps, list) else []:
        parts = [step.get(name) for name in ("description", "conclusion")] if isinstance(step, dict) else []
        said = [part.strip() for part in parts if isinstance(part, str) and part.strip()]
        if prompt.PLACEHOLDERS.intersection(said):
            raise _no_verdict("it repeats the example it was given")
        if said:
            lines.append(": ".join(said))
    return "\n".join(lines)[:_LONGEST_EXPLANATION] or None


def _no_verdict(why: str) -> GradingError:
    return GradingError("model_grader_parse_error", f"The judge's answer is no verdict: {why}.")


def _kind(value: Any) -> str:
    return "missing" if value is None else f"a {type(value).__name__}"

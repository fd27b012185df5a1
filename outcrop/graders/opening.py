"""From a grader's definition to something that grades, by its type."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from outcrop.graders import python_grader, string_check, text_similarity
from outcrop.graders.calls import Calls
from outcrop.graders.columns import templates
from outcrop.graders.judges import grader as judge_grader
from outcrop.graders.lambda_function import LambdaFunction
from outcrop.graders.lambda_grader import LambdaGrader
from outcrop.graders.multi import Combined, formula_of
from outcrop.graders.reward import GradedCompletion, Grades, GradingError, Outcome, Score
from outcrop.graders.template import validate
from outcrop.settings import settings
from outcrop.types.grader import (
    CustomCodeGrader,
    Grader,
    MultiGrader,
    PythonGrader,
    StringCheckGrader,
    TextSimilarityGrader,
)
from outcrop.types.grader import LambdaGrader as LambdaDefinition
from outcrop.types.judge import Judges
from outcrop.types.judge_grader import LabelModelGrader, ModelAsJudgeGrader, ScoreModelGrader


@dataclass(frozen=True)
class _InProcess:
    """A grader that is a pure function."""

    score: Callable[[GradedCompletion], Score]
    batch_limit: int = 64

    def grade(self, completions: Sequence[GradedCompletion]) -> list[Outcome]:
        return [self._outcome(completion) for completion in completions]

    def close(self) -> None:
        """Nothing is open."""

    def _outcome(self, completion: GradedCompletion) -> Outcome:
        try:
            return self.score(completion)
        except GradingError as error:
            return error


def open_grader(grader: Grader, calls: Calls, judges: Judges) -> Grades:
    """Raises: GradingError if the definition cannot work."""
    match grader:
        case StringCheckGrader():
            return _InProcess(lambda completion: string_check.grade(grader, completion))
        case TextSimilarityGrader():
            return _InProcess(lambda completion: text_similarity.grade(grader, completion))
        case MultiGrader():
            formula = formula_of(grader)
            parts = {key: open_grader(part, calls, judges) for key, part in grader.graders.items()}
            return Combined(formula, parts)
        case ScoreModelGrader() | LabelModelGrader() | ModelAsJudgeGrader():
            return judge_grader.open_judge(grader, judges, calls)
        case PythonGrader():
            return python_grader.open_python(grader, calls)
        case LambdaDefinition() | CustomCodeGrader():
            return LambdaGrader(_function(grader, calls), grader.type)


def check(grader: Grader) -> None:
    """Raises: GradingError for a definition that no job could work with: a template, formula or ARN that is
    wrong, a function that does not exist, may not be called, or cannot be asked for now, a judge that this
    deployment does not have."""
    if not isinstance(grader, MultiGrader):  # whose parts are checked one by one
        for field, template in templates(grader):
            validate(template, field)
    match grader:
        case MultiGrader():
            formula_of(grader)
            for key, part in grader.graders.items():
                try:
                    check(part)
                except GradingError as error:
                    raise error.below(f"graders.{key}") from error
        case ScoreModelGrader() | LabelModelGrader() | ModelAsJudgeGrader():
            judge_grader.check(grader, settings().judge_models)
        case PythonGrader():
            python_grader.check(grader)
        case LambdaDefinition() | CustomCodeGrader():
            function = _function(grader, Calls(timeout_seconds=5))
            try:
                function.check()
            except GradingError as error:
                raise error.below(_field(grader)) from error


def _function(grader: LambdaDefinition | CustomCodeGrader, calls: Calls) -> LambdaFunction:
    try:
        return LambdaFunction(
            grader.function,
            concurrency=calls.concurrency,
            timeout_seconds=calls.timeout_seconds,
            backoff_seconds=calls.backoff_seconds,
        )
    except GradingError as error:
        raise error.below(_field(grader)) from error


def _field(grader: LambdaDefinition | CustomCodeGrader) -> str:
    return "lambda.function" if isinstance(grader, LambdaDefinition) else "lambda_arn"

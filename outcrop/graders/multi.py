"""The `multi` grader: every part grades, and a formula makes one reward of theirs."""

from collections.abc import Mapping, Sequence

from outcrop.graders.formula import Formula, parse
from outcrop.graders.reward import (
    GradedCompletion,
    Grades,
    GradingError,
    Outcome,
    Score,
    real_number,
    total,
)
from outcrop.types.grader import MultiGrader


class Combined:
    """A completion that one part gives no reward has none at all: the formula would have to make one up."""

    def __init__(self, formula: Formula, parts: Mapping[str, Grades]) -> None:
        self._formula = formula
        self._parts = parts

    @property
    def batch_limit(self) -> int:
        return min(part.batch_limit for part in self._parts.values())

    def grade(self, completions: Sequence[GradedCompletion]) -> list[Outcome]:
        """The parts' rewards are each score's metrics, and a failure's as far as they are known."""
        by_part = {key: part.grade(completions) for key, part in self._parts.items()}
        return [
            self._combined({key: outcomes[n] for key, outcomes in by_part.items()})
            for n in range(len(completions))
        ]

    def close(self) -> None:
        for part in self._parts.values():
            part.close()

    def _combined(self, outcomes: Mapping[str, Outcome]) -> Outcome:
        rewards = {key: outcome.reward for key, outcome in outcomes.items() if isinstance(outcome, Score)}
        tokens = total(outcome.tokens for outcome in outcomes.values())
        explained = [f"{key}: {one.explanation}" for key, one in outcomes.items() if one.explanation]
        explanation = "\n".join(explained) or None
        try:
            for key, outcome in outcomes.items():
                if isinstance(outcome, GradingError):
                    raise GradingError(outcome.kind, f"Grader '{key}': {outcome.message}")
            return Score(real_number(self._formula(rewards)), rewards, tokens, explanation)
        except GradingError as error:
            return GradingError(
                error.kind, error.message, metrics=rewards, tokens=tokens, explanation=explanation
            )


def formula_of(grader: MultiGrader) -> Formula:
    """Raises: GradingError for a formula that is none, or that names no grader of this one."""
    try:
        formula = parse(grader.calculate_output)
        if unknown := sorted(formula.variables - grader.graders.keys()):
            keys = ", ".join(f"'{key}'" for key in grader.graders)
            message = f"There is no grader '{unknown[0]}'; the variables are the graders' keys: {keys}."
            raise GradingError("formula_parse_error", message)
    except GradingError as error:
        raise error.below("calculate_output") from error
    return formula

"""Completions in, rewards out: concurrent, in order, with every failure accounted for.

The trainer, `graders/run` and `outcrop graders test` all grade through here, so that the dry run is the run.
"""

from collections.abc import Sequence

from outcrop.errors import APIError, UnavailableError
from outcrop.graders import opening
from outcrop.graders.calls import Calls
from outcrop.graders.dispatch import Dispatcher, Round
from outcrop.graders.reward import ErrorKind, GradedCompletion, GradingError, Reward
from outcrop.settings import settings
from outcrop.types.grader import Grader
from outcrop.types.judge import Judges

__all__ = ["ErrorKind", "GradedCompletion", "GraderPipeline", "Reward", "Round", "check"]

GRADER_PARAM = "method.reinforcement.grader"
"""Where a job has its grader; what is wrong with one is said to be there unless another place is named."""

_PATIENCE = 6
"""A batch is waited for as long as so many calls may take: its tries, and its halves if it fails, have to do
with that."""


class GraderPipeline:
    """Grades with one grader, `concurrency` calls at a time.

    A completion the grader fails on gets a Reward with `error` set; nothing is raised for it.
    `timeout_seconds` is the longest a call to the grader should take, `patience_seconds` the longest that a
    completion whose turn has come is waited for: six times that, or what is asked for.
    """

    def __init__(
        self,
        grader: Grader,
        *,
        concurrency: int = 64,
        timeout_seconds: float = 60,
        patience_seconds: float | None = None,
        backoff_seconds: float = 1.0,
        judges: Judges | None = None,
        project: str = "",
        param: str = GRADER_PARAM,
    ) -> None:
        """Raises: APIError, about `param`, if the grader's definition cannot work."""
        try:
            self._grader = opening.open_grader(
                grader,
                Calls(concurrency, timeout_seconds, backoff_seconds, project),
                settings().judge_models if judges is None else judges,
            )
        except GradingError as error:
            raise _refused(error, param) from error
        self._dispatcher = Dispatcher(
            self._grader,
            concurrency=concurrency,
            patience_seconds=patience_seconds or _PATIENCE * timeout_seconds,
        )

    def round(self) -> Round:
        """For completions graded as they are finished, while others are still being generated."""
        return Round(self._dispatcher)

    def grade(self, completions: Sequence[GradedCompletion]) -> list[Reward]:
        """A reward per completion, in order. The same completion of the same item is graded once."""
        return self.round().grade(completions)

    def close(self) -> None:
        """Ends grading: what has not had its turn gets no reward, calls on their way are not waited for."""
        self._dispatcher.close()


def check(grader: Grader, *, param: str = GRADER_PARAM) -> None:
    """Refuse a grader that no job could work with, before the job is made.

    Raises: APIError, about `param` or a field of it, for a definition that cannot work; UnavailableError if
    Lambda cannot be asked now.
    """
    try:
        opening.check(grader)
    except GradingError as error:
        raise _refused(error, param) from error


def _refused(error: GradingError, param: str) -> APIError:
    field = f"{param}.{error.field}".strip(".")
    if error.kind in ("grader_throttled", "grader_timeout", "grader_unavailable"):
        return UnavailableError(f"{field}: {error.message}", param=field)
    return APIError(f"{field}: {error.message}", param=field, code=error.kind)

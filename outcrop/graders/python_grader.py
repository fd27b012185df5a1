"""The `python` grader: the customer's `grade(sample, item)`, run by Outcrop's own sandbox function.

Here its source is only ever read (https://platform.openai.com/docs/guides/graders#python-graders has the
contract and the limits); what runs it, and behind which walls, is in `lambdas/sandbox`.
"""

import ast
from collections.abc import Sequence
from typing import Any, Final, get_args

import orjson

from outcrop.graders.calls import Calls
from outcrop.graders.contracts import parse
from outcrop.graders.lambda_function import LambdaFunction
from outcrop.graders.lambda_grader import MAX_BATCH_BYTES
from outcrop.graders.reward import ErrorKind, GradedCompletion, GradingError, Outcome, Score, real_number
from outcrop.settings import settings
from outcrop.types.grader import PythonGrader

LONGEST_SECONDS = 120
"""OpenAI's limit for one grading."""
MAX_SOURCE_BYTES = 256_000
_MAX_BATCH = 16
_FUNCTION_SECONDS = 300
"""The sandbox function's own time-out (`stacks/sandbox.py`)."""

# The function did not answer at all, so what it says is about itself and not about the grader.
_ITS_OWN_FAILURES: Final[tuple[ErrorKind, ...]] = ("grader_exception", "grader_timeout")


class SandboxedPython:
    def __init__(self, source: str, function: LambdaFunction, seconds: float) -> None:
        self._source = source
        self._function = function
        self._seconds = seconds

    @property
    def batch_limit(self) -> int:
        return _MAX_BATCH

    def grade(self, completions: Sequence[GradedCompletion]) -> list[Outcome]:
        """An outcome per completion, in order. A batch that is too large, or that the function broke on, is
        halved until only its cause fails; those the function had no time for are asked for again."""
        outcomes: list[Outcome] = []
        while len(outcomes) < len(completions):
            outcomes += self._ask(completions[len(outcomes) :])
        return outcomes

    def close(self) -> None:
        self._function.close()

    def _ask(self, completions: Sequence[GradedCompletion]) -> list[Outcome]:
        """Outcomes of at least the first."""
        is_one = len(completions) == 1
        payload = orjson.dumps(
            {
                "source": self._source,
                "seconds": self._seconds,
                "completions": [{"item": one.item, "sample": one.sample} for one in completions],
            }
        )
        try:
            if not is_one and len(payload) > MAX_BATCH_BYTES:
                raise GradingError("other_error", "The batch is too large.")
            once = () if is_one else _ITS_OWN_FAILURES
            return _outcomes(parse(self._function.invoke(payload, once=once)), len(completions))
        except GradingError as error:
            if not is_one and error.kind in ("other_error", *_ITS_OWN_FAILURES):
                return self._ask(completions[: len(completions) // 2])
            return [_of_the_sandbox(error)] * len(completions)


def open_python(grader: PythonGrader, calls: Calls) -> SandboxedPython:
    """Raises: GradingError if this deployment has no sandbox."""
    arn = settings().sandbox_function
    if not arn:
        message = "This deployment has no sandbox (OUTCROP_SANDBOX_FUNCTION), so no Python can be run."
        raise GradingError("grader_not_found", message)
    function = LambdaFunction(
        arn,
        concurrency=calls.concurrency,
        timeout_seconds=_FUNCTION_SECONDS,
        backoff_seconds=calls.backoff_seconds,
        is_outcrops_own=True,
        tenant=calls.project,
    )
    # As long as a call of another grader and its second try.
    return SandboxedPython(grader.source, function, min(LONGEST_SECONDS, 2 * calls.timeout_seconds))


def check(grader: PythonGrader) -> None:
    """Raises: GradingError for a source that is too long, does not compile or has no `grade(sample, item)`,
    or if this deployment has no sandbox. Nothing of the source is run."""
    try:
        _check_source(grader.source)
    except GradingError as error:
        raise error.below("source") from error
    open_python(grader, Calls()).close()


def _check_source(source: str) -> None:
    size = len(source.encode(errors="surrogatepass"))
    if size > MAX_SOURCE_BYTES:
        raise _wrong(f"The source has {size:,} bytes; a Python grader has at most {MAX_SOURCE_BYTES:,}.")
    try:
        tree = ast.parse(source)
        compile(source, "grader.py", "exec", dont_inherit=True)  # finds what a parser does not
    except SyntaxError as error:
        raise _wrong(f"The source does not compile: line {error.lineno}: {error.msg}.") from error
    except ValueError as error:  # a null byte, half a surrogate pair
        raise _wrong(f"The source does not compile: {error}.") from error
    except (RecursionError, MemoryError) as error:
        raise _wrong("The source does not compile: it is nested too deeply.") from error
    grades = [node for node in tree.body if _defines_grade(node)]
    if not grades:
        raise _wrong("The source has no 'grade': it needs 'def grade(sample, item)' at its top level.")
    match grades[-1]:
        case ast.FunctionDef(args=arguments, lineno=line) if not _takes_two(arguments):
            raise _wrong(
                f"line {line}: grade has to take two arguments, 'def grade(sample, item)'; "
                f"it takes ({ast.unparse(arguments)})."
            )
        case ast.AsyncFunctionDef(lineno=line):
            raise _wrong(f"line {line}: grade has to be 'def', not 'async def': it returns the reward.")
        case ast.ClassDef(lineno=line):
            raise _wrong(f"line {line}: grade has to be a function, not a class.")


def _defines_grade(node: ast.stmt) -> bool:
    """A definition or an assignment or an import of the name; or a compound statement that has one in it."""
    match node:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return name == "grade"
        case ast.Assign() | ast.AnnAssign() | ast.Import() | ast.ImportFrom():
            return any(
                (isinstance(part, ast.Name) and part.id == "grade" and isinstance(part.ctx, ast.Store))
                or (isinstance(part, ast.alias) and (part.asname or part.name) == "grade")
                for part in ast.walk(node)
            )
        case ast.If() | ast.Try() | ast.With():
            return any(
                _defines_grade(part)
                for part in ast.walk(node)
                if isinstance(part, ast.stmt) and part is not node
            )
    return False


def _takes_two(arguments: ast.arguments) -> bool:
    """Whether `grade(sample, item)` is a call it can be given."""
    positional = len(arguments.posonlyargs) + len(arguments.args)
    required = positional - len(arguments.defaults)
    keywords = any(default is None for default in arguments.kw_defaults)
    return required <= 2 and (positional >= 2 or arguments.vararg is not None) and not keywords


def _outcomes(answer: Any, asked: int) -> list[Outcome]:
    """Raises: GradingError for an answer that the sandbox does not give."""
    outcomes = answer.get("outcomes") if isinstance(answer, dict) else None
    if not isinstance(outcomes, list) or not 1 <= len(outcomes) <= asked:
        raise GradingError("grader_exception", "its answer has no outcomes.")
    return [_outcome(one) for one in outcomes]


def _outcome(one: Any) -> Outcome:
    try:
        match one:
            case {"reward": reward}:
                return Score(real_number(reward))
            case {"error": str(kind), "message": str(message)} if kind in get_args(ErrorKind):
                return GradingError(kind, message)  # pyright: ignore[reportArgumentType]  # it is one of them
    except GradingError as error:
        return error
    return GradingError("grader_unavailable", "The sandbox's answer cannot be read.")


def _of_the_sandbox(error: GradingError) -> GradingError:
    if error.kind not in (*_ITS_OWN_FAILURES, "grader_not_found", "grader_access_denied", "missing_reward"):
        return error
    return GradingError("grader_unavailable", f"The sandbox failed: {error.message}")


def _wrong(message: str) -> GradingError:
    return GradingError("other_error", message)

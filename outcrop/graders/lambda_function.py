"""A customer's Lambda function: does it exist, and what does it answer to an event.

Lambda's own limits apply: 6 MB in and out, 15 minutes
(https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html).
"""

import re
from collections.abc import Collection
from typing import Any, Final

import boto3
import orjson
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError, ReadTimeoutError

from outcrop.graders.calls import Retries
from outcrop.graders.reward import ErrorKind, GradingError

MAX_EVENT_BYTES = 6_291_456

_ARN = re.compile(
    r"arn:aws[a-z-]*:lambda:(?P<region>[a-z]{2}(-[a-z]+)+-\d+):\d{12}:function:(?P<name>[\w-]{1,64})(:\$?[\w-]+)?"
)

GRADER_TAG = "outcrop:grader"
"""With the value `true` on a function, jobs may use it as a grader."""
OWN_STACKS = (
    "OutcropApi",
    "OutcropFiles",
    "OutcropImages",
    "OutcropMonitoring",
    "OutcropSandbox",
    "OutcropSandboxFull",
    "OutcropSandboxImage",
    "OutcropServing",
    "OutcropStorage",
    "OutcropTraining",
    "OutcropWeights",
    "OutcropWorkflow",
)
"""Their functions, `{stack}-...`, are no graders: callers write a grader's event, and these functions do what
their event says, for any project. Roles deny it too (`stacks/graders.py`)."""

# How often a call that failed this way is made again. An exception or a time-out is most often the function's
# answer to this very completion, so it is asked once more and no oftener; for the rest patience helps.
_RETRIES: Final[dict[ErrorKind, int]] = {
    "grader_throttled": 5,
    "grader_unavailable": 3,
    "grader_exception": 1,
    "grader_timeout": 1,
}

_DENIALS = {"AccessDeniedException", "AccessDenied"}
_THROTTLES = {"TooManyRequestsException", "ThrottlingException", "Throttling", "EC2ThrottledException"}
_PASSING = {"ResourceConflictException", "SnapStartNotReadyException", "SnapStartTimeoutException"}


class LambdaFunction:
    """One function, by its ARN, called from many threads at a time."""

    def __init__(
        self,
        arn: str,
        *,
        concurrency: int = 1,
        timeout_seconds: float = 60,
        backoff_seconds: float = 1.0,
        is_outcrops_own: bool = False,
        tenant: str = "",
    ) -> None:
        """`is_outcrops_own` is for an ARN out of the settings, never for one that somebody sent. Calls are
        made for `tenant`, if the function keeps tenants apart.

        Raises: GradingError if `arn` is not the ARN of a Lambda function."""
        match = _ARN.fullmatch(arn)
        if match is None:
            wanted = "arn:aws:lambda:REGION:ACCOUNT:function:NAME"
            raise GradingError("grader_not_found", f"'{arn}' is not the ARN of a Lambda function: {wanted}.")
        if not is_outcrops_own and match["name"].startswith(tuple(f"{stack}-" for stack in OWN_STACKS)):
            raise GradingError("grader_access_denied", f"The function {match['name']} is not a grader.")
        self._arn = arn
        self._tenant: dict[str, Any] = {"TenantId": tenant} if tenant else {}
        self.timeout_seconds = timeout_seconds
        self._read_timeout = timeout_seconds + 10  # a function's own time-out comes first and says more
        self._retries = Retries(backoff_seconds)
        config = Config(
            max_pool_connections=concurrency,
            connect_timeout=10,
            read_timeout=self._read_timeout,
            retries={"total_max_attempts": 1},  # `invoke` retries, by kind of failure
            tcp_keepalive=True,
        )
        self._client = boto3.client("lambda", region_name=match["region"], config=config)

    def close(self) -> None:
        """Wakes up those who wait to try again; they give up."""
        self._retries.close()

    def check(self) -> None:
        """Raises: GradingError if the function does not exist, has failed or may not be called."""
        try:
            configuration = self._client.get_function_configuration(FunctionName=self._arn)
        except (ClientError, BotoCoreError) as error:
            raise self._explained(error) from error
        if configuration.get("State") == "Failed":
            reason = configuration.get("StateReason", "no reason given")
            raise GradingError("other_error", f"The function {self._arn} is in state Failed: {reason}")

    def invoke(self, payload: bytes, *, once: Collection[ErrorKind] = ()) -> bytes:
        """The bytes the function answers the event `payload` with.

        What fails for a passing reason is tried again after a random wait of up to 1, 2, 4 s ("full jitter"),
        unless its kind is in `once`.

        Raises: GradingError.
        """
        if len(payload) > MAX_EVENT_BYTES:
            size = len(payload) / 1_000_000
            raise GradingError("other_error", f"The event has {size:.1f} MB; Lambda takes no more than 6 MB.")
        return self._retries.call(
            lambda: self._call(payload),
            lambda error: 0 if error.kind in once else _RETRIES.get(error.kind, 0),
        )

    def _call(self, payload: bytes) -> bytes:
        try:
            answer = self._client.invoke(FunctionName=self._arn, Payload=payload, **self._tenant)
            body = answer["Payload"].read()
        except (ClientError, BotoCoreError) as error:
            raise self._explained(error) from error
        if "FunctionError" in answer:
            raise _reported(body)
        return body

    def _explained(self, error: ClientError | BotoCoreError) -> GradingError:
        if isinstance(error, ReadTimeoutError):
            message = f"The function did not answer within {self._read_timeout:g} s."
            return GradingError("grader_timeout", message)
        if isinstance(error, HTTPClientError):
            return GradingError("grader_unavailable", f"Lambda cannot be reached: {error}")
        if not isinstance(error, ClientError):
            return GradingError("other_error", f"The function cannot be called: {error}")
        code = error.response.get("Error", {}).get("Code", "")
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        if code == "ResourceNotFoundException":
            message = f"The function {self._arn} does not exist; are its name, Region and account right?"
            return GradingError("grader_not_found", message)
        if code in _DENIALS:
            message = (
                f"The function {self._arn} may not be called. It needs the tag {GRADER_TAG} = true, or the "
                "deployment's setting grader_prefixes has to name it; if it is another account's, that "
                "setting has to, and its resource policy has to allow lambda:InvokeFunction and "
                "lambda:GetFunctionConfiguration."
            )
            return GradingError("grader_access_denied", message)
        if code in _THROTTLES or status == 429:
            return GradingError("grader_throttled", f"Lambda throttles the function ({code}).")
        if code in _PASSING or status >= 500:
            message = f"Lambda could not run the function ({code}, status {status})."
            return GradingError("grader_unavailable", message)
        return GradingError("other_error", f"Lambda refused the call: {error}")


def _reported(body: bytes) -> GradingError:
    """What the function's runtime says about an exception: its type, message and stack trace."""
    try:
        report = orjson.loads(body)
    except orjson.JSONDecodeError:
        report = None
    if not isinstance(report, dict):
        return GradingError("grader_exception", "The function failed and did not say why.")
    error_type, message = report.get("errorType") or "Error", report.get("errorMessage") or "no message"
    if error_type == "Sandbox.Timedout" or "Task timed out" in str(message):
        return GradingError("grader_timeout", f"The function ran into its own time-out: {message}")
    trace = report.get("stackTrace")
    frames = "".join(f"\n{str(frame).rstrip()}" for frame in trace) if isinstance(trace, list) else ""
    return GradingError("grader_exception", f"{error_type}: {message}{frames}"[:2000])

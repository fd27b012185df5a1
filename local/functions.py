"""Lambda functions run from source: ours and customers' graders, each in child processes of its own.

As in Lambda, a child handles one event at a time and is kept for the next one; more children start on demand;
a timeout kills the child, and a child that dies fails its event alone. A file edited on disk is used by the
next event.
"""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from local.cache import REPOSITORY
from local.emulated_account import environment as account_environment
from local.errors import LocalError
from local.function_pool import Code, Pool, StartError
from local.runtime_api import RuntimeApi


class Functions:
    def __init__(self, endpoint_url: str, logs: Path, judge_url: str = "") -> None:
        """`judge_url`: the OpenAI-compatible server that graders find in `JUDGE_BASE_URL`."""
        logs.mkdir(parents=True, exist_ok=True)
        self._endpoint_url = endpoint_url
        self._logs = logs
        self._judge_url = judge_url
        self._api = RuntimeApi()
        self._pools: dict[str, Pool] = {}

    def register(
        self, name: str, handler: str, environment: Mapping[str, str], timeout_seconds: float
    ) -> None:
        """A function of this repository: `handler` is `package.module.function`."""
        code = Code(handler, REPOSITORY, watched=None)
        self._pools[name] = self._pool(name, code, environment, timeout_seconds)

    def register_grader(
        self, name: str, path: Path, function: str | None = None, timeout_seconds: float = 60
    ) -> None:
        """A customer's file, which sees its own folder. Without `function`: its `lambda_handler`, else its
        `handler`. Of the user's environment it gets what is called `JUDGE_...` and nothing else: a grader may
        ask a model (`lambdas/reward_templates/judge.py`).

        Raises: LocalError, if the file does not exist, does not import or lacks the function.
        """
        path = path.expanduser().resolve()
        if not path.is_file():
            raise LocalError(f"Grader {name}: there is no file {path}.")
        if path.suffix != ".py" or "." in path.stem or path.stem in sys.stdlib_module_names:
            raise LocalError(
                f"Grader {name}: {path.name} cannot be imported under that name; rename the file."
            )
        judge = {name: value for name, value in os.environ.items() if name.startswith("JUDGE_")}
        environment = {"JUDGE_BASE_URL": self._judge_url, **judge}
        environment["PYTHONDONTWRITEBYTECODE"] = "1"  # an edit within the second would leave a stale .pyc
        reasons = []
        for candidate in (function,) if function else ("lambda_handler", "handler"):
            pool = self._pool(
                name,
                Code(f"{path.stem}.{candidate}", path.parent, watched=path),
                environment,
                timeout_seconds,
            )
            try:
                pool.warm()
            except StartError as error:
                reasons.append(error)
                continue
            self._pools[name] = pool
            return
        if all(error.type == "Runtime.HandlerNotFound" for error in reasons):
            wanted = f"function '{function}'" if function else "function 'lambda_handler' or 'handler'"
            raise LocalError(f"Grader {name}: {path} has no {wanted}.")
        raise LocalError(f"Grader {name}: {path} does not import: {reasons[0]}")

    def warm(self, name: str) -> None:
        """Start the function's first child now rather than at its first event. Raises: LocalError."""
        try:
            self._pools[name].warm()
        except StartError as error:
            raise LocalError(f"Function {name} does not start: {error}") from error

    def invoke(self, name: str, payload: bytes) -> tuple[bytes, bool]:
        """The function's answer, and whether it is an error: `{"errorMessage", "errorType", ...}`, as
        Lambda's.

        Raises: KeyError for a function that was never registered.
        """
        return self._pools[name].invoke(payload)

    def stop(self) -> None:
        for pool in self._pools.values():
            pool.stop()
        self._api.stop()

    def _pool(self, name: str, code: Code, environment: Mapping[str, str], timeout_seconds: float) -> Pool:
        everything = {
            **account_environment(self._endpoint_url),
            **environment,
            "AWS_LAMBDA_FUNCTION_NAME": name,
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
            "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{name}",
            "AWS_LAMBDA_LOG_STREAM_NAME": "local",
            "LAMBDA_TASK_ROOT": str(code.root),
            "PYTHONPATH": str(code.root),
        }
        return Pool(name, code, everything, timeout_seconds, self._api, self._logs / f"{name}.log")

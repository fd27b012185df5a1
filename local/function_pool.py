"""The child processes of one Lambda function: a pool that grows on demand, and what each child answers."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from queue import Empty

from local.emulated_account import function_arn
from local.runtime_api import Exchange, Outcome, RuntimeApi, event

_MAX_RESPONSE_BYTES = 6_291_556
_MAX_CHILDREN = 16
_MAX_STARTING = 2  # a cold start is CPU work: starting all sixteen at once would delay the first answer
_START_SECONDS = 60
_RUNTIME = Path(__file__).with_name("function_runtime.py")


@dataclass(frozen=True)
class Code:
    handler: str
    root: Path
    """On the import path, and the working directory, as /var/task is."""
    watched: Path | None
    """A file whose folder's modules and texts (a judge's prompt) are looked at before each event; children
    that started with others are replaced.
    """

    def version(self) -> frozenset[tuple[str, int, int]]:
        if self.watched is None:
            return frozenset()
        files = (path for path in self.watched.parent.iterdir() if path.suffix in (".py", ".txt"))
        stats = ((path.name, path.stat()) for path in files if path.exists())
        return frozenset((name, stat.st_mtime_ns, stat.st_size) for name, stat in stats)


class StartError(Exception):
    """A child that never became ready: `{type}: {message}`, and the line of code where it failed."""

    def __init__(self, body: bytes) -> None:
        details = json.loads(body)
        self.type: str = details["errorType"]
        where = details.get("stackTrace") or [""]
        super().__init__(f"{self.type}: {details['errorMessage']} {' '.join(where[-1].split())}".rstrip())
        self.body = body


class Pool:
    """The children of one function. At most one event each, at most `_MAX_CHILDREN` of them."""

    def __init__(
        self,
        name: str,
        code: Code,
        environment: dict[str, str],
        timeout_seconds: float,
        api: RuntimeApi,
        log: Path,
    ) -> None:
        self._name = name
        self._code = code
        self._environment = environment
        self._timeout_seconds = timeout_seconds
        self._api = api
        self._log = log
        self._changed = threading.Condition()
        self._idle: list[_Child] = []
        self._busy: set[_Child] = set()
        self._starting = 0
        self._stopped = False

    def warm(self) -> None:
        with self._child():
            pass

    def invoke(self, payload: bytes) -> tuple[bytes, bool]:
        try:
            with self._child() as child:
                return child.invoke(payload, function_arn(self._name), self._timeout_seconds)
        except StartError as error:
            return error.body, True

    def stop(self) -> None:
        with self._changed:
            self._stopped = True
            children = [*self._idle, *self._busy]
            self._idle.clear()
            self._changed.notify_all()
        for child in children:
            child.stop()

    @contextmanager
    def _child(self) -> Iterator["_Child"]:
        child = self._take() or self._start()
        try:
            yield child
        finally:
            with self._changed:
                self._busy.discard(child)
                if child.alive and not self._stopped:
                    self._idle.append(child)
                else:
                    child.stop()
                self._changed.notify()

    def _take(self) -> "_Child | None":
        """An idle child with today's code, or None: start one."""
        version = self._code.version()
        with self._changed:
            while not self._stopped:
                while self._idle:
                    child = self._idle.pop()
                    if child.alive and child.version == version:
                        self._busy.add(child)
                        return child
                    child.stop()
                if len(self._busy) + self._starting < _MAX_CHILDREN and self._starting < _MAX_STARTING:
                    self._starting += 1
                    return None
                self._changed.wait()
        raise StartError(_error("Runtime.ExitError", f"The function {self._name} has been stopped"))

    def _start(self) -> "_Child":
        try:
            child = _Child(self._code, self._environment, self._api, self._log)
        except StartError:
            with self._changed:
                self._starting -= 1
                self._changed.notify()
            raise
        with self._changed:
            self._starting -= 1
            self._busy.add(child)
            self._changed.notify()
        return child


class _Child:
    """One process and its exchange. Starting one takes until its handler is imported. Raises: StartError."""

    def __init__(self, code: Code, environment: dict[str, str], api: RuntimeApi, log: Path) -> None:
        self.version = code.version()
        self._api = api
        self._exchange: Exchange = api.open()
        with log.open("ab") as output:
            self._process = subprocess.Popen(  # noqa: S603 - the command is ours
                [sys.executable, "-P", str(_RUNTIME), code.handler],
                cwd=code.root,
                env=environment | {"AWS_LAMBDA_RUNTIME_API": api.address(self._exchange)},
                stdin=subprocess.PIPE,  # held open: its end is how the child learns of ours
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        threading.Thread(target=self._report_exit, daemon=True).start()
        outcome = self._next_outcome(_START_SECONDS)
        if outcome is None or outcome.kind != "ready":
            self.stop()
        if outcome is None:
            raise StartError(_error("Sandbox.Timedout", f"Not ready after {_START_SECONDS} seconds"))
        if outcome.kind == "init_error":
            raise StartError(outcome.body)
        if outcome.kind == "exit":
            raise StartError(_error("Runtime.ExitError", f"{self._how_it_ended()} (log: {log})"))

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def invoke(self, payload: bytes, arn: str, timeout_seconds: float) -> tuple[bytes, bool]:
        sent = event(payload, arn, timeout_seconds)
        self._exchange.events.put(sent)
        outcome = self._next_outcome(timeout_seconds)
        prefix = f"RequestId: {sent.request_id} Error:"
        if outcome is None:
            self.stop()
            return _error(
                "Sandbox.Timedout", f"{prefix} Task timed out after {timeout_seconds:.2f} seconds"
            ), True
        if outcome.kind == "exit":
            return _error("Runtime.ExitError", f"{prefix} {self._how_it_ended()}"), True
        if len(outcome.body) > _MAX_RESPONSE_BYTES:
            message = (
                f"Response payload size exceeded maximum allowed payload size ({_MAX_RESPONSE_BYTES} bytes)."
            )
            return _error("Function.ResponseSizeTooLarge", message), True
        return outcome.body, outcome.kind == "error"

    def stop(self) -> None:
        """Kill the process group and wait: what the handler started dies with it."""
        with suppress(ProcessLookupError):
            if self.alive:
                os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        if self._process.stdin:
            self._process.stdin.close()
        self._api.close(self._exchange)

    def _next_outcome(self, seconds: float) -> Outcome | None:
        try:
            return self._exchange.outcomes.get(timeout=seconds)
        except Empty:
            return None

    def _report_exit(self) -> None:
        self._process.wait()
        self._exchange.outcomes.put(Outcome("exit"))

    def _how_it_ended(self) -> str:
        status = self._process.wait()
        cause = f"exit status {status}" if status >= 0 else f"signal: {signal.Signals(-status).name}"
        return f"Runtime exited with error: {cause}"


def _error(type: str, message: str) -> bytes:
    return json.dumps({"errorMessage": message, "errorType": type}).encode()

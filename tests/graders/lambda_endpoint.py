"""Lambda on loopback: real HTTP, as boto3 speaks it, with handlers that are Python functions of the test.

Answers Invoke and GetFunctionConfiguration. Faults of the service (throttles, 5xx, dropped connections) are
queued with `fail`; faults of the function are up to the handler: it may raise, sleep, return bytes that are
no JSON, or raise TimedOut.
"""

import json
import threading
import traceback
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote


class TimedOut(Exception):
    """What a handler raises to have run into its time-out without anyone waiting for it."""


Handler = Callable[[Any, Any], Any]
DROPPED = 0
"""The status to `fail` with for a connection that is closed without an answer."""
PASSED = -1
"""The status to `fail` with for a request that is to pass."""


class LambdaEndpoint(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Request)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.events: list[Any] = []
        """Every event that reached a function, in order of arrival."""
        self.tenants: list[str] = []
        """For whom functions were called, where that was said."""
        self.attempts = 0
        """Invoke requests, those that a fault answered included."""
        self.largest_in_flight = 0
        self._handlers: dict[str, tuple[Handler, float]] = {}
        self._faults: deque[tuple[int, str]] = deque()
        self._in_flight = 0
        self._lock = threading.Lock()
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        self.shutdown()
        self.server_close()

    def function(self, handler: Handler, *, name: str = "grader", timeout_seconds: float = 30) -> str:
        """Create the function and return its ARN."""
        self._handlers[name] = handler, timeout_seconds
        return f"arn:aws:lambda:us-west-2:123456789012:function:{name}"

    def fail(self, *faults: tuple[int, str]) -> None:
        """Answer the next requests with these statuses and error codes."""
        self._faults.extend(faults)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hung up is no news."""

    def answer(self, name: str, event: bytes | None) -> tuple[int, dict[str, str], bytes]:
        """Status, headers, body. Without an event: the function's configuration."""
        with self._lock:
            self.attempts += event is not None
            fault = self._faults.popleft() if self._faults else None
        if fault is not None and fault[0] != PASSED:
            return fault[0], {"x-amzn-errortype": fault[1]}, b'{"Message": "injected"}'
        if name not in self._handlers:
            return (
                404,
                {"x-amzn-errortype": "ResourceNotFoundException"},
                b'{"Message": "Function not found"}',
            )
        if event is None:
            return 200, {}, json.dumps({"FunctionName": name, "State": "Active"}).encode()
        with self._lock:
            self.events.append(json.loads(event))
            self._in_flight += 1
            self.largest_in_flight = max(self.largest_in_flight, self._in_flight)
        try:
            return self._run(*self._handlers[name], event)
        finally:
            with self._lock:
                self._in_flight -= 1

    def _run(
        self, handler: Handler, timeout_seconds: float, event: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        running: Future[Any] = Future()

        def run() -> None:
            try:
                running.set_result(handler(json.loads(event), None))
            except Exception as error:
                running.set_exception(error)

        threading.Thread(target=run, daemon=True).start()
        try:
            answer = running.result(timeout_seconds)
        except (FutureTimeoutError, TimedOut):
            report = {"errorMessage": f"2026-01-01 5a3e Task timed out after {timeout_seconds:.2f} seconds"}
        except Exception as error:
            report = {
                "errorType": type(error).__name__,
                "errorMessage": str(error),
                "stackTrace": traceback.format_tb(error.__traceback__),
            }
        else:
            return 200, {}, answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        return 200, {"X-Amz-Function-Error": "Unhandled"}, json.dumps(report).encode()


class _Request(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        assert isinstance(self.server, LambdaEndpoint)
        self.server.tenants += [self.headers["X-Amz-Tenant-Id"]] if "X-Amz-Tenant-Id" in self.headers else []
        self._reply(self.rfile.read(int(self.headers["Content-Length"])))

    def do_GET(self) -> None:
        self._reply(None)

    def log_message(self, format: str, *args: Any) -> None:
        """Tests are quiet."""

    def _reply(self, event: bytes | None) -> None:
        # /2015-03-31/functions/{arn}/invocations or .../configuration
        name = unquote(self.path).split("/")[3].rpartition(":")[2]
        assert isinstance(self.server, LambdaEndpoint)
        status, headers, body = self.server.answer(name, event)
        if status == DROPPED:
            self.close_connection = True
            return
        self.send_response(status)
        for header, value in {
            **headers,
            "Content-Type": "application/json",
            "Content-Length": len(body),
        }.items():
            self.send_header(header, str(value))
        self.end_headers()
        self.wfile.write(body)

"""The Lambda Runtime API, for all child processes of `local/functions.py` on one loopback port.

https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html. Each child has an `Exchange` and speaks below
`/{exchange id}/2018-06-01/runtime/`: `invocation/next` takes an event from it, the posts put outcomes into
it.
"""

import threading
import time
import uuid
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import SimpleQueue
from typing import Literal

OutcomeKind = Literal["ready", "init_error", "response", "error", "exit"]


@dataclass(frozen=True)
class Outcome:
    """What became of a start (`ready`, `init_error`) or an event (`response`, `error`), or `exit`: the child
    ended.
    """

    kind: OutcomeKind
    body: bytes = b""


@dataclass(frozen=True)
class Event:
    request_id: str
    payload: bytes
    function_arn: str
    deadline: float
    """Unix time in seconds."""

    def headers(self) -> dict[str, str]:
        return {
            "Content-Type": "application/json",
            "Lambda-Runtime-Aws-Request-Id": self.request_id,
            "Lambda-Runtime-Invoked-Function-Arn": self.function_arn,
            "Lambda-Runtime-Deadline-Ms": str(int(self.deadline * 1000)),
        }


@dataclass
class Exchange:
    """The queues between the launcher and one child. `None` as an event tells the child's request to end."""

    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    events: SimpleQueue[Event | None] = field(default_factory=SimpleQueue)
    outcomes: SimpleQueue[Outcome] = field(default_factory=SimpleQueue)
    started: bool = False


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """A child was killed in the middle of a request; its pool knows."""


class RuntimeApi:
    def __init__(self) -> None:
        self._exchanges: dict[str, Exchange] = {}
        self._server = _Server(("127.0.0.1", 0), self._handler_class())
        threading.Thread(target=self._server.serve_forever, name="runtime-api", daemon=True).start()

    def open(self) -> Exchange:
        exchange = Exchange()
        self._exchanges[exchange.id] = exchange
        return exchange

    def close(self, exchange: Exchange) -> None:
        if self._exchanges.pop(exchange.id, None):
            exchange.events.put(None)

    def address(self, exchange: Exchange) -> str:
        """The child's AWS_LAMBDA_RUNTIME_API."""
        return f"127.0.0.1:{self._server.server_port}/{exchange.id}"

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _handler_class(self) -> type[BaseHTTPRequestHandler]:
        exchanges = self._exchanges

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            # Unbuffered writes and Nagle's algorithm would cost a delayed acknowledgement, 40 ms, an
            # invocation.
            wbufsize = -1
            disable_nagle_algorithm = True

            def do_GET(self) -> None:
                exchange = exchanges.get(self._parts()[0])
                if exchange is None:
                    return self._reply(410)
                if not exchange.started:
                    exchange.started = True
                    exchange.outcomes.put(Outcome("ready"))
                event = exchange.events.get()
                if event is None:
                    return self._reply(410)
                self._reply(200, event.payload, event.headers())

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                parts = self._parts()
                exchange = exchanges.get(parts[0])
                if exchange is None:
                    return self._reply(410)
                kinds: dict[str, OutcomeKind] = {"response": "response", "error": "error"}
                kind = "init_error" if parts[-2] == "init" else kinds[parts[-1]]
                exchange.outcomes.put(Outcome(kind, body))
                self._reply(202)

            def log_message(self, format: str, *args: object) -> None:
                """Silent: the function's own log says what happened."""

            def _parts(self) -> list[str]:
                return self.path.strip("/").split("/")

            def _reply(self, status: int, body: bytes = b"", headers: dict[str, str] | None = None) -> None:
                self.close_connection = status == 410
                self.send_response(status)
                for name, value in (headers or {}).items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        return Handler


def event(payload: bytes, function_arn: str, timeout_seconds: float) -> Event:
    return Event(str(uuid.uuid4()), payload, function_arn, time.time() + timeout_seconds)

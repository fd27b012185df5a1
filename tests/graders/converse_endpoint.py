"""Bedrock's Converse on loopback: real HTTP, as boto3 speaks it; what it answers is up to the test."""

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

Answer = tuple[int, dict[str, Any]]
USAGE = {"inputTokens": 10, "outputTokens": 4, "totalTokens": 14, "cacheReadInputTokens": 6}


class ConverseEndpoint(ThreadingHTTPServer):
    """Answers in the order of `answers`, the last one ever again, and keeps what it was asked."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Request)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.answers: list[Answer | Callable[[dict[str, Any]], Answer]] = []
        self.asked: list[dict[str, Any]] = []
        """Requests, with the model under `modelId`."""
        self._lock = threading.Lock()
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        self.shutdown()
        self.server_close()

    def answer(self, request: dict[str, Any]) -> Answer:
        with self._lock:
            self.asked.append(request)
            answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return answer if isinstance(answer, tuple) else answer(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hung up is no news."""


def said(*content: dict[str, Any], stop_reason: str = "end_turn") -> Answer:
    message = {"role": "assistant", "content": list(content)}
    metrics = {"latencyMs": 1}
    return 200, {
        "output": {"message": message},
        "stopReason": stop_reason,
        "usage": USAGE,
        "metrics": metrics,
    }


def failing(status: int, code: str, message: str = "injected") -> Answer:
    return status, {"__type": code, "message": message}


class _Request(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        _, _, model, call = unquote(self.path).split("/", 3)
        assert call == "converse"
        assert isinstance(self.server, ConverseEndpoint)
        status, answer = self.server.answer({"modelId": model, **body})
        content = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        if "__type" in answer:
            self.send_header("x-amzn-errortype", answer["__type"])
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Tests are quiet."""

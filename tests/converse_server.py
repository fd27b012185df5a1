"""A judge model on loopback, over real HTTP: Bedrock's Converse as boto3 speaks it, and OpenAI's chat.

What it says is a Python function of the test, `judge(asked) -> Said`. It may wait, so that a test sees how
many requests are in flight, and it may say what a service says that is throttled or broken.

    server = ConverseServer(lambda asked: Said('{"score": 1}'))
    monkeypatch.setenv("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", server.url)   # boto3.client("bedrock-runtime")
    OpenAI(base_url=f"{server.url}/v1", api_key="any")                   # or any other HTTP client
"""

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

DROPPED = 0
"""The status of a connection that is closed without an answer."""


@dataclass(frozen=True)
class Asked:
    """One request, the same on either wire."""

    wire: str
    """`converse` or `chat`."""
    model: str
    system: str
    text: str
    """Of the last user message."""
    body: dict[str, Any]
    authorization: str | None


@dataclass(frozen=True)
class Said:
    """What the model says, or how the service fails: `text`, or the arguments of a call to the first tool."""

    text: str | None = None
    call: Any = None
    stop: str | None = None
    """Converse's `stopReason` or chat's `finish_reason`; by default that of a whole answer."""
    refusal: str | None = None
    """Chat completions only: Converse has a `stopReason` for it."""
    status: int = 200
    code: str = ""
    """Of an error: `ThrottlingException`, `ValidationException`, ..."""
    thought: str | None = "The rubric says so."
    body: bytes | None = None
    """Sent as it is, instead of all of the above."""


class ConverseServer(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def __init__(self, judge: Callable[[Asked], Said]) -> None:
        super().__init__(("127.0.0.1", 0), _Request)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.judge = judge
        self.asked: list[Asked] = []
        """Every request, in order of arrival."""
        self.largest_in_flight = 0
        self._in_flight = 0
        self._lock = threading.Lock()
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        self.shutdown()
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hung up is no news."""

    def answer(self, asked: Asked) -> Said:
        with self._lock:
            self.asked.append(asked)
            self._in_flight += 1
            self.largest_in_flight = max(self.largest_in_flight, self._in_flight)
        try:
            return self.judge(asked)
        finally:
            with self._lock:
                self._in_flight -= 1


class _Request(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        assert isinstance(self.server, ConverseServer)
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        parts = unquote(self.path).strip("/").split("/")
        wires = {"converse": (_converse_asked, _converse), "completions": (_chat_asked, _chat)}
        read, write = wires[parts[-1]]
        said = self.server.answer(read(parts, body, self.headers.get("Authorization")))
        if said.status == DROPPED:
            self.close_connection = True
            return
        whole = said.body if said.body is not None else json.dumps(write(said, body)).encode()
        self.send_response(said.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(whole)))
        if said.code:
            self.send_header("x-amzn-ErrorType", said.code)
        self.end_headers()
        self.wfile.write(whole)

    def log_message(self, format: str, *args: Any) -> None:
        """Tests are quiet."""


def _converse_asked(parts: list[str], body: dict[str, Any], authorization: str | None) -> Asked:
    system = "\n".join(block["text"] for block in body.get("system", []))
    text = "\n".join(block["text"] for block in body["messages"][-1]["content"])
    return Asked("converse", parts[-2], system, text, body, authorization)


def _chat_asked(_parts: list[str], body: dict[str, Any], authorization: str | None) -> Asked:
    system = "\n".join(one["content"] for one in body["messages"] if one["role"] == "system")
    return Asked("chat", body["model"], system, body["messages"][-1]["content"], body, authorization)


def _converse(said: Said, body: dict[str, Any]) -> dict[str, Any]:
    if said.status != 200:
        return {"message": f"injected {said.code}"}
    content: list[dict[str, Any]] = []
    if said.thought is not None:
        content.append({"reasoningContent": {"reasoningText": {"text": said.thought}}})
    if said.text is not None:
        content.append({"text": said.text})
    if said.call is not None:
        name = body["toolConfig"]["tools"][0]["toolSpec"]["name"]
        content.append({"toolUse": {"toolUseId": "tooluse_1", "name": name, "input": said.call}})
    return {
        "output": {"message": {"role": "assistant", "content": content}},
        "stopReason": said.stop or ("end_turn" if said.call is None else "tool_use"),
        "usage": {"inputTokens": 300, "outputTokens": 40, "totalTokens": 340},
        "metrics": {"latencyMs": 1},
    }


def _chat(said: Said, body: dict[str, Any]) -> dict[str, Any]:
    if said.status != 200:
        return {"error": {"message": f"injected {said.code}", "type": "error", "code": said.code}}
    message: dict[str, Any] = {"role": "assistant", "content": said.text, "refusal": said.refusal}
    if said.call is not None:
        function = {"name": body["tools"][0]["function"]["name"], "arguments": json.dumps(said.call)}
        message["tool_calls"] = [{"id": "call_1", "type": "function", "function": function}]
    stop = said.stop or ("stop" if said.call is None else "tool_calls")
    return {
        "id": "chatcmpl-scripted",
        "object": "chat.completion",
        "created": 1,
        "model": body["model"],
        "choices": [{"index": 0, "finish_reason": stop, "logprobs": None, "message": message}],
        "usage": {"prompt_tokens": 300, "completion_tokens": 40, "total_tokens": 340},
    }

"""Hugging Face as far as weights come from it: a hub and, on a port of its own, the CDN that it redirects to.

Real servers on loopback. Each request may meet a fault that a test has put in its way; what was asked and
sent is kept, so that a test can say what was fetched how often.
"""

import hashlib
import json
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

FaultKind = Literal[
    "throttled",
    "unavailable",
    "dropped",
    "cut_short",
    "ignores_range",
    "wrong_range",
    "wrong_length",
    "too_long",
    "corrupt",
    "web_page",
    "gated",
    "unauthorized",
    "missing",
    "redirect_loop",
    "cdn_forbids",
]

_CHUNK = 16 * 1024


@dataclass
class Fault:
    kind: FaultKind
    path: str = ""
    """The file, or `tree` for the list; any file if empty."""
    times: int = 1
    after: int = 0
    """Bytes that are still sent; of a corrupt file, those that are right."""
    seconds: int | None = None
    """Of Retry-After."""


@dataclass(frozen=True)
class Request:
    server: Literal["hub", "cdn"]
    path: str
    start: int
    """First byte asked for."""
    authorization: str | None


@dataclass
class HuggingFace:
    repository: str
    revision: str
    files: dict[str, bytes]
    large: set[str] = field(default_factory=set)
    """Those that LFS keeps: with a sha256, and on the CDN."""
    faults: list[Fault] = field(default_factory=list)
    listed: dict[str, dict[str, Any]] = field(default_factory=dict)
    """What the list says of a file instead of the truth."""
    page_size: int = 1000
    next_page_host: str = ""
    """Where a list goes on, if not here."""
    requests: list[Request] = field(default_factory=list)
    sent: dict[str, int] = field(default_factory=dict)
    """Bytes of each file's content that went out."""
    hub_url: str = ""
    cdn_url: str = ""

    def tree(self) -> list[dict[str, Any]]:
        entries: list[dict[str, Any]] = [{"type": "directory", "oid": "0" * 40, "path": "original"}]
        for path, content in sorted(self.files.items()):
            blob = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
            entry: dict[str, Any] = {"type": "file", "oid": blob, "size": len(content), "path": path}
            if path in self.large:
                digest = hashlib.sha256(content).hexdigest()
                entry["lfs"] = {"oid": digest, "size": len(content), "pointerSize": 134}
            entries.append(entry | self.listed.get(path, {}))
        return entries

    def starts(self, path: str) -> list[int]:
        """The first bytes that were asked for of a file, in the order of the requests for its content."""
        server = "cdn" if path in self.large else "hub"
        return [one.start for one in self.requests if one.path == path and one.server == server]

    def take(self, path: str, kinds: tuple[FaultKind, ...]) -> Fault | None:
        for fault in self.faults:
            if fault.kind in kinds and fault.times > 0 and fault.path in ("", path):
                if path == "tree" and not fault.path:
                    continue
                fault.times -= 1
                return fault
        return None


_ANSWERED: tuple[FaultKind, ...] = (
    "throttled",
    "unavailable",
    "gated",
    "unauthorized",
    "missing",
    "redirect_loop",
)
_OF_CONTENT: tuple[FaultKind, ...] = (
    "dropped",
    "cut_short",
    "ignores_range",
    "wrong_range",
    "wrong_length",
    "too_long",
    "corrupt",
    "web_page",
    "cdn_forbids",
)


@contextmanager
def running(
    repository: str, revision: str, files: Mapping[str, bytes], large: set[str]
) -> Iterator[HuggingFace]:
    hub = HuggingFace(repository, revision, dict(files), large)
    servers = [ThreadingHTTPServer(("127.0.0.1", 0), _handler(hub, name)) for name in ("hub", "cdn")]
    hub.hub_url, hub.cdn_url = (f"http://127.0.0.1:{server.server_port}" for server in servers)
    threads = [threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True) for server in servers]
    for thread in threads:
        thread.start()
    try:
        yield hub
    finally:
        for server, thread in zip(servers, threads, strict=True):
            server.shutdown()
            thread.join()
            server.server_close()


def _handler(hub: HuggingFace, name: Any) -> type[BaseHTTPRequestHandler]:
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.close_connection = True
            path, _, query = self.path.partition("?")
            found = re.search(r"bytes=(\d+)-", self.headers.get("range", ""))
            start = int(found[1]) if found else 0
            what = "tree" if path.startswith("/api/models/") else path.rpartition("/")[2]
            with lock:
                hub.requests.append(Request(name, what, start, self.headers.get("authorization")))
                kinds = _OF_CONTENT if name == "cdn" or "resolve-cache" in path else _ANSWERED
                fault = hub.take(what, kinds)
            resolved = f"/{hub.repository}/resolve/{hub.revision}/{what}"
            if fault and fault.kind in _ANSWERED:
                self._refuse(fault)
            elif path == f"/api/models/{hub.repository}/tree/{hub.revision}":
                self._list(query)
            elif name == "hub" and path == resolved and what in hub.files:
                cdn = f"{hub.cdn_url}/blobs/{what}?signature=x"
                self._answer(302, {"location": cdn if what in hub.large else f"/api/resolve-cache/{what}"})
            elif what in hub.files and kinds is _OF_CONTENT:
                self._content(what, start, fault)
            else:
                self._answer(404, {"x-error-code": "EntryNotFound"})

        def _refuse(self, fault: Fault) -> None:
            retry = {} if fault.seconds is None else {"retry-after": str(fault.seconds)}
            match fault.kind:
                case "throttled":
                    self._answer(429, retry)
                case "unavailable":
                    self._answer(503, retry)
                case "gated":
                    self._answer(403, {"x-error-code": "GatedRepo"})
                case "unauthorized":
                    self._answer(401, {"x-error-code": "RepoNotFound"})
                case "redirect_loop":
                    fault.times = 1  # for ever, and known before the client comes back
                    self._answer(302, {"location": self.path})
                case _:
                    self._answer(404, {"x-error-code": "RevisionNotFound"})

        def _list(self, query: str) -> None:
            page = int((re.search(r"cursor=(\d+)", query) or ["", "0"])[1])
            tree = hub.tree()
            begin, end = page * hub.page_size, (page + 1) * hub.page_size
            following = f"{hub.next_page_host or hub.hub_url}{self.path.partition('?')[0]}?cursor={page + 1}"
            links = {"link": f'<{following}>; rel="next"'} if end < len(tree) else {}
            self._answer(200, links, json.dumps(tree[begin:end]).encode())

        def _content(self, path: str, start: int, fault: Fault | None) -> None:
            content, size = hub.files[path], len(hub.files[path])
            kind = fault.kind if fault else None
            if kind == "cdn_forbids":
                return self._answer(403, {})
            if kind == "web_page":
                return self._answer(200, {"content-type": "text/html"}, b"<html>Please wait</html>")
            if kind == "corrupt":
                place = max(start, fault.after if fault else 0)
                content = content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]
            if kind == "wrong_range":
                start = start - 1 if start else 1
            if kind == "ignores_range":
                start = 0
            whole = kind == "ignores_range" or (not start and kind != "wrong_range")
            headers = {} if whole else {"content-range": f"bytes {start}-{size - 1}/{size}"}
            body: bytes | memoryview = memoryview(content)[start:]
            if kind == "wrong_length":
                body = body[:-1]
            if kind == "too_long":
                body = bytes(body) + b"and more"
            if kind not in ("too_long", "cut_short"):  # those end with the connection
                headers["content-length"] = str(len(body))
            self.send_response(200 if whole else 206)
            for header, value in headers.items():
                self.send_header(header, value)
            self.send_header("connection", "close")
            self.end_headers()
            if fault and kind in ("dropped", "cut_short"):
                body = body[: fault.after]
            for place in range(0, len(body), _CHUNK):
                piece = body[place : place + _CHUNK]
                try:
                    self.wfile.write(piece)
                except OSError:
                    return None
                with lock:
                    hub.sent[path] = hub.sent.get(path, 0) + len(piece)
            return None

        def _answer(self, status: int, headers: Mapping[str, str], body: bytes = b"") -> None:
            self.send_response(status)
            for header, value in {**headers, "content-length": str(len(body)), "connection": "close"}.items():
                self.send_header(header, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Tests read `requests`."""

    return Handler

"""A repository on Hugging Face, over HTTP: its list of files, and their bytes from any place on.

The server is not believed more than needed: sizes and ranges have to be those that it announced, an answer
that breaks off is gone on with, and the token goes to Hugging Face's own address and to no other. Trouble
that passes is a `TryLater`; nothing here waits.
"""

import re
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from functools import cache
from typing import Any

import httpx
import orjson

from outcrop.ids import now
from outcrop.types.weights import RepositoryFile

_TIMEOUT = httpx.Timeout(30, connect=10)
_REDIRECTS = 5
_PAGES = 20
_PAGE_BYTES = 8 * 2**20
_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")
_SECONDS_TO_RESET = re.compile(r"(?:^|;)\s*t=(\d+)")
_PASSING = (408, 425, 429)


class WeightsRefused(Exception):
    """These weights cannot be had; the message says which file and why."""


class TryLater(Exception):
    """They cannot be had now; the server may have said for how long."""

    def __init__(self, message: str, seconds: int | None = None) -> None:
        super().__init__(message)
        self.seconds = seconds


@cache
def _http() -> httpx.Client:
    """One for the process: making it takes longer than a request does."""
    return httpx.Client(timeout=_TIMEOUT, follow_redirects=False)


class Repository:
    def __init__(self, url: str, name: str, revision: str, token: str = "") -> None:
        self._url = httpx.URL(url.rstrip("/"))
        self._name = name
        self._revision = revision
        self._token = token

    def entries(self) -> list[Any]:
        """What the revision's tree lists, as the API has it. Raises: WeightsRefused, TryLater."""
        url: httpx.URL | None = self._at(f"/api/models/{self._name}/tree/{self._revision}?recursive=1")
        entries: list[Any] = []
        for _ in range(_PAGES):
            with self._get(url, "The list of files") as response:
                entries += _json_list(response)
                following = response.links.get("next", {}).get("url")
            if following is None:
                return entries
            url = self._at(following)
            if not self._is_home(url):
                raise WeightsRefused(f"The list of files of {self._name} goes on elsewhere, at {url.host}.")
        raise WeightsRefused(f"The list of files of {self._name} does not end after {_PAGES} pages.")

    def chunks(self, file: RepositoryFile, start: int) -> Generator[bytes]:
        """The file's bytes from `start` to its end, however often the connection breaks meanwhile.

        Raises: WeightsRefused; TryLater when a connection brought nothing.
        """
        url = self._at(f"/{self._name}/resolve/{self._revision}/{file.path}")
        position = start
        while position < file.size:
            before, reason = position, "the answer is empty"
            try:
                with self._get(url, file.path, position) as response:
                    for chunk in _from(position, response, file):
                        position += len(chunk)
                        if position > file.size:
                            raise WeightsRefused(f"{file.path}: more than the {file.size} bytes listed.")
                        yield chunk
            except httpx.TransportError as error:
                reason = type(error).__name__
            if position == before:
                raise TryLater(f"{file.path}: the connection breaks at byte {position} ({reason}).")

    @contextmanager
    def _get(self, url: httpx.URL, what: str, start: int = 0) -> Iterator[httpx.Response]:
        """The answer with status 200 or 206, its body not read yet."""
        ranged = {"range": f"bytes={start}-"} if start else {}
        for _ in range(_REDIRECTS + 1):
            token = {"authorization": f"Bearer {self._token}"} if self._token and self._is_home(url) else {}
            headers = {"accept-encoding": "identity", **ranged, **token}
            try:
                response = _http().send(_http().build_request("GET", url, headers=headers), stream=True)
            except httpx.TransportError as error:
                raise TryLater(f"{what}: {url.host} cannot be reached ({type(error).__name__}).") from error
            try:
                if not response.has_redirect_location:
                    self._check(response, what)
                    yield response
                    return
                url = self._redirected(url, response, what)
            finally:
                response.close()
        raise WeightsRefused(f"{what}: more than {_REDIRECTS} redirects.")

    def _redirected(self, url: httpx.URL, response: httpx.Response, what: str) -> httpx.URL:
        try:
            target = url.join(response.headers["location"])
        except httpx.InvalidURL as error:
            raise WeightsRefused(f"{what}: {url.host} redirects to an address that is none.") from error
        if target.scheme != "https" and target.scheme != self._url.scheme:
            raise WeightsRefused(f"{what}: {url.host} redirects to an address that is not https.")
        return target

    def _check(self, response: httpx.Response, what: str) -> None:
        status, host = response.status_code, response.url.host
        if status in (200, 206):
            return
        if status in _PASSING or status >= 500:
            raise TryLater(f"{what}: {host} answers {status}.", _seconds_to_wait(response.headers))
        if not self._is_home(response.url):  # the CDN's link has expired, say: the next is fresh
            raise TryLater(f"{what}: {host} answers {status}.")
        if status in (401, 403):
            raise WeightsRefused(f"{what}: {self._locked(status)}")
        reason = response.headers.get("x-error-code", f"status {status}")
        place = f"revision {self._revision} of {self._name}"
        raise WeightsRefused(f"{what}: {host} does not have it at {place} ({reason}).")

    def _locked(self, status: int) -> str:
        page = self._at(f"/{self._name}")
        if self._token:
            return (
                f"the token in the secret may not read {self._name} (status {status}). Accept the model's "
                f"terms at {page} with the token's account, or store another token in the secret."
            )
        return (
            f"{self._name} is gated or does not exist (status {status}). Accept the model's terms at {page}, "
            "store a token of that account in Secrets Manager, and deploy with -c hugging_face_secret=ARN."
        )

    def _at(self, path: str) -> httpx.URL:
        return self._url.join(path)

    def _is_home(self, url: httpx.URL) -> bool:
        return (url.scheme, url.host, url.port) == (self._url.scheme, self._url.host, self._url.port)


def _from(start: int, response: httpx.Response, file: RepositoryFile) -> Iterator[bytes]:
    """The body from byte `start` of the file on, if it is part of what the file is announced to be."""
    length = response.headers.get("content-length", "")
    sent = 0
    if response.status_code == 206:
        place = _CONTENT_RANGE.fullmatch(response.headers.get("content-range", ""))
        if not place or int(place[1]) != start:
            raise WeightsRefused(f"{file.path}: asked for bytes from {start}, the server sends others.")
        if place[3] not in ("*", str(file.size)):
            raise WeightsRefused(f"{file.path}: {place[3]} bytes are sent, {file.size} are listed.")
        sent = start
    elif length and int(length) != file.size:
        raise WeightsRefused(f"{file.path}: {length} bytes are sent, {file.size} are listed.")
    for chunk in response.iter_raw():
        skipped = min(len(chunk), start - sent)  # of a server that ignores ranges
        sent += skipped
        if skipped < len(chunk):
            yield chunk[skipped:]


def _json_list(response: httpx.Response) -> list[Any]:
    body = bytearray()
    try:
        for chunk in response.iter_raw():
            body += chunk
            if len(body) > _PAGE_BYTES:
                raise WeightsRefused(f"The list of files is larger than {_PAGE_BYTES} bytes.")
    except httpx.TransportError as error:
        raise TryLater(f"The list of files breaks off ({type(error).__name__}).") from error
    try:
        parsed = orjson.loads(bytes(body))
    except orjson.JSONDecodeError as error:
        raise TryLater("The list of files is not JSON.") from error
    if not isinstance(parsed, list):
        raise WeightsRefused("The list of files is JSON of another shape.")
    return parsed


def _seconds_to_wait(headers: httpx.Headers) -> int | None:
    """As Retry-After has it, or the RateLimit header of https://huggingface.co/docs/hub/rate-limits."""
    after = headers.get("retry-after", "")
    if after.isdecimal():
        return int(after)
    if after:
        try:
            return max(0, int(parsedate_to_datetime(after).timestamp()) - now())
        except ValueError:
            return None
    reset = _SECONDS_TO_RESET.search(headers.get("ratelimit", ""))
    return int(reset[1]) if reset else None

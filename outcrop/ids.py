"""Mint prefixed ids that sort by the time they were made.

24 characters after the prefix: 10 for the milliseconds, 14 random (70 bits). DynamoDB sorts keys by bytes,
and the alphabet below is in byte order, so a newest-first list and an `after` cursor need no index. Within
one process ids never go backwards, even within one millisecond.
"""

import hashlib
import re
import secrets
import threading
import time
from typing import Literal

Prefix = Literal[
    "file-",
    "ftjob-",
    "ftevent-",
    "upload_",
    "part_",
    "chatcmpl-",
    "cmpl-",
    "call_",
    "resp_",
    "msg_",
    "rs_",
    "fc_",
    "req_",
    "key_",
    "cp_",
]

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32, lower case
_RANDOM_BITS = 70

_lock = threading.Lock()
_last = 0


def new_id(prefix: Prefix, *, after: str | None = None) -> str:
    """`after`: an id that this one sorts after, though the clock that made it may be ahead of ours."""
    global _last
    fresh = (time.time_ns() // 1_000_000) << _RANDOM_BITS | secrets.randbits(_RANDOM_BITS)
    with _lock:
        _last = max(fresh, _last + 1)
        number = _last
    if after is not None and (before := _number(after)) >= number:
        number = (
            before + 1 + secrets.randbits(_RANDOM_BITS - 1)
        )  # another machine may come after the same one
    return prefix + _encode(number, 24)


def go_on_after(id: str) -> None:
    """Have the ids of this process sort after one that another machine made, whatever its clock says."""
    global _last
    with _lock:
        _last = max(_last, _number(id))


def derived_id(prefix: Prefix, made_at: int, content: str) -> str:
    """The id of what was made at `made_at` (seconds) and is told apart by `content`: the same at every call,
    and sorted by time as all ids are.
    """
    digest = hashlib.sha256(content.encode()).digest()
    chance = int.from_bytes(digest) % (1 << _RANDOM_BITS)
    return prefix + _encode((made_at * 1000) << _RANDOM_BITS | chance, 24)


def is_id(text: str, prefix: str) -> bool:
    """Whether `text` is one of the ids made here, which sort by time."""
    return re.fullmatch(rf"{re.escape(prefix)}[{_ALPHABET}]{{24}}(-\d{{6}})?", text) is not None


def checkpoint_id(job_id: str, step: int) -> str:
    """The same job and step give the same id, so a checkpoint written twice is one checkpoint."""
    return f"ftckpt-{job_id.removeprefix('ftjob-')}-{step:06d}"


def tuned_model_id(base_model: str, project: str, suffix: str | None, job_id: str) -> str:
    """`ft:{base}:{project}:{suffix}:{8 chars}`; the eight are the job's: the same at every try."""
    return f"ft:{base_model}:{project}:{suffix or ''}:{job_id[-8:]}"


def checkpoint_model_id(model_id: str, step: int) -> str:
    return f"{model_id}:ckpt-step-{step}"


def now() -> int:
    """Unix time in whole seconds: the API's times are JSON integers."""
    return int(time.time())


def _number(id: str) -> int:
    return sum(_ALPHABET.index(digit) * 32**place for place, digit in enumerate(reversed(id[-24:])))


def _encode(number: int, length: int) -> str:
    digits = ""
    for _ in range(length):
        number, rest = divmod(number, 32)
        digits = _ALPHABET[rest] + digits
    return digits

"""The judges of a laptop: the setting `judges`, with their keys as secrets of the emulated account."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from local.errors import LocalError
from outcrop.types.judge import DEFAULT

_SERVER = re.compile(r"(?P<base_url>https?://[^#\s]+)#(?P<model>\S+)")
_TUNED = "ft:"


@dataclass(frozen=True)
class Judges:
    """By name: a model of the loop, or `URL#MODEL` of an OpenAI-compatible server."""

    targets: Mapping[str, str] = field(default_factory=dict)
    api_key: str = ""
    """For those servers."""

    def check(self, models: Sequence[str]) -> None:
        """Raises: LocalError for a target that is neither."""
        for name, target in self.targets.items():
            if target in models or target.startswith(_TUNED) or _SERVER.fullmatch(target):
                continue
            raise LocalError(
                f"--judge {name}={target}: {target} is none of this loop's models ({', '.join(models)}, or a "
                "tuned one's ft:... id) and no server's either, like https://api.openai.com/v1#gpt-5-mini."
            )


class JudgeKeys:
    """The secrets of the emulated account that hold the keys of judges' servers."""

    def __init__(self, secrets_manager: Any, api_key: str) -> None:
        """The key of this loop's own API is not known yet; `keep` is told it."""
        self._secrets_manager = secrets_manager
        self.own = self._secret("outcrop-local-key")
        self.servers = self._secret("outcrop-judge-key", SecretString=api_key) if api_key else None

    def keep(self, own_key: str) -> None:
        self._secrets_manager.put_secret_value(SecretId=self.own, SecretString=own_key)

    def _secret(self, name: str, **text: str) -> str:
        return self._secrets_manager.create_secret(Name=name, **text)["ARN"]


def setting(
    judges: Judges, models: Sequence[str], keys: JudgeKeys, *, serving_url: str, base_url: str
) -> str:
    """OUTCROP_JUDGES. Every model of the loop judges under its own name, and the first one by default: base
    models at the inference server, tuned ones at the API, which knows their adapters.
    """

    def entry(target: str) -> dict[str, str | None]:
        if server := _SERVER.fullmatch(target):
            return {**server.groupdict(), "secret": keys.servers}
        if target.startswith(_TUNED):
            return {"base_url": base_url, "model": target, "secret": keys.own}
        return {"base_url": serving_url, "model": target}

    entries = {name: entry(name) for name in models}
    entries[f"{_TUNED}*"] = {"base_url": base_url, "secret": keys.own}
    entries[DEFAULT] = entry(models[0])
    entries |= {name: entry(target) for name, target in judges.targets.items()}
    return json.dumps({name: {"provider": "openai", **one} for name, one in entries.items()})

"""The API, seen from here, and the keys to it."""

import ssl
from collections.abc import Iterator
from functools import cache

import httpx

from outcrop.operations.doctor.patient import Finding, Patient
from outcrop.operations.reconcile.whole import projects
from outcrop.stores.keys import KeyStore
from outcrop.types.api_key import ApiKey

_SECONDS = 10


def reachable(patient: Patient) -> Iterator[Finding]:
    """Asked without a key, the API says so, in OpenAI's words."""
    stack = patient.deployed.stacks.get("OutcropApi")
    url = stack.outputs.get("BaseUrl") if stack else None
    if not url:
        return
    try:
        answer = httpx.get(f"{url}/models", timeout=_SECONDS, verify=_trusted())
    except httpx.HTTPError as error:
        yield Finding(
            f"The API does not answer at {url}: {error or type(error).__name__}",
            "Is this machine online, and the host's name known? With custom_domain, its DNS record has to "
            "point at the API's domain name, and the certificate has to be issued.",
        )
        return
    if answer.status_code != httpx.codes.UNAUTHORIZED or "error" not in _json(answer):
        yield Finding(
            f"The API answers {answer.status_code} to a request without a key, and not 401.",
            "403: a firewall (waf), a resource policy or a proxy on the way refuses it. 5xx: the log group "
            "of the function Authorizer says why. 404: the stage v1 has to be deployed again.",
        )


def keys(patient: Patient) -> Iterator[Finding]:
    if not patient.settings.table:
        return
    every = {name: _keys(name) for name in projects()}
    if not any(every.values()):
        yield Finding(
            "There is no API key: nobody can call the API.", "outcrop keys create --project default"
        )
    for project, keys in every.items():
        expired = [key.id for key in keys if key.is_expired(patient.now)]
        if expired and len(expired) == len(keys):
            yield Finding(
                f"All keys of the project {project} have expired.",
                f"outcrop keys create --project {project}",
            )
        elif expired:
            yield Finding(
                f"{len(expired)} of the keys of the project {project} have expired: {', '.join(expired[:5])}",
                f"outcrop keys revoke KEY --project {project}, once nobody needs to know why it stopped "
                "working.",
            )


def _keys(project: str) -> list[ApiKey]:
    found: list[ApiKey] = []
    while True:
        page = KeyStore(project).list(after=found[-1].id if found else None)
        found += page.data
        if not page.has_more:
            return found


@cache
def _trusted() -> ssl.SSLContext:
    """Reading the certificates takes longer than the question."""
    return httpx.create_ssl_context()


def _json(answer: httpx.Response) -> dict[str, object]:
    try:
        body = answer.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}

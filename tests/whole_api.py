"""The whole API on loopback: local mode's front with the synthesized template's routes, authorizer and error
replies, and the real functions in this process, on an emulated account.

As in Lambda, an instance of a function handles one call at a time; a buffered function has one instance here.
"""

import importlib
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from lambdas.inference.app import app as inference
from local import assembly, moto_patches, routes
from local.emulated_account import function_arn
from local.gateway import Gateway
from local.processes import ServerThread, listen
from outcrop.serving.server import model_server
from outcrop.settings import settings
from tests.in_process import a_context


@contextmanager
def whole_api(
    model_server_url: str,
    *,
    around: Callable[[ASGIApp], ASGIApp] = lambda app: app,
    running: Callable[[str], AbstractContextManager[None]] = lambda function: nullcontext(),
) -> Iterator[str]:
    """Its URL, without a stage. An account must be there (`tests.account.emulated_account`); `around` puts
    something of a test's own around the API, and `running` around each call of a function."""
    moto_patches.lock_dynamodb()  # threads are many here, and DynamoDB's conditions hold
    api, handlers = _deployed()
    api = replace(api, stages=dict.fromkeys(api.stages))  # tests call faster than a project may
    with ExitStack() as ends, pytest.MonkeyPatch.context() as patch:
        patch.setenv("OUTCROP_SERVING_URL", model_server_url)
        for cached in (settings, model_server):
            cached.cache_clear()
            ends.callback(cached.cache_clear)
        functions = _Functions(handlers, running)
        streams = {
            route.function: ends.enter_context(served(_run(inference, running, route.function)))
            for route in api.routes
            if route.streams
        }
        yield ends.enter_context(served(around(Gateway(api, functions.invoke, streams))))


@contextmanager
def served(app: Any) -> Iterator[str]:
    """The URL of an ASGI application, while it is served."""
    listener = listen(0)
    server = ServerThread(app, listener)
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.stop()


class _Functions:
    def __init__(
        self, handlers: dict[str, str], running: Callable[[str], AbstractContextManager[None]]
    ) -> None:
        self._handlers = handlers
        self._running = running
        self._instances = {name: threading.Lock() for name in handlers}

    def invoke(self, name: str, payload: bytes) -> tuple[bytes, bool]:
        """The function's answer, and whether that is an error."""
        module, _, function = self._handlers[name].rpartition(".")
        handler = getattr(importlib.import_module(module), function)
        with self._instances[name], self._running(name):
            try:
                return json.dumps(handler(json.loads(payload), a_context())).encode(), False
            except Exception as error:
                return json.dumps({"errorMessage": str(error)}).encode(), True


def _run(app: ASGIApp, running: Callable[[str], AbstractContextManager[None]], function: str) -> ASGIApp:
    async def run(scope: Scope, receive: Receive, send: Send) -> None:
        with running(function) if scope["type"] == "http" else nullcontext():
            await app(scope, receive, send)

    return run


@cache
def _deployed() -> tuple[routes.RestApi, dict[str, str]]:
    """The REST API of the synthesized app, its functions by logical id; and each function's handler."""
    stacks = [template for _, template in assembly.templates(assembly.synthesize(["tiny-caps"]))]
    handlers = {
        name: one["Properties"]["Handler"]
        for stack in stacks
        for name, one in stack["Resources"].items()
        if one["Type"] == "AWS::Lambda::Function" and "Handler" in one["Properties"]
    }
    exports = {
        output["Export"]["Name"]: function_arn(output["Value"]["Fn::GetAtt"][0])
        for stack in stacks
        for output in stack.get("Outputs", {}).values()
        if "Export" in output and output["Value"].get("Fn::GetAtt", [""])[0] in handlers
    }
    (template,) = (
        stack
        for stack in stacks
        if any(one["Type"] == routes.REST_API for one in stack["Resources"].values())
    )
    return routes.read(template, {name: name for name in template["Resources"]}, exports), handlers

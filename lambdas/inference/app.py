"""`/v1/chat/completions` and `/v1/completions`, as an ASGI app behind the Lambda Web Adapter, which streams
what Lambda alone cannot.

The adapter runs `run.sh` and waits until `/health` answers. It passes on the path of API Gateway's event,
which has no stage but keeps a custom domain's base path, while the local front passes the path as the client
sent it. The app answers every spelling alike instead of being told which one it gets.
"""

from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lambdas.inference import responses
from lambdas.inference.chat import create_chat_completion, create_completion
from lambdas.inference.replies import ERROR_REPLIES, json_reply, log_failure
from outcrop.ids import new_id

_PREFIXES = ("", "/v1", "/openai/v1")
_ENDPOINTS = (
    ("POST", "/chat/completions", create_chat_completion),
    ("POST", "/completions", create_completion),
    *responses.ENDPOINTS,
)


async def health(_request: Request) -> Response:
    return json_reply({"status": "ok"})


class _Outermost:
    """Puts `x-request-id` on every answer, a crash's included: clients show it in their error messages. What
    crashed is logged here; uvicorn would quote it, callers' data and all."""

    def __init__(self, inner: ASGIApp) -> None:
        self._inner = inner

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["x-request-id"] = new_id("req_")
            await send(message)

        try:
            await self._inner(scope, receive, send_with_id)
        except Exception as error:  # it has been answered
            log_failure("request failed", error)


_routes = [
    Route(prefix + path, endpoint, methods=[method])
    for prefix in _PREFIXES
    for method, path, endpoint in _ENDPOINTS
]

_api = Starlette(routes=[*_routes, Route("/health", health)], exception_handlers=ERROR_REPLIES)
_api.router.redirect_slashes = False  # to a place that only this function knows, behind its front

app: ASGIApp = _Outermost(_api)

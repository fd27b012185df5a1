"""`/v1/chat/completions`, as an ASGI app behind the Lambda Web Adapter, which streams what Lambda alone
cannot.

The adapter runs `run.sh` and waits until `/health` answers. It passes on the path of API Gateway's event,
which has no stage but keeps a custom domain's base path, while the local front passes the path as the client
sent it. The app answers every spelling alike instead of being told which one it gets.
"""

import orjson
from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lambdas.inference.replies import ERROR_REPLIES, json_reply, stream_reply, whole_reply
from outcrop.errors import AuthenticationError
from outcrop.ids import new_id
from outcrop.operations import chat

_PREFIXES = ("", "/v1", "/openai/v1")


async def chat_completions(request: Request) -> Response:
    project = _project(request)
    asked = chat.parse(await request.body())
    if asked.stream:
        return await stream_reply(chat.stream(asked, project))
    return await whole_reply(request, chat.complete(asked, project))


async def health(_request: Request) -> Response:
    return json_reply({"status": "ok"})


def _project(request: Request) -> str:
    """The caller's project, as the authorizer found it.

    The adapter sets this header from the event, in place of whatever a client sends under its name.
    """
    context = orjson.loads(request.headers.get("x-amzn-request-context", "{}"))
    project = context.get("authorizer", {}).get("project_id")
    if not project:
        raise AuthenticationError(
            "Missing or incorrect API key: send it as 'Authorization: Bearer sk-outcrop-...'."
        )
    return project


class _RequestId:
    """Puts `x-request-id` on every answer, a crash's included: clients show it in their error messages."""

    def __init__(self, inner: ASGIApp) -> None:
        self._inner = inner

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["x-request-id"] = new_id("req_")
            await send(message)

        await self._inner(scope, receive, send_with_id)


_routes = [Route(f"{prefix}/chat/completions", chat_completions, methods=["POST"]) for prefix in _PREFIXES]

app: ASGIApp = _RequestId(
    Starlette(routes=[*_routes, Route("/health", health)], exception_handlers=ERROR_REPLIES)
)

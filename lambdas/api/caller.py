"""Who is calling, and how another try of the same call is recognised."""

from typing import cast

from aws_lambda_powertools.event_handler.router import APIGatewayRouter
from aws_lambda_powertools.utilities.data_classes import APIGatewayProxyEvent

from outcrop.types.call import Call, fingerprint, retry_count


def caller(router: APIGatewayRouter) -> str:
    """The project of the caller's key, as the authorizer found it: without one no request gets here."""
    event = cast(APIGatewayProxyEvent, router.current_event)
    return event.request_context.authorizer["project_id"]


def call(router: APIGatewayRouter, *asked: object) -> Call:
    """This call, which makes something. `asked` is what it asks for: JSON values, pydantic models or
    bytes."""
    event = cast(APIGatewayProxyEvent, router.current_event)
    return Call(
        project=caller(router),
        key_id=event.request_context.authorizer["key_id"],
        path=event.path.removeprefix("/openai").removeprefix("/v1"),  # a domain has its base path
        fingerprint=fingerprint(*asked),
        idempotency_key=event.headers.get("idempotency-key"),
        retry=retry_count(event.headers.get("x-stainless-retry-count")),
    )

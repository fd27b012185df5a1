"""Who is calling."""

from typing import cast

from aws_lambda_powertools.event_handler.router import APIGatewayRouter
from aws_lambda_powertools.utilities.data_classes import APIGatewayProxyEvent


def caller(router: APIGatewayRouter) -> str:
    """The project of the caller's key, as the authorizer found it: without one no request gets here."""
    event = cast(APIGatewayProxyEvent, router.current_event)
    return event.request_context.authorizer["project_id"]

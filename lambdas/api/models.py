"""`/v1/models`."""

from urllib.parse import unquote

from aws_lambda_powertools.event_handler.router import APIGatewayRouter

from lambdas.api.caller import caller
from outcrop.operations import models
from outcrop.types.model import Model
from outcrop.types.page import Page

router = APIGatewayRouter()


@router.get("/models")
def list_models() -> Page[Model]:
    return models.list(caller(router))


@router.get("/models/.+")
def retrieve() -> Model:
    """The id is the rest of the path: ids hold `:`, and aliases `/`, which arrives as such or as `%2F`."""
    model_id = router.current_event.path.split("/models/", 1)[1]
    return models.retrieve(unquote(model_id), caller(router))

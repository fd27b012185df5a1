"""The control plane's one function: files, fine-tuning jobs and models."""

from typing import Any

import orjson
from aws_lambda_powertools.event_handler import APIGatewayRestResolver
from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.api import files, fine_tuning_jobs, models
from lambdas.api.answers import answer_failures, logger

app = APIGatewayRestResolver(
    enable_validation=True,
    response_validation_error_http_code=500,
    serializer=lambda body: orjson.dumps(body).decode(),
    json_body_deserializer=orjson.loads,  # refuses NaN, lone surrogates and bottomless nesting
    # Stage `v1` takes the prefix off; stage `openai` and custom domains leave it on.
    strip_prefixes=["/openai/v1", "/v1"],
)
answer_failures(app)
for resource in (files, fine_tuning_jobs, models):
    app.include_router(resource.router)


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    response = app.resolve(event, context)
    response["multiValueHeaders"]["x-request-id"] = [event["requestContext"]["requestId"]]
    return response

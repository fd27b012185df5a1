"""`/v1/fine_tuning/alpha/graders`."""

from aws_lambda_powertools.event_handler.router import APIGatewayRouter

from lambdas.api.caller import caller
from outcrop.operations import graders
from outcrop.types.grader_run import GraderRun, RunGrader, ValidatedGrader, ValidateGrader

router = APIGatewayRouter()


@router.post("/fine_tuning/alpha/graders/run")
def run(request: RunGrader) -> GraderRun:
    return graders.run(request, caller(router))


@router.post("/fine_tuning/alpha/graders/validate")
def validate(request: ValidateGrader) -> ValidatedGrader:
    return graders.validate(request, caller(router))

"""The account and this machine, whatever is deployed: clock, packages, Region, limits of Lambda."""

from collections.abc import Iterator

from outcrop import base_models
from outcrop.errors import APIError
from outcrop.operations.doctor.patient import Finding, Patient
from outcrop.serving import bedrock_import_limits
from outcrop.stores import lookups

_MOST_SKEW_SECONDS = 120
_LEAST_BOTO3 = (1, 44)
_LEAST_CONCURRENCY = 100
_NEEDED_SERVICES = ("apigateway", "dynamodb", "lambda", "sagemaker", "stepfunctions")
_BOOTSTRAP = "/cdk-bootstrap/hnb659fds/version"


def clock(patient: Patient) -> Iterator[Finding]:
    skew = patient.now - lookups.aws_time()
    if abs(skew) > _MOST_SKEW_SECONDS:
        yield Finding(
            f"This machine's clock is {abs(skew)} s {'ahead of' if skew > 0 else 'behind'} AWS's.",
            "Let it keep time by NTP: AWS refuses calls that are more than 5 minutes off, and expiries "
            "shift.",
        )


def packages(patient: Patient) -> Iterator[Finding]:
    parts = tuple(int(part) for part in lookups.BOTO3_VERSION.split(".")[:2])
    if parts < _LEAST_BOTO3:
        yield Finding(
            f"boto3 {lookups.BOTO3_VERSION} is older than what Outcrop calls.",
            "Run `make setup` in the checkout, and the command from there (.venv/bin/outcrop).",
        )


def region(patient: Patient) -> Iterator[Finding]:
    here = patient.deployed.region
    for service in _NEEDED_SERVICES:
        if not lookups.has_service(here, service):
            yield Finding(
                f"{here} has no {service}, as far as boto3 {lookups.BOTO3_VERSION} knows.",
                "Deploy in another Region: us-east-1, us-east-2 and us-west-2 have most machines.",
            )
    if patient.settings.serving == "bedrock_import":
        yield from _imports(patient)


def _imports(patient: Patient) -> Iterator[Finding]:
    for id in patient.settings.offered_models:
        model = base_models.find(id)
        try:
            if model:
                bedrock_import_limits.check(model, patient.deployed.region)
        except APIError as error:
            yield Finding(error.message, "Or leave the model out of the setting models, and deploy.")


def concurrency(patient: Patient) -> Iterator[Finding]:
    limit = lookups.ask("lambda", "get_account_settings")["AccountLimit"]
    if limit["UnreservedConcurrentExecutions"] < _LEAST_CONCURRENCY:
        yield Finding(
            f"Lambda may run {limit['UnreservedConcurrentExecutions']} calls at a time in this account and "
            f"Region (of {limit['ConcurrentExecutions']}, the rest is reserved): the API and graders share "
            "them, and a training job alone calls its grader 64 times at once.",
            "Ask for 1,000: Service Quotas, AWS Lambda, Concurrent executions (L-B99A9384).",
        )


def bootstrap(patient: Patient) -> Iterator[Finding]:
    if lookups.find("ssm", "get_parameter", absent="ParameterNotFound", Name=_BOOTSTRAP) is None:
        account, here = patient.deployed.account, patient.deployed.region
        yield Finding(
            f"The CDK was not set up in {here} of account {account}.",
            f"Run once: npx --yes aws-cdk bootstrap aws://{account}/{here}",
        )

"""What inference needs: something that serves, and machines and secrets for it."""

import json
from collections.abc import Iterator

from outcrop import base_models
from outcrop.operations.doctor.patient import Finding, Patient
from outcrop.stores import lookups


def server(patient: Patient) -> Iterator[Finding]:
    settings = patient.settings
    if not settings.response_workflow_arn:
        return
    if settings.serving == "openai_compatible" and not settings.serving_url:
        yield Finding(
            "Nothing serves the models: inference answers 503.",
            "Deploy with -c serving=sagemaker, or with -c serving_url=URL of an OpenAI-compatible server.",
        )


def endpoints(patient: Patient) -> Iterator[Finding]:
    if patient.settings.serving != "sagemaker":
        return
    for one in lookups.every("sagemaker", "list_endpoints", "Endpoints", NameContains="outcrop-"):
        if one["EndpointStatus"] in ("Failed", "UpdateRollbackFailed"):
            name = one["EndpointName"]
            found = lookups.ask("sagemaker", "describe_endpoint", EndpointName=name)
            yield Finding(
                f"The endpoint {name} is {one['EndpointStatus']}: "
                f"{found.get('FailureReason', 'no reason given')}",
                f"aws sagemaker delete-endpoint --endpoint-name {name}. The next request makes it anew.",
            )


def endpoint_quotas(patient: Patient) -> Iterator[Finding]:
    if patient.settings.serving != "sagemaker":
        return
    quotas = lookups.every("service-quotas", "list_service_quotas", "Quotas", ServiceCode="sagemaker")
    allowed = {one["QuotaName"].lower(): one for one in quotas}
    chosen: dict[str, list[str]] = json.loads(patient.settings.serving_instances)
    for id in patient.settings.offered_models:
        model = base_models.find(id)
        if model is None or model.serving is None:
            continue
        names = [f"{one} for endpoint usage" for one in chosen.get(id) or model.serving.instance_types]
        if not any(name in allowed and allowed[name]["Value"] >= 1 for name in names):
            codes = [
                f"'{name}' ({allowed[name]['QuotaCode']})" if name in allowed else name for name in names
            ]
            yield Finding(
                f"The account may have none of the machines that {id} can be served on.",
                f"Ask for one, in Service Quotas, Amazon SageMaker: {' or '.join(codes)}.",
            )


def hugging_face_token(patient: Patient) -> Iterator[Finding]:
    for function in patient.functions.values():
        variables = (function or {}).get("Environment", {}).get("Variables", {})
        if arn := variables.get("OUTCROP_HUGGING_FACE_SECRET"):
            yield from secret(arn, "hugging_face_secret, the token for gated models")
            return


def secret(arn: str, use: str) -> Iterator[Finding]:
    """Whether a secret is there. It is not read: whoever may look after a deployment need not know it."""
    found = lookups.find("secretsmanager", "describe_secret", absent="ResourceNotFound", SecretId=arn)
    if found is None:
        yield Finding(
            f"The secret {arn} ({use}) is not there.",
            "Make it in Secrets Manager, in the Region of its ARN, with the key as its text; or change the "
            "setting.",
        )
    elif "DeletedDate" in found:
        yield Finding(
            f"The secret {arn} ({use}) is being deleted.",
            f"aws secretsmanager restore-secret --secret-id {arn}",
        )

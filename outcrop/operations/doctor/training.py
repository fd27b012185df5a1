"""What a training job needs: its image, machines that the account may have, weights, a role."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from outcrop import base_models
from outcrop.base_models import BaseModel
from outcrop.operations import machines, training_images, weights
from outcrop.operations.doctor.patient import Finding, Patient
from outcrop.operations.machines import Machine
from outcrop.stores import lookups

_IMAGE = re.compile(
    r"(?P<account>\d{12})\.dkr\.ecr\.(?P<region>[\w-]+)\.amazonaws\.com(\.cn)?/(?P<name>[^:@]+)"
    r"(:(?P<tag>[^@]+))?(@(?P<digest>sha256:\w+))?"
)
_LONGEST_RUN = "Longest run time for a training job"


def image(patient: Patient) -> Iterator[Finding]:
    uri = patient.settings.training_image
    if not patient.settings.state_machine_arn:
        return
    if not uri:
        yield Finding(
            "The deployment names no training image: every job fails.",
            "Deploy without the setting training_image, so that the image is built in the account.",
        )
        return
    named = _IMAGE.fullmatch(uri)
    if named is None:
        yield Finding(
            f"The training image {uri} is not in ECR, where SageMaker looks for it.",
            "Push it to ECR in this Region, or deploy without the setting training_image.",
        )
        return
    if named["region"] != patient.deployed.region:
        yield Finding(
            f"The training image is in {named['region']}: SageMaker takes images of its own Region only.",
            f"Push it to ECR in {patient.deployed.region}, and deploy with -c training_image=URI.",
        )
        return
    wanted = {"imageDigest": named["digest"]} if named["digest"] else {"imageTag": named["tag"] or "latest"}
    about = {"registryId": named["account"], "repositoryName": named["name"], "imageIds": [wanted]}
    absent = ("ImageNotFound", "RepositoryNotFound")
    if lookups.find("ecr", "describe_images", absent=absent, **about) is not None:
        return
    if not (built := training_images.built().get(uri)):
        yield Finding(f"The training image {uri} is not there.", "Push it, and deploy with its URI.")
    elif lookups.find(
        "ecr", "describe_repositories", absent="RepositoryNotFound", repositoryNames=[built.repository]
    ):
        yield Finding(
            f"The training image {uri} is not there: it is put away when no job has been trained for "
            f"{training_images.KEPT_DAYS} days. The next job waits while it is built anew, about "
            f"{training_images.BUILD_MINUTES}.",
            f"Nothing; or have it built now: aws codebuild start-build --project-name {built.project}",
        )
    else:
        yield Finding(
            f"The repository of the training image ({built.repository}) was deleted by hand: no image can be "
            "built.",
            f"Make it again: aws ecr create-repository --repository-name {built.repository}",
        )


def quotas(patient: Patient) -> Iterator[Finding]:
    """A model that can be trained on none of its machines; a machine of the list that is no use is none of
    those, as long as another is."""
    allowed = _allowed()
    for model in _offered(patient):
        asked = machines.suited_to(model)
        if asked and not any(allowed.get(_quota_name(one), (0, ""))[0] >= 1 for one in asked):
            names = [_named(one, allowed) for one in asked]
            yield Finding(
                f"The account may have none of the machines that {model.id} can be trained on: "
                f"{', '.join(str(one) for one in asked)}.",
                f"Ask for one, in Service Quotas, Amazon SageMaker: {' or '.join(names)}.",
            )


def spot(patient: Patient) -> Iterator[Finding]:
    if not patient.settings.on_spot:
        return
    allowed = _allowed()
    spots = [one for model in _offered(patient) for one in machines.suited_to(model) if one.is_spot]
    if spots and not any(allowed.get(_quota_name(one), (0, ""))[0] >= 1 for one in spots):
        names = sorted({_named(one, allowed) for one in spots})
        yield Finding(
            "The setting spot is on, and the account may have no spot machine that a model here could use: "
            "jobs train on demand, at the full price.",
            f"Ask for one, in Service Quotas, Amazon SageMaker: {' or '.join(names)}.",
        )


def run_time(patient: Patient) -> Iterator[Finding]:
    asked = int(patient.settings.max_runtime_seconds)
    for quota in _quotas():
        if quota["QuotaName"].startswith(_LONGEST_RUN) and 0 < quota["Value"] < asked:
            yield Finding(
                f"max_runtime_seconds is {asked}, and SageMaker stops a training job of this account after "
                f"{quota['Value']:.0f} s.",
                f"Deploy with -c max_runtime_seconds={quota['Value']:.0f}, or ask for more "
                f"({quota['QuotaCode']}).",
            )


def role(patient: Patient) -> Iterator[Finding]:
    stack = patient.deployed.stacks.get("OutcropTraining")
    arn = stack.outputs.get("RoleArn", "") if stack else ""
    if not arn:
        return
    name = arn.rpartition("/")[2]
    found = lookups.find("iam", "get_role", absent="NoSuchEntity", RoleName=name)
    if found is None:
        yield Finding(
            f"The role of training jobs ({name}) was deleted by hand.",
            "Delete OutcropTraining and the stacks that import from it, and deploy again; they hold no data.",
        )
    elif "sagemaker.amazonaws.com" not in str(found["Role"].get("AssumeRolePolicyDocument", "")):
        yield Finding(
            f"SageMaker may not use the role of training jobs ({name}): its trust policy was changed.",
            "Let sagemaker.amazonaws.com assume it again, as the template of OutcropTraining says.",
        )


def base_weights(patient: Patient) -> Iterator[Finding]:
    if not patient.settings.weights_workflow_arn:
        return
    for model in _offered(patient):
        found = weights.status(model)
        if found.state == "absent":
            yield Finding(
                f"The weights of {model.id} are not in the bucket: its first job waits until they are.",
                f"outcrop models sync {model.id}",
            )
        elif found.state == "failed":
            yield Finding(found.explanation, f"Then try again: outcrop models sync {model.id}")


def _offered(patient: Patient) -> list[BaseModel]:
    found = (base_models.find(id) for id in patient.settings.offered_models)
    return [model for model in found if model]


def _allowed() -> Mapping[str, tuple[float, str]]:
    """Value and code of each quota, by its name in small letters."""
    return {one["QuotaName"].lower(): (one["Value"], one["QuotaCode"]) for one in _quotas()}


def _quotas() -> list[dict[str, Any]]:
    return [*lookups.every("service-quotas", "list_service_quotas", "Quotas", ServiceCode="sagemaker")]


def _quota_name(machine: Machine) -> str:
    return f"{machine.instance_type} for {'spot ' if machine.is_spot else ''}training job usage"


def _named(machine: Machine, allowed: Mapping[str, tuple[float, str]]) -> str:
    name = _quota_name(machine)
    code = allowed[name][1] if name in allowed else ""
    return f"'{name}'" + (f" ({code})" if code else "")

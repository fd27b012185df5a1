"""What grades: customers' functions that the deployment may call, and the models that judge."""

import re
from collections.abc import Iterator

from outcrop.graders.lambda_function import GRADER_TAG, OWN_STACKS
from outcrop.lifecycle import is_terminal
from outcrop.operations.doctor import serving
from outcrop.operations.doctor.patient import Finding, Patient
from outcrop.operations.reconcile.whole import projects
from outcrop.stores import lookups
from outcrop.stores.jobs import JobStore
from outcrop.types.judge import BedrockJudge, OpenAIJudge, is_inference_profile

_ARN = re.compile(
    r"arn:[\w-]+:lambda:(?P<region>[\w-]+):(?P<account>\d{12}):function:(?P<name>[\w-]+)(:[\w$-]+)?"
)
_CALL = "lambda:InvokeFunction"
_READ = "secretsmanager:GetSecretValue"
_NEWEST_JOBS = 20


def functions(patient: Patient) -> Iterator[Finding]:
    for grader in dict.fromkeys([*patient.graders, *_of_jobs(patient)]):
        arn = grader
        if not grader.startswith("arn:"):
            place = f"{patient.deployed.region}:{patient.deployed.account}"
            arn = f"arn:{patient.deployed.partition}:lambda:{place}:function:{grader}"
        named = _ARN.fullmatch(arn)
        if named is None:
            yield Finding(
                f"'{grader}' is neither the name nor the ARN of a Lambda function.",
                "Name it like arn:aws:lambda:us-west-2:123456789012:function:my-grader.",
            )
        elif named["name"].startswith(tuple(f"{stack}-" for stack in OWN_STACKS)):
            yield Finding(
                f"{named['name']} is a function of Outcrop's own, and no grader.", "Name one of yours."
            )
        elif named["account"] != patient.deployed.account:
            yield from _may_be_called(patient, arn, {})
        else:
            yield from _own_function(patient, arn, named["region"])


def _of_jobs(patient: Patient) -> list[str]:
    """Those of jobs that are not over, among each project's newest."""
    found: list[str] = []
    for project in projects() if patient.settings.table else ():
        for job in JobStore(project).list(limit=_NEWEST_JOBS).data:
            if not is_terminal(job.status):
                found += [match[0] for match in _ARN.finditer(job.method.model_dump_json())]
    return found


def _own_function(patient: Patient, arn: str, region: str) -> Iterator[Finding]:
    if region != patient.deployed.region:
        yield Finding(
            f"The function {arn} is in {region}, and the deployment in {patient.deployed.region}: jobs find "
            "it, and each call crosses Regions; tags there are not looked at.",
            "Deploy the function in the deployment's Region.",
        )
        return
    found = lookups.find("lambda", "get_function", absent="ResourceNotFound", FunctionName=arn)
    if found is None:
        yield Finding(
            f"The function {arn} does not exist.",
            "Is its name right? `aws lambda list-functions` lists those of the account and Region.",
        )
        return
    configuration = found["Configuration"]
    if configuration.get("State") == "Failed":
        reason = configuration.get("StateReason", "no reason given")
        yield Finding(f"The function {arn} is in state Failed: {reason}", "Deploy it again.")
    yield from _may_be_called(patient, arn, found.get("Tags", {}))


def _may_be_called(patient: Patient, arn: str, tags: dict[str, str]) -> Iterator[Finding]:
    """By the roles' own policies; a function of another account has one too, which that account alone
    reads."""
    for who, role in _callers(patient).items():
        if not _is_allowed(role, _CALL, arn, tags):
            yield Finding(
                f"{who} may not call the function {arn}.",
                f"aws lambda tag-resource --resource {arn} --tags {GRADER_TAG}=true; or name it in the "
                "setting grader_prefixes, and deploy. A function of another account has to be named there, "
                f"and its resource policy has to allow {_CALL} and lambda:GetFunctionConfiguration to this "
                "account's roles.",
            )
            return


def _is_allowed(role: str, action: str, arn: str, tags: dict[str, str]) -> bool:
    context = [
        {
            "ContextKeyName": f"aws:ResourceTag/{key}",
            "ContextKeyValues": [value],
            "ContextKeyType": "string",
        }
        for key, value in tags.items()
    ]
    about = {"PolicySourceArn": role, "ActionNames": [action], "ResourceArns": [arn]}
    answer = lookups.ask("iam", "simulate_principal_policy", ContextEntries=context, **about)
    return all(one["EvalDecision"] == "allowed" for one in answer["EvaluationResults"])


def _callers(patient: Patient) -> dict[str, str]:
    roles: dict[str, str] = {}
    if "OutcropTraining" in patient.deployed.stacks:
        roles["The role of training jobs"] = patient.deployed.output("OutcropTraining", "RoleArn")
    api = patient.function("OutcropApi", "Api")
    if api:
        roles["The API, which checks and tries graders,"] = api["Role"]
    return roles


def judges(patient: Patient) -> Iterator[Finding]:
    for name, judge in patient.settings.judge_models.items():
        if isinstance(judge, OpenAIJudge) and judge.secret:
            yield from serving.secret(judge.secret, f"the key of the judge {name}")
            yield from _may_be_read(patient, judge.secret, name)
        elif isinstance(judge, BedrockJudge):
            yield from _bedrock(patient, name, judge.model)


def _may_be_read(patient: Patient, secret: str, judge: str) -> Iterator[Finding]:
    for who, role in _callers(patient).items():
        if not _is_allowed(role, _READ, secret, {}):
            yield Finding(
                f"{who} may not read the secret {secret}, the key of the judge {judge}.",
                "Deploy again (make deploy ARGS=--all): roles may read the secrets that the setting judges "
                "names. If they still may not, permissions_boundary or a policy of the organization denies "
                "it.",
            )
            return


def _bedrock(patient: Patient, name: str, model: str) -> Iterator[Finding]:
    region = patient.deployed.region
    if is_inference_profile(model) or ":inference-profile/" in model:
        absent = ("ResourceNotFound", "ValidationException")
        if (
            lookups.find("bedrock", "get_inference_profile", absent=absent, inferenceProfileIdentifier=model)
            is None
        ):
            yield Finding(
                f"The judge {name} is the inference profile {model}, which is not in {region}.",
                "`aws bedrock list-inference-profiles` lists those that are; change the setting judges, and "
                "deploy.",
            )
        return
    model_id = model.rpartition("/")[2]
    absent = ("ResourceNotFound", "ValidationException")
    found = lookups.find("bedrock", "get_foundation_model_availability", absent=absent, modelId=model_id)
    if found is None or found["regionAvailability"] != "AVAILABLE":
        yield Finding(
            f"The judge {name} is {model_id}, which Bedrock does not have in {region}.",
            "`aws bedrock list-foundation-models` lists those it has; change the setting judges, and deploy.",
        )
    elif (
        found["agreementAvailability"]["status"] != "AVAILABLE"
        or found["authorizationStatus"] != "AUTHORIZED"
    ):
        yield Finding(
            f"The account has no access to {model_id}, the judge {name} "
            f"(agreement {found['agreementAvailability']['status']}, {found['authorizationStatus']}).",
            "Open the model once in Bedrock's console (Model catalog) and accept its terms; access comes "
            "within minutes.",
        )

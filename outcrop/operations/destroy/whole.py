"""A deployment's end: what goes and what stays, and the order in which it goes."""

from collections.abc import Sequence
from dataclasses import dataclass

from outcrop.operations.destroy import data, runs, serving, stacks
from outcrop.operations.destroy.kind import Kind, Watch, clear
from outcrop.stores import lookups
from outcrop.stores.deployed import Deployed

_STAYS = (
    "secrets that you made (hugging_face_secret, judges' keys)",
    "the entries of training jobs in SageMaker's list, which nobody can delete",
    "the CDK's own stack CDKToolkit and the assets in its bucket",
    "the rule StepFunctionsGetEventsForSageMakerTrainingJobsRule, which all state machines of the account "
    "share",
)
_BACKUP = "a backup of the table that DynamoDB keeps for 35 days"


@dataclass(frozen=True)
class Plan:
    goes: Sequence[Kind]
    """In the order in which they go."""
    stays: Sequence[str]


def plan(deployed: Deployed, *, keep_data: bool) -> Plan:
    """Raises: DeploymentError where the account may not be looked at."""
    resources = {
        name: [
            *lookups.every("cloudformation", "list_stack_resources", "StackResourceSummaries", StackName=name)
        ]
        for name in deployed.stacks
    }

    def names(kind: str) -> list[str]:
        every = [one for found in resources.values() for one in found]
        return [one["PhysicalResourceId"] for one in every if one["ResourceType"] == kind and _is_there(one)]

    storage = deployed.stacks.get("OutcropStorage")
    buckets = {storage.outputs.get("BucketName", "")} if storage else set()
    tables = {storage.outputs.get("TableName", "")} if storage else set()
    buckets = sorted({*buckets, *data.leftover_buckets()} - {""})
    tables = sorted({*tables, *data.leftover_tables()} - {""})
    repositories = sorted({*names("AWS::ECR::Repository"), *data.leftover_repositories()})
    apis = [f"API-Gateway-Execution-Logs_{id}" for id in names("AWS::ApiGateway::RestApi")]
    last = [stacks.stack("OutcropImages")]
    logs = [data.log_groups(apis)]
    if keep_data:
        kept = [f"table {name}" for name in tables] + [f"bucket {name}" for name in buckets]
        kept += [*(["stack OutcropStorage"] if storage else []), "the logs of training jobs", *_STAYS]
        of_data: list[Kind] = []
    else:
        kept = [*_STAYS, _BACKUP]
        of_data = [data.bucket(buckets), data.table(tables), data.training_logs()]
        last.append(stacks.stack("OutcropStorage"))
    goes = [
        *(stacks.stack(name) for name in stacks.DOORS),
        runs.rules(names("AWS::Events::Rule")),
        runs.executions(names("AWS::StepFunctions::StateMachine")),
        runs.training_jobs(),
        *serving.kinds(deployed.region),
        *(stacks.stack(name) for name in stacks.in_order()),
        stacks.interfaces(),
        data.repository(repositories),
        *of_data,
        *last,
        *logs,
    ]
    return Plan(goes, kept)


def standing(plan: Plan) -> dict[str, list[str]]:
    """What is there and goes, by the name of its kind."""
    found: dict[str, list[str]] = {}
    for kind in plan.goes:
        found.setdefault(kind.name, []).extend(kind.find())
    return {name: things for name, things in found.items() if things}


def destroy(plan: Plan, watch: Watch) -> None:
    """Raises: DeploymentError for what does not go; what went before that is gone."""
    for kind in plan.goes:
        clear(kind, watch)


def _is_there(resource: dict[str, str]) -> bool:
    return resource["ResourceStatus"] != "DELETE_COMPLETE" and bool(resource.get("PhysicalResourceId"))

"""What runs: rules that would start it anew, executions, training jobs."""

from collections.abc import Sequence

from outcrop.operations.destroy.kind import Kind
from outcrop.stores import lookups


def rules(names: Sequence[str]) -> Kind:
    """They are only disabled here; their stacks take them along."""
    return Kind(
        "schedule", lambda: [name for name in names if _is_enabled(name)], lambda name: _disable(name)
    )


def executions(state_machines: Sequence[str]) -> Kind:
    return Kind(
        "execution",
        lambda: [one for arn in state_machines for one in _running(arn)],
        lambda arn: lookups.ask(
            "stepfunctions", "stop_execution", executionArn=arn, cause="Outcrop is being removed."
        ),
    )


def training_jobs() -> Kind:
    return Kind(
        "training job",
        lambda: [
            one["TrainingJobName"]
            for status in ("InProgress", "Stopping")
            for one in lookups.every(
                "sagemaker",
                "list_training_jobs",
                "TrainingJobSummaries",
                NameContains="ftjob-",
                StatusEquals=status,
            )
            if one["TrainingJobName"].startswith("ftjob-")
        ],
        lambda name: lookups.ask("sagemaker", "stop_training_job", TrainingJobName=name),
    )


def _is_enabled(rule: str) -> bool:
    found = lookups.find("events", "describe_rule", absent="ResourceNotFound", Name=rule)
    return found is not None and found["State"] != "DISABLED"


def _disable(rule: str) -> None:
    lookups.ask("events", "disable_rule", Name=rule)


def _running(arn: str) -> list[str]:
    there = lookups.find(
        "stepfunctions", "describe_state_machine", absent="StateMachine", stateMachineArn=arn
    )
    if there is None:
        return []
    found = lookups.every(
        "stepfunctions", "list_executions", "executions", stateMachineArn=arn, statusFilter="RUNNING"
    )
    return [one["executionArn"] for one in found]

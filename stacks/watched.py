"""`Watched`: what the other stacks made, as the dashboard and the alarms look at it."""

from collections.abc import Mapping
from dataclasses import dataclass

from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_logs as logs
from aws_cdk import aws_stepfunctions as sfn

from stacks.constructs.python_function import PythonFunction


@dataclass(frozen=True)
class Watched:
    api: apigateway.RestApi
    access_logs: logs.LogGroup
    table: dynamodb.Table
    functions: Mapping[str, PythonFunction]
    """All of them, by their path, like `OutcropWorkflow/Finish`."""
    workflows: Mapping[str, sfn.StateMachine]
    """All of them, by their stack."""

    @property
    def training(self) -> sfn.StateMachine:
        return self.workflows["OutcropWorkflow"]

    def function(self, id: str) -> PythonFunction:
        """By the last part of its path."""
        (found,) = (one for path, one in self.functions.items() if path.endswith(f"/{id}"))
        return found

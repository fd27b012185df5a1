"""`StateMachine`: the one way to make a state machine. It may call the functions it is given, and no more."""

from collections.abc import Sequence

from aws_cdk import aws_iam as iam
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from stacks.constructs.python_function import PythonFunction
from stacks.permissions import acknowledge, allow, taken_by

_FINDINGS = {
    "AwsSolutions-SF1": "a Standard execution keeps its events for 90 days; logging takes actions on '*'",
    "AwsSolutions-SF2": "X-Ray takes actions on '*'; executions are named after jobs, which the logs name",
}
_FINDINGS["Serverless-StepFunctionStateMachineXray"] = _FINDINGS["AwsSolutions-SF2"]


class StateMachine(sfn.StateMachine):
    """Standard and JSONPath. What else it may do is to be granted to `own_role`: CDK's tasks add nothing to
    it, since they would allow every version of a function, too."""

    def __init__(
        self, scope: Construct, id: str, *, start: sfn.IChainable, calls: Sequence[PythonFunction]
    ) -> None:
        self.own_role = iam.Role(
            scope,
            f"{id}Role",
            assumed_by=taken_by(scope, "states.amazonaws.com"),
        )
        allow(self.own_role, "lambda:InvokeFunction", on=[function.function_arn for function in calls])
        super().__init__(
            scope,
            id,
            definition_body=sfn.DefinitionBody.from_chainable(start),
            state_machine_type=sfn.StateMachineType.STANDARD,
            role=self.own_role.without_policy_updates(),
        )
        self.node.add_dependency(self.own_role)  # whose policy Step Functions looks at right away
        acknowledge(self, _FINDINGS)

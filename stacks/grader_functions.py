"""The graders of the setting `graders`: a function each, called as the setting calls it."""

import re

import aws_cdk as cdk
from constructs import Construct

from stacks.constructs.grader_function import GraderFunction
from stacks.deployment import Deployment


class GraderFunctionsStack(cdk.Stack):
    def __init__(self, scope: Construct, id: str, *, deployment: Deployment) -> None:
        super().__init__(scope, id, description="Outcrop: reward functions of your own")
        for name, setting in deployment.graders.items():
            function = GraderFunction(
                self,
                f"{name}-function",
                name=name,
                folder=setting.folder,
                handler=setting.handler,
                environment=setting.environment,
                judge=setting.judge,
                timeout=cdk.Duration.seconds(setting.timeout_seconds),
                memory_mb=setting.memory_mb,
            )
            cdk.CfnOutput(self, f"{re.sub(r'[-_]', '', name)}Arn", value=function.function_arn)

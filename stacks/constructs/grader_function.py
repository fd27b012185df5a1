"""`GraderFunction`: a folder with a reward function, deployed as a Lambda function."""

from collections.abc import Mapping
from pathlib import Path

import aws_cdk as cdk
from constructs import Construct

from outcrop.graders.lambda_function import GRADER_TAG
from outcrop.types.judge import BedrockJudge
from stacks.bundle import grader_code
from stacks.constructs.python_function import PythonFunction
from stacks.deployment import Deployment
from stacks.judges import allow_judges


class GraderFunction(PythonFunction):
    """Runs `handler.py` of `folder`, a reward template or the customer's own, with what its requirements.txt
    names. Jobs may use it as a grader. It may write its own log; with a `judge` it may ask that one model of
    Bedrock, by JUDGE_MODEL.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        folder: Path,
        handler: str = "lambda_handler",
        name: str | None = None,
        environment: Mapping[str, str] | None = None,
        judge: str | None = None,
        timeout: cdk.Duration | None = None,
        memory_mb: int = 1024,
    ) -> None:
        """`name` is the function's in AWS, so that its ARN is known beforehand; without one CloudFormation
        chooses it. `timeout` is five minutes if not given.
        """
        super().__init__(
            scope,
            id,
            module="handler",
            code=grader_code(folder),
            handler=f"handler.{handler}",
            function_name=name,
            environment={**({"JUDGE_MODEL": judge} if judge else {}), **(environment or {})},
            timeout=timeout or cdk.Duration.minutes(5),
            memory_size=memory_mb,
        )
        cdk.Tags.of(self).add(GRADER_TAG, "true")
        if judge:
            only = Deployment(judges={"*": BedrockJudge(provider="bedrock", model=judge)})
            allow_judges(self, only)

"""`Sweeper`: calls the function that starts what was not started and ends what was lost, every quarter of an
hour. What it does is in `outcrop/operations/reconcile`."""

import aws_cdk as cdk
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from stacks.constructs.python_function import PythonFunction, call_every
from stacks.permissions import allow
from stacks.storage import StorageStack

_EVERY = cdk.Duration.minutes(15)


class Sweeper(Construct):
    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        sweep: PythonFunction,
        storage: StorageStack,
        training: sfn.StateMachine,
        files: sfn.StateMachine,
        training_jobs: str,
    ) -> None:
        """`sweep` may do already what every step may; `training_jobs` is the ARN pattern of those it may
        stop."""
        super().__init__(scope, id)
        for name, value in {
            "OUTCROP_BUCKET": storage.bucket.bucket_name,
            "OUTCROP_STATE_MACHINE_ARN": training.state_machine_arn,
            "OUTCROP_FILE_WORKFLOW_ARN": files.state_machine_arn,
        }.items():
            sweep.add_environment(name, value)
        storage.allow_rows(sweep, "dynamodb:BatchGetItem", "dynamodb:DeleteItem")
        results = ["result.json", "held_out.jsonl", "comparison.md"]
        storage.allow_objects(sweep, "s3:GetObject", under=[f"projects/*/{name}" for name in results])
        storage.allow_objects(sweep, "s3:PutObject", under=["projects/*/files/*"])
        of_checkpoints = ["projects/*/adapters/*", "projects/*/weights/*"]
        storage.allow_objects(sweep, "s3:DeleteObject", under=of_checkpoints)
        for workflow in (training, files):
            allow(sweep, "states:StartExecution", on=[workflow.state_machine_arn])
        executions = cdk.Stack.of(self).format_arn(
            service="states",
            resource="execution",
            resource_name=f"{training.state_machine_name}:ftjob-*",
            arn_format=cdk.ArnFormat.COLON_RESOURCE_NAME,
        )
        because = "an execution and a training job are named after their fine-tuning job"
        allow(sweep, "states:DescribeExecution", on=[executions], because=because)
        allow(
            sweep,
            "sagemaker:DescribeTrainingJob",
            "sagemaker:StopTrainingJob",
            on=[training_jobs],
            because=because,
        )
        allow(sweep, "sagemaker:ListTrainingJobs", on=["*"], because="a list has no resource to name")
        call_every(
            self,
            sweep,
            _EVERY,
            why="Outcrop: starts jobs whose start was lost, ends those whose workflow was",
            missed="what is missed is done a quarter of an hour later",
        )

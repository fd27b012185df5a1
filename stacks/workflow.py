"""The workflow that moves a job along: its steps as functions, and the state machine that calls them."""

from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from constructs import Construct

from stacks.bundle import dependency_layer
from stacks.constructs.python_function import PythonFunction
from stacks.constructs.training_workflow import TrainingWorkflow
from stacks.deployment import Deployment
from stacks.s3_sources import allow_s3_sources
from stacks.storage import StorageStack

_READ_AND_CHANGE = ("dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:Query")


class WorkflowStack(cdk.Stack):
    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        deployment: Deployment,
        storage: StorageStack,
        sandbox: PythonFunction,
        training_role: iam.Role,
    ) -> None:
        super().__init__(scope, id, description="Outcrop: the training workflow")
        self._layer = dependency_layer(self)
        self._storage = storage
        training_jobs = self.format_arn(service="sagemaker", resource="training-job", resource_name="ftjob-*")

        # The two that read whole files get time and, since more memory is more CPU, memory for it.
        reads_files = {"timeout": cdk.Duration.minutes(10), "memory_size": 2048}
        validate_files = self._step("ValidateFiles", "validate_files", **reads_files)
        prepare_training = self._step("PrepareTraining", "prepare_training", **reads_files)
        classify_stop = self._step("ClassifyStop", "classify_stop")
        register_model = self._step("RegisterModel", "register_model")
        finish = self._step("Finish", "finish")

        for reader in (validate_files, prepare_training, register_model):
            storage.bucket.grant_read(reader, "projects/*")
            reader.add_environment("OUTCROP_BUCKET", storage.bucket.bucket_name)
        for reader in (validate_files, prepare_training):
            allow_s3_sources(reader, deployment)
        storage.bucket.grant_put(prepare_training, "projects/*/config/*")
        for name, value in {
            "OUTCROP_JUDGES": deployment.judges_json,
            "OUTCROP_SANDBOX_FUNCTION": sandbox.function_arn,
            "OUTCROP_TRAINING_IMAGE": deployment.training_image,
            "OUTCROP_INSTANCE_TYPE": deployment.instance_type,
            "OUTCROP_MAX_RUNTIME_SECONDS": str(deployment.max_runtime_seconds),
            "OUTCROP_MAX_CONCURRENT_JOBS": str(deployment.max_concurrent_jobs),
        }.items():
            prepare_training.add_environment(name, value)
        storage.table.grant(prepare_training, "dynamodb:BatchGetItem")
        storage.bucket.grant_put(register_model, "projects/*/files/*")
        storage.table.grant(register_model, "dynamodb:DeleteItem")
        _allow(classify_stop, training_jobs, "sagemaker:DescribeTrainingJob")
        _allow(finish, training_jobs, "sagemaker:StopTrainingJob")

        self.state_machine = TrainingWorkflow(
            self,
            "Training",
            validate_files=validate_files,
            prepare_training=prepare_training,
            classify_stop=classify_stop,
            register_model=register_model,
            finish=finish,
            training_role=training_role,
            training_jobs=training_jobs,
        ).state_machine

    def _step(self, id: str, module: str, **props: Any) -> PythonFunction:
        """A step: every one reads and changes the job's row and appends events."""
        step = PythonFunction(
            self,
            id,
            module=f"lambdas.workflow.{module}",
            layer=self._layer,
            environment={"OUTCROP_TABLE": self._storage.table.table_name},
            **{"timeout": cdk.Duration.minutes(1), **props},
        )
        self._storage.table.grant(step, *_READ_AND_CHANGE)
        return step


def _allow(function: PythonFunction, resource: str, action: str) -> None:
    function.add_to_role_policy(iam.PolicyStatement(actions=[action], resources=[resource]))

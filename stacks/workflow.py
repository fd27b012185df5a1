"""The workflow that moves a job along: its steps as functions, and the state machine that calls them."""

from collections.abc import Sequence
from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from stacks.bundle import dependency_layer
from stacks.bus import allow_telling
from stacks.constructs.container_image import ContainerImage
from stacks.constructs.python_function import PythonFunction
from stacks.constructs.sweeper import Sweeper
from stacks.constructs.training_workflow import TrainingWorkflow
from stacks.deployment import Deployment
from stacks.image_permissions import allow_building, allow_putting_away
from stacks.import_permissions import ImportRole, allow_deleting_imported, allow_importing
from stacks.permissions import allow
from stacks.s3_sources import allow_s3_sources
from stacks.serving_permissions import allow_components
from stacks.serving_settings import serving_environment
from stacks.storage import StorageStack
from stacks.training_settings import longest_training, machine_environment
from stacks.weights import WeightsStack

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
        training_image: str,
        verl_image: str,
        built_images: Sequence[ContainerImage],
        weights: WeightsStack,
        file_workflow: sfn.StateMachine,
    ) -> None:
        """`built_images`: those of the two images, if any, that this deployment builds."""
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
            storage.allow_objects(reader, "s3:GetObject", under=["projects/*"])
            reader.add_environment("OUTCROP_BUCKET", storage.bucket.bucket_name)
        for reader in (validate_files, prepare_training):
            allow_s3_sources(reader, deployment)
        storage.allow_objects(prepare_training, "s3:PutObject", under=["projects/*/config/*"])
        vpc = deployment.training_vpc
        for name, value in {
            "OUTCROP_JUDGES": deployment.judges_json,
            "OUTCROP_SANDBOX_FUNCTION": sandbox.function_arn,
            "OUTCROP_TRAINING_IMAGE": training_image,
            "OUTCROP_VERL_IMAGE": verl_image,
            "OUTCROP_MAX_CONCURRENT_JOBS": str(deployment.max_concurrent_jobs),
            "OUTCROP_WARM_POOL_SECONDS": str(deployment.warm_pool_seconds),
            "OUTCROP_SAMPLER": deployment.sampler,
            "OUTCROP_TRAINING_VPC": vpc.as_vpc_config() if vpc else "{}",
            "OUTCROP_KMS_KEY": deployment.kms_key,
        }.items():
            prepare_training.add_environment(name, value)
        for name, value in machine_environment(deployment).items():
            prepare_training.add_environment(name, value)
            classify_stop.add_environment(name, value)
        storage.allow_rows(prepare_training, "dynamodb:BatchGetItem")
        weights.allow_sync(prepare_training)
        allow_building(prepare_training, built_images)
        storage.allow_objects(register_model, "s3:PutObject", under=["projects/*/files/*"])
        of_checkpoints = ["projects/*/adapters/*", "projects/*/weights/*"]
        storage.allow_objects(register_model, "s3:DeleteObject", under=of_checkpoints)
        storage.allow_rows(register_model, "dynamodb:DeleteItem")
        for name, value in serving_environment(deployment).items():
            register_model.add_environment(name, value)
        if deployment.serving == "sagemaker":  # a model that was just made is loaded already
            allow_components(register_model, "Create", "Delete", "Describe")
        if deployment.serving == "bedrock_import":  # whose weights the trainer merges
            prepare_training.add_environment("OUTCROP_SERVING", deployment.serving)
            allow_importing(register_model, ImportRole(self, "Import", storage=storage))
        because = "a training job is named after its fine-tuning job"
        for reader in (classify_stop, register_model):
            allow(reader, "sagemaker:DescribeTrainingJob", on=[training_jobs], because=because)
        allow(finish, "sagemaker:StopTrainingJob", on=[training_jobs], because=because)

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
            longest_training=longest_training(deployment),
            is_in_vpc=vpc is not None,
        ).state_machine
        cdk.CfnOutput(self, "StateMachineArn", value=self.state_machine.state_machine_arn)
        cdk.CfnOutput(self, "PrepareTrainingFunction", value=prepare_training.function_name)

        sweep = self._step("Sweep", "sweep", timeout=cdk.Duration.minutes(10))
        sweep.add_environment("OUTCROP_SERVING", deployment.serving)
        allow_putting_away(sweep, built_images)
        if deployment.serving == "bedrock_import":
            allow_deleting_imported(sweep)
        Sweeper(
            self,
            "Sweeper",
            sweep=sweep,
            storage=storage,
            training=self.state_machine,
            files=file_workflow,
            training_jobs=training_jobs,
        )

    def _step(self, id: str, module: str, **props: Any) -> PythonFunction:
        """A step: every one reads and changes the job's row, appends events, may find the job ended."""
        step = PythonFunction(
            self,
            id,
            module=f"lambdas.workflow.{module}",
            layer=self._layer,
            environment={"OUTCROP_TABLE": self._storage.table.table_name},
            **{"timeout": cdk.Duration.minutes(1), **props},
        )
        self._storage.allow_rows(step, *_READ_AND_CHANGE)
        allow_telling(step)
        return step

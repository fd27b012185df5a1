"""What a training job may do: the role that SageMaker runs the trainer with."""

import re

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from constructs import Construct

from stacks.constructs.container_image import ContainerImage
from stacks.deployment import Deployment
from stacks.graders import allow_graders
from stacks.judges import allow_judges
from stacks.permissions import allow, allow_pulling, taken_by
from stacks.s3_sources import allow_s3_sources
from stacks.storage import StorageStack
from stacks.training_network import allow_network

_ECR_IMAGE = re.compile(r"(?P<account>\d{12})\.dkr\.ecr\.(?P<region>[\w-]+)\.amazonaws\.com/(?P<name>[^:@]+)")


class TrainingStack(cdk.Stack):
    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        deployment: Deployment,
        storage: StorageStack,
        image: ContainerImage | None,
        several: ContainerImage | None = None,
    ) -> None:
        """`image` is the training image, unless the deployment names one; `several` that for several
        machines, if jobs train on them."""
        super().__init__(scope, id, description="Outcrop: the role of training jobs")
        self.role = iam.Role(
            self,
            "Role",
            assumed_by=taken_by(self, "sagemaker.amazonaws.com"),
        )
        storage.allow_objects(self.role, "s3:GetObject", under=["models/*", "projects/*"])
        storage.allow_objects(
            self.role, "s3:PutObject", "s3:AbortMultipartUpload", under=["projects/*/jobs/*"]
        )
        storage.allow_objects(self.role, "s3:DeleteObject", under=["projects/*/checkpoints/*"])
        allow_s3_sources(self.role, deployment)
        storage.allow_rows(
            self.role, "dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:Query"
        )
        allow_graders(self.role, deployment, "lambda:InvokeFunction")
        allow_judges(self.role, deployment)
        # SageMaker fixes the name of this log group, one for all training jobs of the account.
        logs = "log-group:/aws/sagemaker/TrainingJobs"
        allow(
            self.role,
            "logs:CreateLogGroup",
            "logs:CreateLogStream",
            "logs:DescribeLogStreams",
            "logs:PutLogEvents",
            on=[self._colon_arn("logs", logs), self._colon_arn("logs", f"{logs}:*")],
            because="the streams of a log group, which SageMaker names after training jobs",
        )
        if deployment.training_vpc:
            allow_network(self.role, deployment.training_vpc)
        if deployment.kms_key:  # for the volume of a machine that has no disks of its own
            for_volumes = {"Bool": {"kms:GrantIsForAWSResource": "true"}}
            allow(self.role, "kms:CreateGrant", on=[deployment.kms_key], when=for_volumes)
        cdk.CfnOutput(self, "RoleArn", value=self.role.role_arn)
        if several:
            allow_pulling(self.role, several.repository.repository_arn)
        if image:
            allow_pulling(self.role, image.repository.repository_arn)
        elif named := _ECR_IMAGE.match(deployment.training_image):
            allow_pulling(
                self.role,
                self.format_arn(
                    service="ecr",
                    account=named["account"],
                    region=named["region"],
                    resource="repository",
                    resource_name=named["name"],
                ),
            )

    def _colon_arn(self, service: str, resource: str) -> str:
        return self.format_arn(service=service, resource=resource, arn_format=cdk.ArnFormat.NO_RESOURCE_NAME)

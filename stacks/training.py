"""What a training job may do: the role that SageMaker runs the trainer with."""

import re

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from constructs import Construct

from stacks.deployment import Deployment
from stacks.graders import allow_graders
from stacks.judges import allow_judges
from stacks.s3_sources import allow_s3_sources
from stacks.storage import StorageStack

_ECR_IMAGE = re.compile(r"(?P<account>\d{12})\.dkr\.ecr\.(?P<region>[\w-]+)\.amazonaws\.com/(?P<name>[^:@]+)")


class TrainingStack(cdk.Stack):
    def __init__(self, scope: Construct, id: str, *, deployment: Deployment, storage: StorageStack) -> None:
        super().__init__(scope, id, description="Outcrop: the role of training jobs")
        self.role = iam.Role(
            self,
            "Role",
            assumed_by=iam.ServicePrincipal("sagemaker.amazonaws.com"),  # pyright: ignore[reportArgumentType]
        )
        storage.bucket.grant_read(self.role, "models/*")
        storage.bucket.grant_read(self.role, "projects/*")
        storage.bucket.grant_put(self.role, "projects/*")
        allow_s3_sources(self.role, deployment)
        storage.bucket.grant_delete(self.role, "projects/*/checkpoints/*")
        storage.table.grant(
            self.role, "dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:Query"
        )
        allow_graders(self.role, self, "lambda:InvokeFunction")
        allow_judges(self.role, self, deployment)
        # SageMaker fixes the name of this log group, one for all training jobs of the account.
        logs = "log-group:/aws/sagemaker/TrainingJobs"
        self._allow(
            [self._colon_arn("logs", logs), self._colon_arn("logs", f"{logs}:*")],
            "logs:CreateLogGroup",
            "logs:CreateLogStream",
            "logs:DescribeLogStreams",
            "logs:PutLogEvents",
        )
        image = _ECR_IMAGE.match(deployment.training_image)
        if image:
            self._allow_pulling(image)

    def _colon_arn(self, service: str, resource: str) -> str:
        return self.format_arn(service=service, resource=resource, arn_format=cdk.ArnFormat.NO_RESOURCE_NAME)

    def _allow_pulling(self, image: re.Match[str]) -> None:
        repository = self.format_arn(
            service="ecr",
            account=image["account"],
            region=image["region"],
            resource="repository",
            resource_name=image["name"],
        )
        self._allow(["*"], "ecr:GetAuthorizationToken")  # has no resource to name
        self._allow(
            [repository],
            "ecr:BatchCheckLayerAvailability",
            "ecr:BatchGetImage",
            "ecr:GetDownloadUrlForLayer",
        )

    def _allow(self, resources: list[str], *actions: str) -> None:
        self.role.add_to_policy(iam.PolicyStatement(actions=list(actions), resources=resources))

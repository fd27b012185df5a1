"""`ContainerImage`: an image that CodeBuild makes in the account while the stack is deployed.

Its tag is the hash of what it is made from, so a deployment that changes nothing of that builds nothing, and
an image, once there, is never another. A custom resource starts the build and is answered at its end, by the
event that CodeBuild sends (lambdas/image_build): a build that fails makes the deployment fail, with the
failed command and the place of the log. Why it is our own: docs/decisions/0009.
"""

from pathlib import Path

import aws_cdk as cdk
from aws_cdk import aws_codebuild as codebuild
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3_assets as assets
from constructs import Construct

from stacks.constructs.python_function import PythonFunction
from stacks.permissions import acknowledge, allow, taken_by

_KEPT_IMAGES = 5
_OVER = ["SUCCEEDED", "FAILED", "FAULT", "TIMED_OUT", "STOPPED"]
_BUILD = (
    # The base image is in a public registry, which is busy at times.
    "for pause in 10 60 120; do docker pull --quiet \"$(sed -n 's/^FROM //p' Dockerfile)\" && break; "
    'sleep "$pause"; done',
    'docker build --tag "$REPOSITORY:$TAG" .',
    'aws ecr get-login-password | docker login --username AWS --password-stdin "${REPOSITORY%%/*}"',
    'docker push "$REPOSITORY:$TAG"',
)
_PUSH = (
    "ecr:BatchCheckLayerAvailability",
    "ecr:BatchGetImage",
    "ecr:CompleteLayerUpload",
    "ecr:InitiateLayerUpload",
    "ecr:PutImage",
    "ecr:UploadLayerPart",
)


class ContainerImage(Construct):
    """`repository` has the image under `tag`, once the stack is deployed; `project` makes it again."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        context: Path,
        layer: lambda_.ILayerVersion,
        arm: bool = False,
        keep: bool = False,
    ) -> None:
        """`context` is a folder of `stacks/build_contexts.py`. `arm`: for arm64, not x86. `keep`: the
        repository outlives the stack."""
        super().__init__(scope, id)
        stack = cdk.Stack.of(self)
        sources = assets.Asset(self, "Sources", path=str(context))
        self.tag = sources.asset_hash[:32]
        self.repository = ecr.Repository(
            self,
            "Repository",
            image_scan_on_push=True,
            image_tag_mutability=ecr.TagMutability.IMMUTABLE,
            lifecycle_rules=[ecr.LifecycleRule(max_image_count=_KEPT_IMAGES)],
            removal_policy=cdk.RemovalPolicy.RETAIN if keep else cdk.RemovalPolicy.DESTROY,
            empty_on_delete=not keep,
        )
        self.uri = self.repository.repository_uri_for_tag(self.tag)
        log_group = logs.LogGroup(
            self,
            "BuildLogs",
            retention=logs.RetentionDays.ONE_MONTH,
            removal_policy=cdk.RemovalPolicy.DESTROY,
        )
        role = iam.Role(
            self,
            "BuildRole",
            assumed_by=taken_by(self, "codebuild.amazonaws.com"),
        )
        log_group.grant_write(role)
        allow(
            role,
            "s3:GetObject",
            "s3:GetObjectVersion",
            on=[sources.bucket.arn_for_objects(sources.s3_object_key)],
        )
        allow(role, "s3:GetBucketLocation", on=[sources.bucket.bucket_arn])
        allow(role, "ecr:GetAuthorizationToken", on=["*"], because="it has no resource to name")
        allow(role, *_PUSH, on=[self.repository.repository_arn])
        self.project = codebuild.Project(
            self,
            "Project",
            description=f"Outcrop: builds the image of {self.node.path}",
            role=role.without_policy_updates(),  # it has what it needs, and by default gets much more
            source=codebuild.Source.s3(bucket=sources.bucket, path=sources.s3_object_key),
            environment=codebuild.BuildEnvironment(
                build_image=codebuild.LinuxArmBuildImage.AMAZON_LINUX_2023_STANDARD_3_0
                if arm
                else codebuild.LinuxBuildImage.AMAZON_LINUX_2023_5,
                compute_type=codebuild.ComputeType.LARGE,  # for its disk: PyTorch's image is 10 GB packed
                privileged=True,  # as docker takes it
            ),
            environment_variables={
                "REPOSITORY": codebuild.BuildEnvironmentVariable(value=self.repository.repository_uri),
                "TAG": codebuild.BuildEnvironmentVariable(value=self.tag),
            },
            build_spec=codebuild.BuildSpec.from_object(
                {"version": "0.2", "phases": {"build": {"on-failure": "ABORT", "commands": [*_BUILD]}}}
            ),
            logging=codebuild.LoggingOptions(
                cloud_watch=codebuild.CloudWatchLoggingOptions(log_group=log_group)
            ),
            grant_report_group_permissions=False,
            timeout=cdk.Duration.minutes(50),  # CloudFormation waits for an hour
            queued_timeout=cdk.Duration.minutes(8),
        )
        starter = PythonFunction(
            self,
            "Starter",
            module="lambdas.image_build.handler",
            layer=layer,
            timeout=cdk.Duration.minutes(1),
        )
        allow(starter, "codebuild:StartBuild", "codebuild:BatchGetBuilds", on=[self.project.project_arn])
        allow(starter, "ecr:DescribeImages", on=[self.repository.repository_arn])
        is_over = events.Rule(
            self,
            "BuildIsOver",
            event_pattern=events.EventPattern(
                source=["aws.codebuild"],
                detail_type=["CodeBuild Build State Change"],
                detail={"project-name": [self.project.project_name], "build-status": _OVER},
            ),
            targets=[targets.LambdaFunction(starter)],  # pyright: ignore[reportArgumentType]
        )
        acknowledge(self.repository, {"CKV_AWS_136": "an image holds no secret; ECR's own key encrypts it"})
        acknowledge(
            self.project, {"AwsSolutions-CB4": "a build leaves nothing but its image, and that in ECR"}
        )
        because = "EventBridge repeats the call for a day; a build that nobody reports ends the deployment"
        acknowledge(is_over, {"Serverless-EventBusDLQ": because})
        image = cdk.CustomResource(
            self,
            "Image",
            resource_type="Custom::ContainerImage",
            service_token=starter.function_arn,
            service_timeout=cdk.Duration.hours(1),
            properties={
                "Project": self.project.project_name,
                "Repository": self.repository.repository_name,
                "Tag": self.tag,
            },
        )
        image.node.add_dependency(role, self.project, starter.role, is_over)
        cdk.CfnOutput(stack, f"{id}Uri", value=self.uri)

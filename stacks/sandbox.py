"""The sandbox: the function that runs customers' Python graders, with no permission and no network.

Its subnets lead nowhere: there is no gateway, no endpoint, and no egress in its security group. Lambda
itself needs the rights to attach it to them; the code is denied their use, as AWS recommends
(https://docs.aws.amazon.com/lambda/latest/dg/configuration-vpc.html), so that with the role's credentials no
more can be done than to write to the function's own log. Tenants, which are projects, never share a machine.
"""

from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from stacks.bundle import dependency_layer, sandbox_bundle
from stacks.constructs.container_image import ContainerImage
from stacks.constructs.python_function import PythonFunction
from stacks.permissions import acknowledge, allow, deny

_NETWORK_INTERFACES = (
    "ec2:AssignPrivateIpAddresses",
    "ec2:CreateNetworkInterface",
    "ec2:DeleteNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets",
    "ec2:UnassignPrivateIpAddresses",
)


class SandboxStack(cdk.Stack):
    def __init__(self, scope: Construct, id: str, *, image: ContainerImage | None = None) -> None:
        """Without an `image` the function has a layer, with those of OpenAI's packages that fit into one."""
        super().__init__(scope, id, description="Outcrop: where Python graders run")
        vpc = ec2.Vpc(
            self,
            "Network",
            ip_addresses=ec2.IpAddresses.cidr("10.0.0.0/24"),
            max_azs=2,
            nat_gateways=0,
            restrict_default_security_group=False,  # nothing is in it; emptying it takes one more function
            subnet_configuration=[
                ec2.SubnetConfiguration(name="Isolated", subnet_type=ec2.SubnetType.PRIVATE_ISOLATED)
            ],
        )
        acknowledge(vpc, {"AwsSolutions-VPC7": "nothing can come in or go out, so there is no flow to log"})
        no_way_out = ec2.SecurityGroup(
            self, "NoWayOut", vpc=vpc, allow_all_outbound=False, description="Nothing in, nothing out"
        )
        self.function = PythonFunction(
            self,
            "Sandbox",
            module="lambdas.sandbox.handler",
            **(self._from_image(image) if image else self._from_source()),
            memory_size=3008,  # 2 GB for a grader, the rest for what watches it, and nearly two processors
            ephemeral_storage_size=cdk.Size.gibibytes(1),
            timeout=cdk.Duration.minutes(5),
            tenancy_config=lambda_.TenancyConfig.PER_TENANT,
            vpc=vpc,
            vpc_subnets=ec2.SubnetSelection(subnet_type=ec2.SubnetType.PRIVATE_ISOLATED),
            security_groups=[no_way_out],
        )
        cdk.CfnOutput(self, "FunctionArn", value=self.function.function_arn)
        because = "most of them have no resource to name; what runs in the function is denied them"
        allow(self.function, *_NETWORK_INTERFACES, on=["*"], because=because)
        if self.function.role:
            policy = self.function.role.node.find_child("DefaultPolicy")
            acknowledge(policy, {"CKV_AWS_111": because})
        # Lambda's own calls come from no function.
        by_its_code = {"ArnLike": {"lambda:SourceFunctionArn": self._any_function()}}
        deny(self.function, *_NETWORK_INTERFACES, on=["*"], when=by_its_code)

    def _from_source(self) -> dict[str, Any]:
        return {
            "code": lambda_.Code.from_asset(sandbox_bundle()),
            "layer": dependency_layer(self, "sandbox"),
        }

    def _from_image(self, image: ContainerImage) -> dict[str, Any]:
        return {
            "code": lambda_.Code.from_ecr_image(image.repository, tag_or_digest=image.tag),
            "handler": lambda_.Handler.FROM_IMAGE,
            "runtime": lambda_.Runtime.FROM_IMAGE,
        }

    def _any_function(self) -> str:
        # By the stack's name: with the function's own, the two would wait for each other.
        return self.format_arn(
            service="lambda",
            resource=f"function:{self.stack_name}-*",
            arn_format=cdk.ArnFormat.NO_RESOURCE_NAME,
        )

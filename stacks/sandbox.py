"""The sandbox: the function that runs customers' Python graders, with no permission and no network.

Its subnets lead nowhere: there is no gateway, no endpoint, and no egress in its security group. Lambda
itself needs the rights to attach it to them; the code is denied their use, as AWS recommends
(https://docs.aws.amazon.com/lambda/latest/dg/configuration-vpc.html), so that with the role's credentials no
more can be done than to write to the function's own log. Tenants, which are projects, never share a machine.
"""

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from stacks.bundle import dependency_layer, sandbox_bundle
from stacks.constructs.python_function import PythonFunction

_NETWORK_INTERFACES = (
    "ec2:AssignPrivateIpAddresses",
    "ec2:CreateNetworkInterface",
    "ec2:DeleteNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets",
    "ec2:UnassignPrivateIpAddresses",
)


class SandboxStack(cdk.Stack):
    def __init__(self, scope: Construct, id: str) -> None:
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
        no_way_out = ec2.SecurityGroup(
            self, "NoWayOut", vpc=vpc, allow_all_outbound=False, description="Nothing in, nothing out"
        )
        self.function = PythonFunction(
            self,
            "Sandbox",
            module="lambdas.sandbox.handler",
            code=lambda_.Code.from_asset(sandbox_bundle()),
            layer=dependency_layer(self, "sandbox"),
            memory_size=3008,  # 2 GB for a grader, the rest for what watches it, and nearly two processors
            ephemeral_storage_size=cdk.Size.gibibytes(1),
            timeout=cdk.Duration.minutes(5),
            tenancy_config=lambda_.TenancyConfig.PER_TENANT,
            vpc=vpc,
            vpc_subnets=ec2.SubnetSelection(subnet_type=ec2.SubnetType.PRIVATE_ISOLATED),
            security_groups=[no_way_out],
        )
        self.function.add_to_role_policy(
            iam.PolicyStatement(actions=[*_NETWORK_INTERFACES], resources=["*"])  # most have none to name
        )
        self.function.add_to_role_policy(
            iam.PolicyStatement(
                effect=iam.Effect.DENY,
                actions=[*_NETWORK_INTERFACES],
                resources=["*"],
                # Lambda's own calls come from no function.
                conditions={"ArnLike": {"lambda:SourceFunctionArn": self._any_function()}},
            )
        )

    def _any_function(self) -> str:
        # By the stack's name: with the function's own, the two would wait for each other.
        return self.format_arn(
            service="lambda",
            resource=f"function:{self.stack_name}-*",
            arn_format=cdk.ArnFormat.NO_RESOURCE_NAME,
        )

"""What a training role needs to run its jobs in a network of one's own (the setting `training_vpc`)."""

import aws_cdk as cdk
from aws_cdk import aws_iam as iam

from stacks.permissions import allow
from stacks.training_settings import TrainingVpc

_LOOK = (
    "ec2:DescribeDhcpOptions",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSecurityGroups",
    "ec2:DescribeSubnets",
    "ec2:DescribeVpcs",
)


def allow_network(role: iam.Role, vpc: TrainingVpc) -> None:
    """SageMaker makes a network interface in the job's subnets by the job's role, and hands it to itself."""
    stack = cdk.Stack.of(role)

    def arns(resource: str, *ids: str) -> list[str]:
        return [stack.format_arn(service="ec2", resource=resource, resource_name=id) for id in ids]

    interfaces = arns("network-interface", "*")
    in_vpc = {"ArnEquals": {"ec2:Vpc": arns("vpc", vpc.vpc_id)[0]}}
    at_run_time = "interfaces are made at run time; the condition keeps them to the VPC"
    places = [*arns("subnet", *vpc.subnet_ids), *arns("security-group", *vpc.security_group_ids)]
    allow(role, "ec2:CreateNetworkInterface", on=places)
    allow(
        role,
        "ec2:CreateNetworkInterface",
        on=interfaces,
        because="an interface that is being made has no id yet; its subnet and groups are named beside it",
    )
    allow(
        role,
        "ec2:CreateNetworkInterfacePermission",
        "ec2:DeleteNetworkInterface",
        "ec2:DeleteNetworkInterfacePermission",
        on=interfaces,
        when=in_vpc,
        because=at_run_time,
    )
    allow(role, *_LOOK, on=["*"], because="EC2's Describe actions know no resource")

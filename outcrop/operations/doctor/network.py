"""Networks: the subnets of training jobs lead to what these need, those of the sandbox lead nowhere."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from outcrop.operations.doctor.patient import Finding, Patient
from outcrop.stores import lookups
from outcrop.stores.deployed import SANDBOXES

_GATEWAYS = ("s3", "dynamodb")
_INTERFACES = ("lambda", "logs")


def training_vpc(patient: Patient) -> Iterator[Finding]:
    config: dict[str, list[str]] = json.loads(patient.settings.training_vpc or "{}")
    if not config:
        return
    subnets = _found("describe_subnets", "Subnets", "SubnetId", SubnetIds=config["Subnets"])
    for subnet in config["Subnets"]:
        if subnet not in subnets:
            yield Finding(
                f"The subnet {subnet} of training_vpc is not there.",
                "Name one that is, in the setting training_vpc, and deploy.",
            )
    groups = _found(
        "describe_security_groups", "SecurityGroups", "GroupId", GroupIds=config["SecurityGroupIds"]
    )
    for group in config["SecurityGroupIds"]:
        if group not in groups:
            yield Finding(
                f"The security group {group} of training_vpc is not there.",
                "Name one that is, in the setting training_vpc, and deploy.",
            )
        elif not groups[group].get("IpPermissionsEgress"):
            yield Finding(
                f"The security group {group} of training_vpc lets nothing out.",
                f"aws ec2 authorize-security-group-egress --group-id {group} --protocol tcp --port 443 "
                "--cidr 0.0.0.0/0",
            )
    vpcs = {subnet["VpcId"] for subnet in subnets.values()}
    vpcs |= {group["VpcId"] for group in groups.values()}
    if len(vpcs) > 1:
        yield Finding(
            "The subnets and security groups of training_vpc are in different VPCs: "
            f"{', '.join(sorted(vpcs))}.",
            "Name those of one, in the setting training_vpc, and deploy.",
        )
    for vpc in vpcs:
        yield from _ways_out(patient, vpc, [one for one in subnets if subnets[one]["VpcId"] == vpc])


def _ways_out(patient: Patient, vpc: str, subnets: list[str]) -> Iterator[Finding]:
    """A machine of SageMaker has no public address: it gets out by NAT, or by endpoints."""
    tables = _route_tables(vpc)
    endpoints = [*lookups.every("ec2", "describe_vpc_endpoints", "VpcEndpoints", Filters=[_in(vpc)])]
    for subnet in subnets:
        table = tables.get(subnet) or tables.get("main")
        routes = table["Routes"] if table else []
        if any(route.get("DestinationCidrBlock") == "0.0.0.0/0" and _is_nat(route) for route in routes):
            continue
        missing = [one for one in (*_GATEWAYS, *_INTERFACES) if not _reaches(one, endpoints, table, subnet)]
        if missing:
            yield Finding(
                f"From the subnet {subnet} of training_vpc there is no way to {', '.join(missing)}: training "
                "jobs cannot start.",
                "Give its route table gateway endpoints for S3 and DynamoDB (they cost nothing) and the "
                "subnet interface endpoints for the rest, or a NAT gateway.",
            )


def sandbox(patient: Patient) -> Iterator[Finding]:
    for stack in SANDBOXES:
        function = patient.function(stack, "Sandbox")
        if function:
            yield from _sandbox(stack, function)


def _sandbox(stack: str, function: Mapping[str, Any]) -> Iterator[Finding]:
    name = function["FunctionName"]
    again = (
        f"Delete the stack {stack} and those that import from it, and deploy again: make deploy ARGS=--all"
    )
    if function.get("TenancyConfig", {}).get("TenantIsolationMode") != "PER_TENANT":
        yield Finding(
            f"The sandbox {name} does not keep tenants apart: graders of two projects may share a machine.",
            f"Tenancy is set when a function is made. {again}",
        )
    network = function.get("VpcConfig", {})
    if not network.get("SubnetIds"):
        yield Finding(
            f"The sandbox {name} is in no VPC: a grader's Python code reaches the internet.",
            again,
        )
        return
    groups = _found(
        "describe_security_groups", "SecurityGroups", "GroupId", GroupIds=network["SecurityGroupIds"]
    )
    for id, group in groups.items():
        if any(_leads_anywhere(rule) for rule in group.get("IpPermissionsEgress", [])):
            yield Finding(
                f"The security group {id} of the sandbox lets something out.",
                "Remove its outbound rules; CloudFormation made it without any.",
            )
    tables = _route_tables(network["VpcId"])
    for subnet in network["SubnetIds"]:
        table = tables.get(subnet) or tables.get("main") or {"Routes": []}
        ways = [route for route in table["Routes"] if route.get("GatewayId") != "local"]
        if ways:
            yield Finding(
                f"The subnet {subnet} of the sandbox has a route out of its network.",
                "Remove every route of its route table but the local one.",
            )


def _found(operation: str, field: str, key: str, **ids: list[str]) -> dict[str, dict[str, Any]]:
    """By id. Asked by a filter, since a call that names one that is gone fails as a whole."""
    ((_, values),) = ids.items()
    name = {"SubnetId": "subnet-id", "GroupId": "group-id"}[key]
    found = lookups.every("ec2", operation, field, Filters=[{"Name": name, "Values": values}])
    return {one[key]: one for one in found}


def _route_tables(vpc: str) -> dict[str, dict[str, Any]]:
    """By subnet; that of all others as `main`."""
    tables: dict[str, dict[str, Any]] = {}
    for table in lookups.every("ec2", "describe_route_tables", "RouteTables", Filters=[_in(vpc)]):
        for association in table["Associations"]:
            tables["main" if association.get("Main") else association.get("SubnetId", "")] = table
    return tables


def _reaches(
    service: str, endpoints: list[dict[str, Any]], table: dict[str, Any] | None, subnet: str
) -> bool:
    for endpoint in endpoints:
        if not endpoint["ServiceName"].endswith(f".{service}") or endpoint["State"] != "available":
            continue
        if endpoint["VpcEndpointType"] == "Gateway":
            if table and table["RouteTableId"] in endpoint.get("RouteTableIds", []):
                return True
        elif endpoint.get("SubnetIds"):
            return True  # an interface answers in the whole VPC
    return False


def _is_nat(route: Mapping[str, Any]) -> bool:
    """Whatever takes a machine without a public address out: NAT, a transit gateway, an appliance."""
    is_internet_gateway = str(route.get("GatewayId", "")).startswith("igw-")
    return route.get("State") == "active" and not is_internet_gateway


def _leads_anywhere(rule: Mapping[str, Any]) -> bool:
    """The CDK closes a group by a rule for an address that is none."""
    ranges = [one["CidrIp"] for one in rule.get("IpRanges", [])]
    return any(one != "255.255.255.255/32" for one in ranges) or bool(rule.get("Ipv6Ranges"))


def _in(vpc: str) -> dict[str, Any]:
    return {"Name": "vpc-id", "Values": [vpc]}

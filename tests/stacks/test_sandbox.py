"""Where Python graders run: nothing that leads out, nothing that is allowed, no two tenants in one place."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from stacks import bundle
from tests.stacks.conftest import Templates


def of_type(templates: Templates, type: str) -> list[dict[str, Any]]:
    resources = templates["OutcropSandbox"]["Resources"].values()
    return [one["Properties"] for one in resources if one["Type"] == type]


def test_there_is_no_way_out_of_the_network(templates: Templates) -> None:
    types = {one["Type"] for one in templates["OutcropSandbox"]["Resources"].values()}
    [group] = of_type(templates, "AWS::EC2::SecurityGroup")
    subnets = of_type(templates, "AWS::EC2::Subnet")

    assert {name for name in types if name.startswith("AWS::EC2::")} == {
        "AWS::EC2::RouteTable",
        "AWS::EC2::SecurityGroup",
        "AWS::EC2::Subnet",
        "AWS::EC2::SubnetRouteTableAssociation",
        "AWS::EC2::VPC",
    }  # no gateway, no endpoint, no route
    assert "SecurityGroupIngress" not in group
    [egress] = group["SecurityGroupEgress"]  # without one, AWS allows all
    assert (egress["CidrIp"], egress["IpProtocol"]) == ("255.255.255.255/32", "icmp")
    assert not any(subnet["MapPublicIpOnLaunch"] for subnet in subnets)


def test_the_function_is_in_that_network_and_keeps_tenants_apart(templates: Templates) -> None:
    [function] = of_type(templates, "AWS::Lambda::Function")

    assert function["TenancyConfig"] == {"TenantIsolationMode": "PER_TENANT"}
    assert len(function["VpcConfig"]["SubnetIds"]) == 2
    assert len(function["VpcConfig"]["SecurityGroupIds"]) == 1
    assert (function["MemorySize"], function["EphemeralStorage"]["Size"], function["Timeout"]) == (
        3008,
        1024,
        300,
    )
    assert "Environment" not in function


def test_its_code_can_use_nothing_of_what_lambda_needs(templates: Templates) -> None:
    [policy] = of_type(templates, "AWS::IAM::Policy")
    log, interfaces, denied = policy["PolicyDocument"]["Statement"]

    assert log["Action"] == ["logs:CreateLogStream", "logs:PutLogEvents"]
    assert denied["Effect"] == "Deny"
    assert denied["Action"] == interfaces["Action"]
    assert ":function:OutcropSandbox-*" in json.dumps(
        denied["Condition"]["ArnLike"]["lambda:SourceFunctionArn"]
    )


def test_who_calls_it_knows_its_arn(templates: Templates) -> None:
    for stack, function in (("OutcropApi", "Api"), ("OutcropWorkflow", "PrepareTraining")):
        environments = [
            one["Properties"].get("Environment", {}).get("Variables", {})
            for id, one in templates[stack]["Resources"].items()
            if one["Type"] == "AWS::Lambda::Function" and id.startswith(function)
        ]
        assert ["OUTCROP_SANDBOX_FUNCTION" in one for one in environments] == [True]


def test_its_asset_is_its_folder_alone_and_imports_nothing_else() -> None:
    folder = Path(bundle.sandbox_bundle())

    assert {path.relative_to(folder).parts[:2] for path in folder.rglob("*.py")} == {("lambdas", "sandbox")}
    done = subprocess.run(
        [
            sys.executable,
            "-I",
            "-c",
            f"import sys; sys.path[:0] = [{str(folder)!r}]; import lambdas.sandbox.handler",
        ],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr

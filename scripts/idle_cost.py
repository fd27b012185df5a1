"""What a deployment costs that nobody uses: each resource by its type, and what is called by the clock.

A type that this table does not know has no price: `idle` raises, so that a new resource is thought about.
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from outcrop import prices
from scripts.synthesis import Templates

_FREE = "nothing while it is not used"
_RULES = "no charge"
_BY_TYPE: dict[str, str] = {
    "AWS::ApiGateway::Account": _RULES,
    "AWS::ApiGateway::Authorizer": _RULES,
    "AWS::ApiGateway::BasePathMapping": _RULES,
    "AWS::ApiGateway::Deployment": _RULES,
    "AWS::ApiGateway::DomainName": _RULES,
    "AWS::ApiGateway::GatewayResponse": _RULES,
    "AWS::ApiGateway::Method": _RULES,
    "AWS::ApiGateway::Resource": _RULES,
    "AWS::ApiGateway::RestApi": _FREE,
    "AWS::ApiGateway::Stage": "nothing without a cache",
    "AWS::CloudWatch::Alarm": "a metric of an alarm",
    "AWS::CloudWatch::Dashboard": "nothing for the first three of an account",
    "AWS::CodeBuild::Project": _FREE,
    "AWS::DynamoDB::Table": "on demand: nothing but storage",
    "AWS::EC2::RouteTable": _RULES,
    "AWS::EC2::SecurityGroup": _RULES,
    "AWS::EC2::Subnet": _RULES,
    "AWS::EC2::SubnetRouteTableAssociation": _RULES,
    "AWS::EC2::VPC": "nothing: no NAT gateway, no endpoint, no public address",
    "AWS::ECR::Repository": "nothing but storage",
    "AWS::Events::Rule": "nothing; what it calls by the clock is counted below",
    "AWS::IAM::ManagedPolicy": _RULES,
    "AWS::IAM::Policy": _RULES,
    "AWS::IAM::Role": _RULES,
    "AWS::Lambda::Function": _FREE,
    "AWS::Lambda::LayerVersion": _RULES,
    "AWS::Lambda::Permission": _RULES,
    "AWS::Logs::LogGroup": "nothing but storage",
    "AWS::Logs::MetricFilter": "nothing until it counts something",
    "AWS::Route53::RecordSet": _RULES,
    "AWS::S3::Bucket": "nothing but storage",
    "AWS::S3::BucketPolicy": _RULES,
    "AWS::SNS::Subscription": _RULES,
    "AWS::SNS::Topic": _FREE,
    "AWS::SNS::TopicPolicy": _RULES,
    "AWS::StepFunctions::StateMachine": _FREE,
    "AWS::WAFv2::LoggingConfiguration": _RULES,
    "AWS::WAFv2::WebACL": "the web ACL and its rules",
    "AWS::WAFv2::WebACLAssociation": _RULES,
    "Custom::ContainerImage": "works during a deployment",
    "Custom::S3AutoDeleteObjects": "works when the stack is deleted",
}
_UNITS = {"minute": 1, "hour": 60, "day": 1440}
_MINUTES_A_MONTH = 43_800
IMAGE_GB = 13
"""About what the training image takes in ECR, most of it AWS's PyTorch container, the rest vLLM."""
_CALL_SECONDS = 2
"""That a function takes which finds nothing to do: most of it a cold start."""


@dataclass(frozen=True)
class Line:
    what: str
    count: int
    why: str
    usd: float
    """A month, for all of them."""


def idle(templates: Templates) -> list[Line]:
    """Raises: KeyError for a type of resource whose idle price is not known."""
    resources = [one for template in templates.values() for one in template["Resources"].values()]
    counts = Counter(one["Type"] for one in resources)
    usd = dict.fromkeys(counts, 0.0)
    for one in resources:
        usd[one["Type"]] += _usd(one)
    return [
        *(Line(type, count, _BY_TYPE[type], usd[type]) for type, count in sorted(counts.items())),
        *_by_the_clock(templates),
    ]


def total(lines: list[Line]) -> float:
    return sum(line.usd for line in lines)


def image() -> float:
    """A month, for the training image in ECR, where the deployment has built one."""
    return IMAGE_GB * prices.service("ecr_gb_month")


def _usd(resource: dict[str, Any]) -> float:
    properties = resource.get("Properties", {})
    if resource["Type"] == "AWS::CloudWatch::Alarm":
        metrics = [one for one in properties.get("Metrics", ()) if "MetricStat" in one]
        return max(1, len(metrics)) * prices.service("alarm_metric_month")
    if resource["Type"] == "AWS::WAFv2::WebACL":
        rules = len(properties.get("Rules", ()))
        return prices.service("waf_acl_month") + rules * prices.service("waf_rule_month")
    return 0.0


def _by_the_clock(templates: Templates) -> Iterator[Line]:
    """Functions that a schedule calls, whether there is work or not."""
    for template in templates.values():
        resources = template["Resources"]
        for rule in resources.values():
            schedule = rule.get("Properties", {}).get("ScheduleExpression")
            if not schedule:
                continue
            every = re.fullmatch(r"rate\((\d+) (minute|hour|day)s?\)", schedule)
            if every is None:
                raise KeyError(schedule)
            calls = round(_MINUTES_A_MONTH / (int(every[1]) * _UNITS[every[2]]))
            for target in rule["Properties"]["Targets"]:
                id, _ = target["Arn"]["Fn::GetAtt"]
                gigabytes = resources[id]["Properties"]["MemorySize"] / 1024
                each = prices.service("lambda_request") + gigabytes * _CALL_SECONDS * prices.service(
                    "lambda_arm_gb_second"
                )
                name = re.sub(r"[0-9A-F]{8}$", "", id)
                yield Line(f"{name}, {schedule}", calls, f"{_CALL_SECONDS} s a call", calls * each)

"""`Firewall`: a web ACL before the API's stages, for those who want one.

Prompts, rows and completions are text about anything, an exploit's too, so what looks for attacks in a body
only counts them; addresses of bad repute, hostile URLs and headers, and floods are refused.
https://docs.aws.amazon.com/waf/latest/developerguide/aws-managed-rule-groups-baseline.html
"""

import aws_cdk as cdk
from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_logs as logs
from aws_cdk import aws_wafv2 as waf
from constructs import Construct

from stacks.gateway_errors import GATEWAY_ERRORS

_MANAGED_RULES = {
    "AWSManagedRulesAmazonIpReputationList": (),
    "AWSManagedRulesKnownBadInputsRuleSet": ("JavaDeserializationRCE_BODY", "Log4JRCE_BODY"),
    "AWSManagedRulesCommonRuleSet": (
        "SizeRestrictions_BODY",
        "EC2MetaDataSSRF_BODY",
        "GenericLFI_BODY",
        "GenericRFI_BODY",
        "CrossSiteScripting_BODY",
    ),
}
"""Each with its rules that only count."""
_REQUESTS_PER_FIVE_MINUTES = 30_000
"""Of one address, behind which may be an office: 100 a second."""
_THROTTLED = GATEWAY_ERRORS["THROTTLED"]


class Firewall(Construct):
    def __init__(self, scope: Construct, id: str, *, stages: list[apigateway.Stage]) -> None:
        super().__init__(scope, id)
        acl = waf.CfnWebACL(
            self,
            "WebAcl",
            scope="REGIONAL",
            default_action=waf.CfnWebACL.DefaultActionProperty(allow={}),
            visibility_config=_visible("Requests"),
            rules=[
                _at_most(priority=0),
                *(
                    _managed(name, counting, priority)
                    for priority, (name, counting) in enumerate(_MANAGED_RULES.items(), start=1)
                ),
            ],
            custom_response_bodies={
                "TooMany": waf.CfnWebACL.CustomResponseBodyProperty(
                    content=_THROTTLED.template(), content_type="APPLICATION_JSON"
                )
            },
        )
        for number, stage in enumerate(stages, start=1):
            waf.CfnWebACLAssociation(
                self, f"Stage{number}", resource_arn=stage.stage_arn, web_acl_arn=acl.attr_arn
            )
        log_group = logs.LogGroup(
            self,
            "Logs",
            # WAF writes to no log group that is called otherwise.
            log_group_name=f"aws-waf-logs-{cdk.Stack.of(self).stack_name}",
            removal_policy=cdk.RemovalPolicy.DESTROY,
        )
        waf.CfnLoggingConfiguration(
            self,
            "Logging",
            resource_arn=acl.attr_arn,
            log_destination_configs=[
                cdk.Stack.of(self).format_arn(
                    service="logs",
                    resource="log-group",
                    resource_name=log_group.log_group_name,
                    arn_format=cdk.ArnFormat.COLON_RESOURCE_NAME,
                )
            ],
            redacted_fields=[
                waf.CfnLoggingConfiguration.FieldToMatchProperty(single_header={"Name": "authorization"})
            ],
        )


def _at_most(priority: int) -> waf.CfnWebACL.RuleProperty:
    return waf.CfnWebACL.RuleProperty(
        name="RequestsOfAnAddress",
        priority=priority,
        statement=waf.CfnWebACL.StatementProperty(
            rate_based_statement=waf.CfnWebACL.RateBasedStatementProperty(
                limit=_REQUESTS_PER_FIVE_MINUTES, aggregate_key_type="IP", evaluation_window_sec=300
            )
        ),
        action=waf.CfnWebACL.RuleActionProperty(
            block=waf.CfnWebACL.BlockActionProperty(
                custom_response=waf.CfnWebACL.CustomResponseProperty(
                    response_code=429,
                    custom_response_body_key="TooMany",
                    response_headers=[
                        waf.CfnWebACL.CustomHTTPHeaderProperty(name=name, value=value)
                        for name, value in _THROTTLED.headers.items()
                    ],
                )
            )
        ),
        visibility_config=_visible("RequestsOfAnAddress"),
    )


def _managed(name: str, counting: tuple[str, ...], priority: int) -> waf.CfnWebACL.RuleProperty:
    count = waf.CfnWebACL.RuleActionProperty(count={})
    return waf.CfnWebACL.RuleProperty(
        name=name,
        priority=priority,
        statement=waf.CfnWebACL.StatementProperty(
            managed_rule_group_statement=waf.CfnWebACL.ManagedRuleGroupStatementProperty(
                vendor_name="AWS",
                name=name,
                rule_action_overrides=[
                    waf.CfnWebACL.RuleActionOverrideProperty(name=rule, action_to_use=count)
                    for rule in counting
                ],
            )
        ),
        override_action=waf.CfnWebACL.OverrideActionProperty(none={}),
        visibility_config=_visible(name),
    )


def _visible(metric: str) -> waf.CfnWebACL.VisibilityConfigProperty:
    return waf.CfnWebACL.VisibilityConfigProperty(
        cloud_watch_metrics_enabled=True, metric_name=metric, sampled_requests_enabled=False
    )

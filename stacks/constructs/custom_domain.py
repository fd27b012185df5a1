"""`CustomApiDomain`: a name of the user's own for the API. Below it `/v1` and `/openai/v1` answer."""

from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_certificatemanager as acm
from aws_cdk import aws_route53 as route53
from constructs import Construct

from stacks.access_settings import CustomDomain


class CustomApiDomain(Construct):
    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        setting: CustomDomain,
        stages: dict[str, apigateway.IStage],
        api: apigateway.RestApi,
    ) -> None:
        """`stages` are the API's, each by the base path that leads to it."""
        super().__init__(scope, id)
        domain = apigateway.DomainName(
            self,
            "Name",
            domain_name=setting.name,
            certificate=acm.Certificate.from_certificate_arn(self, "Certificate", setting.certificate_arn),
            endpoint_type=apigateway.EndpointType.REGIONAL,
            security_policy=apigateway.SecurityPolicy.TLS_1_2,
        )
        for base_path, stage in stages.items():
            apigateway.BasePathMapping(
                self,
                f"{base_path.title()}Path",
                domain_name=domain,  # pyright: ignore[reportArgumentType]
                rest_api=api,  # pyright: ignore[reportArgumentType]
                base_path=base_path,
                stage=stage,  # pyright: ignore[reportArgumentType]
            )
        if setting.hosted_zone_id:
            route53.CfnRecordSet(
                self,
                "Record",
                name=setting.name,
                type="A",
                hosted_zone_id=setting.hosted_zone_id,
                alias_target=route53.CfnRecordSet.AliasTargetProperty(
                    dns_name=domain.domain_name_alias_domain_name,
                    hosted_zone_id=domain.domain_name_alias_hosted_zone_id,
                ),
            )

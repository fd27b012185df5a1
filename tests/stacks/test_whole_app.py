"""Settings that change every stack, and those of the API's front."""

import json
from typing import Any

import pytest

from scripts.synthesis import Templates, reading, templates
from tests.stacks.guarded import BOUNDARY, GUARDED, KEY


@pytest.fixture(scope="module")
def guarded() -> Templates:
    return templates(**GUARDED)


def all_of(of: Templates, type: str) -> list[dict[str, Any]]:
    return [one["Properties"] for template in of.values() for one in reading(template, type).values()]


def test_every_role_has_the_boundary(guarded: Templates) -> None:
    roles = all_of(guarded, "AWS::IAM::Role")

    assert {json.dumps(role.get("PermissionsBoundary")) for role in roles} == {json.dumps(BOUNDARY)}


def test_everything_has_the_tags(guarded: Templates) -> None:
    for type in ("AWS::Lambda::Function", "AWS::S3::Bucket", "AWS::DynamoDB::Table", "AWS::IAM::Role"):
        for properties in all_of(guarded, type):
            assert {"Key": "team", "Value": "research"} in properties["Tags"]


def test_every_log_group_forgets_after_so_many_days(guarded: Templates) -> None:
    assert {group["RetentionInDays"] for group in all_of(guarded, "AWS::Logs::LogGroup")} == {7}


def test_every_function_has_a_log_group_that_the_stack_declares(guarded: Templates) -> None:
    functions = all_of(guarded, "AWS::Lambda::Function")

    assert functions
    for function in functions:
        assert "Ref" in function["LoggingConfig"]["LogGroup"]


def test_table_and_bucket_are_encrypted_with_the_key(guarded: Templates) -> None:
    (table,) = all_of(guarded, "AWS::DynamoDB::Table")
    (bucket,) = all_of(guarded, "AWS::S3::Bucket")

    assert table["SSESpecification"] == {"KMSMasterKeyId": KEY, "SSEEnabled": True, "SSEType": "KMS"}
    (rule,) = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert rule["BucketKeyEnabled"] is True
    assert rule["ServerSideEncryptionByDefault"] == {"KMSMasterKeyID": KEY, "SSEAlgorithm": "aws:kms"}


def test_whoever_uses_table_or_bucket_may_use_the_key_through_them_alone(guarded: Templates) -> None:
    policies = all_of(guarded, "AWS::IAM::Policy")
    for policy in policies:
        document = policy["PolicyDocument"]["Statement"]
        with_key = [one for one in document if one["Resource"] == KEY]
        uses_storage = "dynamodb:" in json.dumps(document) or "ExportsOutputFnGetAttBucket" in json.dumps(
            document
        )
        assert bool(with_key) == uses_storage
        for one in with_key:
            if "kms:Decrypt" in one["Action"]:
                assert "kms:ViaService" in one["Condition"]["StringEquals"]


def test_the_bucket_takes_tls_alone(guarded: Templates) -> None:
    (policy,) = all_of(guarded, "AWS::S3::BucketPolicy")

    conditions = [
        one["Condition"] for one in policy["PolicyDocument"]["Statement"] if one["Effect"] == "Deny"
    ]
    assert {"Bool": {"aws:SecureTransport": "false"}} in conditions
    assert {"NumericLessThan": {"s3:TlsVersion": 1.2}} in conditions


def test_a_name_of_ones_own_leads_to_both_stages_over_tls_1_2(guarded: Templates) -> None:
    api = guarded["OutcropApi"]
    (domain,) = reading(api, "AWS::ApiGateway::DomainName").values()
    mappings = reading(api, "AWS::ApiGateway::BasePathMapping").values()
    stages = {
        id: one["Properties"]["StageName"] for id, one in reading(api, "AWS::ApiGateway::Stage").items()
    }
    (record,) = reading(api, "AWS::Route53::RecordSet").values()

    assert domain["Properties"]["EndpointConfiguration"] == {"Types": ["REGIONAL"]}
    assert domain["Properties"]["SecurityPolicy"] == "TLS_1_2"
    leads = {one["Properties"]["BasePath"]: stages[one["Properties"]["Stage"]["Ref"]] for one in mappings}
    assert leads == {"v1": "v1", "openai": "openai"}
    assert record["Properties"]["Name"] == "rft.example.com"
    assert api["Outputs"]["BaseUrl"]["Value"] == "https://rft.example.com/v1"


def test_the_firewall_stands_before_both_stages_and_leaves_bodies_alone(guarded: Templates) -> None:
    api = guarded["OutcropApi"]
    (acl,) = reading(api, "AWS::WAFv2::WebACL").values()
    (logging,) = reading(api, "AWS::WAFv2::LoggingConfiguration").values()

    assert len(reading(api, "AWS::WAFv2::WebACLAssociation")) == 2
    groups = [
        one["Statement"]["ManagedRuleGroupStatement"]
        for one in acl["Properties"]["Rules"]
        if "ManagedRuleGroupStatement" in one["Statement"]
    ]
    counted = [rule for group in groups for rule in group.get("RuleActionOverrides", ())]
    assert {rule["Name"] for rule in counted} >= {"SizeRestrictions_BODY", "Log4JRCE_BODY"}
    assert all(rule["ActionToUse"] == {"Count": {}} for rule in counted)
    assert all(rule["Name"].endswith("_BODY") for rule in counted)
    assert {"SingleHeader": {"Name": "authorization"}} in logging["Properties"]["RedactedFields"]


def test_without_the_settings_there_is_neither_domain_nor_firewall_nor_boundary(templates: Templates) -> None:
    types = {one["Type"] for template in templates.values() for one in template["Resources"].values()}

    assert not {"AWS::ApiGateway::DomainName", "AWS::WAFv2::WebACL"} & types
    assert all("PermissionsBoundary" not in role for role in all_of(templates, "AWS::IAM::Role"))

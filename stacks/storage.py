"""The bucket and the table: all the state there is, which stays when the stack is deleted."""

from collections.abc import Collection, Mapping
from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from constructs import Construct

from outcrop import s3_keys
from stacks.deployment import Deployment
from stacks.permissions import Grantee, acknowledge, allow

# What DynamoDB and S3 ask of a caller whose data a KMS key encrypts.
# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/encryption.usagenotes.html
_KEY_ACTIONS = (
    "kms:Decrypt",
    "kms:DescribeKey",
    "kms:Encrypt",
    "kms:GenerateDataKey",
    "kms:ReEncryptFrom",
    "kms:ReEncryptTo",
)


class StorageStack(cdk.Stack):
    """What lies in them, and under which keys, is in docs/architecture.md.

    The bucket keeps no old versions: every object is written once, under an id of its own, and what a user
    deletes has to be gone. The table can be put back to any second of the last 35 days.
    """

    def __init__(self, scope: Construct, id: str, *, deployment: Deployment) -> None:
        super().__init__(scope, id, description="Outcrop: table and bucket, retained on deletion")
        removal_policy = cdk.RemovalPolicy.DESTROY if deployment.dev else cdk.RemovalPolicy.RETAIN
        self._key = kms.Key.from_key_arn(self, "Key", deployment.kms_key) if deployment.kms_key else None
        self.table = dynamodb.Table(
            self,
            "Table",
            partition_key=dynamodb.Attribute(name="pk", type=dynamodb.AttributeType.STRING),
            sort_key=dynamodb.Attribute(name="sk", type=dynamodb.AttributeType.STRING),
            time_to_live_attribute="ttl",
            billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
            encryption=dynamodb.TableEncryption.CUSTOMER_MANAGED if self._key else None,
            encryption_key=self._key,
            point_in_time_recovery_specification=dynamodb.PointInTimeRecoverySpecification(
                point_in_time_recovery_enabled=True
            ),
            removal_policy=removal_policy,
        )
        self.bucket = s3.Bucket(
            self,
            "Bucket",
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            encryption=s3.BucketEncryption.KMS if self._key else s3.BucketEncryption.S3_MANAGED,
            encryption_key=self._key,
            bucket_key_enabled=True if self._key else None,
            enforce_ssl=True,
            minimum_tls_version=1.2,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            lifecycle_rules=[
                s3.LifecycleRule(abort_incomplete_multipart_upload_after=cdk.Duration.days(2)),
                *(_expiry(days) for days in range(1, s3_keys.MAX_EXPIRY_DAYS + 1)),
            ],
            auto_delete_objects=deployment.dev or None,
            removal_policy=removal_policy,
        )
        acknowledge(
            self.bucket,
            {
                "AwsSolutions-S1": "who read what is in CloudTrail's data events, for those who record them",
                "CKV_AWS_18": "who read what is in CloudTrail's data events, for those who record them",
                "CKV_AWS_21": "every object is written once, and what a user deletes has to be gone",
            },
        )
        acknowledge(self.table, {"CKV_AWS_119": "AWS's key encrypts it; the setting kms_key, one's own"})
        cdk.CfnOutput(self, "TableName", value=self.table.table_name)
        cdk.CfnOutput(self, "BucketName", value=self.bucket.bucket_name)

    def allow_rows(self, grantee: Grantee, *actions: str, when: Mapping[str, Any] | None = None) -> None:
        """Let `grantee` do these actions of DynamoDB with the table's rows."""
        allow(grantee, *actions, on=[self.table.table_arn], when=when)
        self._allow_key(grantee)

    def allow_objects(self, grantee: Grantee, *actions: str, under: Collection[str]) -> None:
        """Let `grantee` do these actions of S3 with the objects whose keys are like one of `under`
        (`projects/*/files/*`)."""
        objects = [self.bucket.arn_for_objects(pattern) for pattern in under]
        because = "keys begin with the project, and hold ids that are made at run time"
        allow(grantee, *actions, on=objects, because=because)
        if "s3:GetObject" in actions:
            # Without it S3 answers 403 for an object that is not there, instead of 404; and, since such a
            # request names no prefix, a condition on the prefix would deny that.
            allow(grantee, "s3:ListBucket", on=[self.bucket.bucket_arn])
        self._allow_key(grantee)

    def _allow_key(self, grantee: Grantee) -> None:
        if self._key:
            services = [f"{service}.{self.region}.{self.url_suffix}" for service in ("dynamodb", "s3")]
            through = {"StringEquals": {"kms:ViaService": services}}
            allow(grantee, *_KEY_ACTIONS, on=[self._key.key_arn], when=through)


def _expiry(days: int) -> s3.LifecycleRule:
    """Removes what was written with the tag for so many days: files that expire, parts of uploads.

    By tag, since a rule's prefix has no wildcard: `projects/*/uploads/` would match nothing.
    """
    return s3.LifecycleRule(
        id=f"ExpireAfter{days}Days",
        tag_filters={s3_keys.EXPIRY_TAG: str(days)},
        expiration=cdk.Duration.days(days),
    )

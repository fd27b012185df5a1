"""The table and the bucket: there, private, encrypted, and forgetting what they are to forget."""

from collections.abc import Iterator

from outcrop import s3_keys
from outcrop.operations.doctor.patient import Finding, Patient
from outcrop.stores import lookups

_BLOCKS = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
_RESTORE = "Restore it from a backup (docs/operations.md), or delete OutcropStorage and deploy again."


def table(patient: Patient) -> Iterator[Finding]:
    name = patient.settings.table
    if not name:
        return
    found = lookups.find("dynamodb", "describe_table", absent="ResourceNotFound", TableName=name)
    if found is None:
        yield Finding(f"The table {name} was deleted by hand, and everything in it.", _RESTORE)
        return
    status = found["Table"]["TableStatus"]
    if status not in ("ACTIVE", "UPDATING"):
        yield Finding(f"The table {name} is {status}.", "DynamoDB's console says why.")
    expiry = lookups.ask("dynamodb", "describe_time_to_live", TableName=name)["TimeToLiveDescription"]
    if expiry["TimeToLiveStatus"] not in ("ENABLED", "ENABLING") or expiry.get("AttributeName") != "ttl":
        yield Finding(
            f"The table {name} forgets nothing: its time to live is {expiry['TimeToLiveStatus']}.",
            f"aws dynamodb update-time-to-live --table-name {name} "
            "--time-to-live-specification Enabled=true,AttributeName=ttl",
        )
    backups = lookups.ask("dynamodb", "describe_continuous_backups", TableName=name)
    recovery = backups["ContinuousBackupsDescription"].get("PointInTimeRecoveryDescription", {})
    if recovery.get("PointInTimeRecoveryStatus") != "ENABLED":
        yield Finding(
            f"The table {name} cannot be put back to an earlier time.",
            f"aws dynamodb update-continuous-backups --table-name {name} "
            "--point-in-time-recovery-specification PointInTimeRecoveryEnabled=true",
        )


def bucket(patient: Patient) -> Iterator[Finding]:
    name = patient.settings.bucket
    if not name:
        return
    if lookups.find("s3", "head_bucket", absent="404", Bucket=name) is None:
        yield Finding(f"The bucket {name} was deleted by hand, and everything in it.", _RESTORE)
        return
    for look in (_public_access, _encryption, _transport, _expiry, _versions):
        yield from look(name)


def _public_access(name: str) -> Iterator[Finding]:
    found = lookups.find("s3", "get_public_access_block", absent="NoSuchPublicAccessBlock", Bucket=name)
    blocks = (found or {}).get("PublicAccessBlockConfiguration", {})
    if not all(blocks.get(one) for one in _BLOCKS):
        settings = ",".join(f"{one}=true" for one in _BLOCKS)
        yield Finding(
            f"The bucket {name} could be made public.",
            f"aws s3api put-public-access-block --bucket {name} --public-access-block-configuration "
            f"{settings}",
        )


def _encryption(name: str) -> Iterator[Finding]:
    absent = "ServerSideEncryptionConfigurationNotFound"
    if lookups.find("s3", "get_bucket_encryption", absent=absent, Bucket=name) is None:
        rule = '{"Rules":[{"ApplyServerSideEncryptionByDefault":{"SSEAlgorithm":"AES256"}}]}'
        yield Finding(
            f"The bucket {name} has no default encryption.",
            f"aws s3api put-bucket-encryption --bucket {name} --server-side-encryption-configuration "
            f"'{rule}'",
        )


def _transport(name: str) -> Iterator[Finding]:
    policy = lookups.find("s3", "get_bucket_policy", absent="NoSuchBucketPolicy", Bucket=name)
    if policy is None or "aws:SecureTransport" not in policy["Policy"]:
        yield Finding(
            f"The bucket {name} answers without TLS: the policy that denies it is gone.",
            "Put the policy back that the template of OutcropStorage has (CloudFormation's console shows "
            "it): Deny s3:* to everybody where aws:SecureTransport is false.",
        )


def _expiry(name: str) -> Iterator[Finding]:
    absent = "NoSuchLifecycleConfiguration"
    found = lookups.find("s3", "get_bucket_lifecycle_configuration", absent=absent, Bucket=name)
    rules = [one for one in (found or {}).get("Rules", []) if one["Status"] == "Enabled"]
    days = {
        one["Filter"]["Tag"]["Value"]
        for one in rules
        if one.get("Filter", {}).get("Tag", {}).get("Key") == s3_keys.EXPIRY_TAG
    }
    missing = [str(day) for day in range(1, s3_keys.MAX_EXPIRY_DAYS + 1) if str(day) not in days]
    if missing or not any("AbortIncompleteMultipartUpload" in one for one in rules):
        yield Finding(
            f"The bucket {name} keeps what has expired: {len(missing) or 'one'} of its lifecycle rules are "
            "gone or disabled.",
            "Enable them in S3's console (Management, Lifecycle rules), or put back those that the template "
            "of OutcropStorage lists.",
        )


def _versions(name: str) -> Iterator[Finding]:
    if lookups.ask("s3", "get_bucket_versioning", Bucket=name).get("Status") == "Enabled":
        yield Finding(
            f"The bucket {name} keeps old versions: a file that a user deletes stays, and is paid for.",
            f"aws s3api put-bucket-versioning --bucket {name} --versioning-configuration Status=Suspended",
        )

"""A deployment that nothing is wrong with, as AWS answers questions about it."""

import io
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from boto3.dynamodb.types import TypeSerializer

from outcrop import base_models, s3_keys
from outcrop.stores import rows
from outcrop.types.api_key import ApiKey
from outcrop.types.organization import Project
from outcrop.types.weights import WeightsManifest
from outcrop.version import VERSION
from tests.fakes.answers import Answers, Parameters, Refusal

ACCOUNT = "123456789012"
REGION = "us-west-2"
TABLE = "OutcropStorage-TableCD117FA1-1ABC"
BUCKET = "outcropstorage-bucket83908e77-1abc"
IMAGE = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/outcropimages-repository:0a1b2c"
TRAINING_ROLE = f"arn:aws:iam::{ACCOUNT}:role/OutcropTraining-Role1ABABA16-XYZ"
MODELS = ("openai.gpt-oss-20b", "smollm2-135m-instruct")
JUDGES = {"gpt-5-mini": {"provider": "bedrock", "model": "openai.gpt-oss-120b-1:0"}}
GRADER = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:my-grader"
_MADE = datetime(2026, 11, 1, tzinfo=UTC)
_FUNCTION = "AWS::Lambda::Function"
_GROUP = "AWS::Logs::LogGroup"
_FUNCTIONS = {
    "OutcropFiles": ("ProcessFile",),
    "OutcropWorkflow": ("PrepareTraining", "RegisterModel", "Sweep"),
    "OutcropSandbox": ("Sandbox",),
    "OutcropServing": ("Inference",),
    "OutcropApi": ("Api", "Authorizer"),
}
_OTHERS = {
    "OutcropStorage": (("TableCD117FA1", "AWS::DynamoDB::Table", TABLE),),
    "OutcropWorkflow": (
        ("SweeperSchedule37615569", "AWS::Events::Rule", "OutcropWorkflow-SweeperSchedule-1"),
    ),
    "OutcropMonitoring": (
        ("GradersFail0000AAAA", "AWS::CloudWatch::Alarm", "OutcropMonitoring-GradersFail-1"),
        ("Alarms0000BBBB", "AWS::SNS::Topic", f"arn:aws:sns:{REGION}:{ACCOUNT}:OutcropMonitoring-Alarms-1"),
    ),
}
_SERIALIZER = TypeSerializer()


def machine(name: str) -> str:
    return f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:{name}"


OUTPUTS: dict[str, dict[str, str]] = {
    "OutcropStorage": {"TableName": TABLE, "BucketName": BUCKET},
    "OutcropFiles": {"StateMachineArn": machine("File-1")},
    "OutcropImages": {},
    "OutcropTraining": {"RoleArn": TRAINING_ROLE},
    "OutcropSandbox": {"FunctionArn": f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:OutcropSandbox-Sandbox-1"},
    "OutcropWeights": {"StateMachineArn": machine("Weights-1")},
    "OutcropWorkflow": {"StateMachineArn": machine("Training-1")},
    "OutcropServing": {"ResponseStateMachineArn": machine("Responses-1")},
    "OutcropApi": {"BaseUrl": "set by `healthy`"},
    "OutcropMonitoring": {},
}


def function(stack: str, construct: str) -> str:
    return f"{stack}-{construct}0A1B2C3D-1"


def item(pk: str, sk: str, row: Any) -> dict[str, Any]:
    return {name: _SERIALIZER.serialize(value) for name, value in rows.item(pk, sk, row).items()}


def a_key(number: int = 1, *, expires_at: int | None = None) -> dict[str, Any]:
    key = ApiKey(
        id=f"key_{number:024}", project="default", name="", last4="", created_at=1, expires_at=expires_at
    )
    return item("P#default#KEY", key.id, key)


def healthy(base_url: str) -> Answers:
    answers = Answers()
    for part in (
        _account,
        _stacks,
        _functions,
        _storage,
        _table_rows,
        _training,
        _serving,
        _network,
        _graders,
    ):
        part(answers)
    answers.changed("cloudformation.DescribeStacks", lambda given, _: _set_url(given, base_url))
    return answers


def _set_url(given: Any, base_url: str) -> None:
    for stack in given["Stacks"]:
        for output in stack["Outputs"]:
            if output["OutputKey"] == "BaseUrl":
                output["OutputValue"] = base_url


def _account(answers: Answers) -> None:
    answers["sts.GetCallerIdentity"] = {
        "Account": ACCOUNT,
        "Arn": f"arn:aws:iam::{ACCOUNT}:user/ops",
        "UserId": "AIDA",
    }
    answers["ssm.GetParameter"] = {"Parameter": {"Name": "/cdk-bootstrap/hnb659fds/version", "Value": "30"}}
    limit = {"ConcurrentExecutions": 1000, "UnreservedConcurrentExecutions": 1000}
    answers["lambda.GetAccountSettings"] = {"AccountLimit": limit}


def _stacks(answers: Answers) -> None:
    answers["cloudformation.DescribeStacks"] = {
        "Stacks": [
            {
                "StackName": name,
                "StackStatus": "UPDATE_COMPLETE",
                "CreationTime": _MADE,
                "DriftInformation": {"StackDriftStatus": "NOT_CHECKED"},
                "Outputs": [
                    {"OutputKey": key, "OutputValue": value}
                    for key, value in {**outputs, "Version": VERSION}.items()
                ],
            }
            for name, outputs in OUTPUTS.items()
        ]
    }
    answers["cloudformation.ListStackResources"] = lambda asked: {
        "StackResourceSummaries": [
            {
                "LogicalResourceId": logical_id,
                "PhysicalResourceId": name,
                "ResourceType": kind,
                "ResourceStatus": "CREATE_COMPLETE",
                "LastUpdatedTimestamp": _MADE,
            }
            for logical_id, kind, name in _resources(asked["StackName"])
        ]
    }
    states = ("ValidateFiles", "PrepareTraining", "Train", "ClassifyStop", "RegisterModel", "Finish", "Over")
    definition = json.dumps({"StartAt": "ValidateFiles", "States": {name: {} for name in states}})
    answers["stepfunctions.DescribeStateMachine"] = lambda asked: {
        "stateMachineArn": asked["stateMachineArn"],
        "name": "machine",
        "definition": definition,
        "roleArn": f"arn:aws:iam::{ACCOUNT}:role/workflow",
        "type": "STANDARD",
        "creationDate": _MADE,
    }
    answers["events.DescribeRule"] = lambda asked: {"Name": asked["Name"], "State": "ENABLED"}
    answers["logs.DescribeLogGroups"] = lambda asked: {
        "logGroups": [
            {"logGroupName": name, "retentionInDays": 30}
            for _, kind, name in _resources(asked["logGroupNamePrefix"].removesuffix("-"))
            if kind == _GROUP
        ]
    }
    answers["cloudwatch.DescribeAlarms"] = {"MetricAlarms": [], "CompositeAlarms": []}
    answers["sns.ListSubscriptionsByTopic"] = {
        "Subscriptions": [{"SubscriptionArn": "arn:aws:sns:1", "Endpoint": "ops@example.com"}]
    }


def _resources(stack: str) -> list[tuple[str, str, str]]:
    """Logical id, kind and name of each."""
    found = list(_OTHERS.get(stack, ()))
    for construct in _FUNCTIONS.get(stack, ()):
        found.append((f"{construct}0A1B2C3D", _FUNCTION, function(stack, construct)))
        found.append((f"{construct}Logs0A1B2C3D", _GROUP, f"{stack}-{construct}Logs-1"))
    return found


def _functions(answers: Answers) -> None:
    environment = {
        "OUTCROP_TABLE": TABLE,
        "OUTCROP_TRAINING_IMAGE": IMAGE,
        "OUTCROP_INSTANCE_TYPES": "{}",
        "OUTCROP_SPOT": "false",
        "OUTCROP_TRAINING_VPC": "{}",
        "OUTCROP_MAX_RUNTIME_SECONDS": "86400",
        "OUTCROP_BASE_MODELS": ",".join(MODELS),
        "OUTCROP_SERVING": "sagemaker",
        "OUTCROP_SERVING_INSTANCES": "{}",
        "OUTCROP_JUDGES": json.dumps(JUDGES),
    }

    def configuration(asked: Parameters) -> Mapping[str, Any]:
        name = asked["FunctionName"]
        return {
            "FunctionName": name,
            "State": "Active",
            "Role": f"arn:aws:iam::{ACCOUNT}:role/{name}",
            "Environment": {"Variables": environment},
            "TenancyConfig": {"TenantIsolationMode": "PER_TENANT"},
            "VpcConfig": {
                "VpcId": "vpc-sandbox",
                "SubnetIds": ["subnet-sandbox"],
                "SecurityGroupIds": ["sg-sandbox"],
            },
        }

    answers["lambda.GetFunctionConfiguration"] = configuration
    answers["lambda.GetFunctionConcurrency"] = {}


def set_variable(answers: Answers, name: str, value: str) -> None:
    """In the environment of every function."""

    def change(given: Any, _: Parameters) -> None:
        given["Environment"]["Variables"][name] = value

    answers.changed("lambda.GetFunctionConfiguration", change)


def _storage(answers: Answers) -> None:
    answers["dynamodb.DescribeTable"] = {"Table": {"TableName": TABLE, "TableStatus": "ACTIVE"}}
    expiry = {"TimeToLiveStatus": "ENABLED", "AttributeName": "ttl"}
    answers["dynamodb.DescribeTimeToLive"] = {"TimeToLiveDescription": expiry}
    answers["dynamodb.DescribeContinuousBackups"] = {
        "ContinuousBackupsDescription": {
            "ContinuousBackupsStatus": "ENABLED",
            "PointInTimeRecoveryDescription": {"PointInTimeRecoveryStatus": "ENABLED"},
        }
    }
    answers["s3.HeadBucket"] = {}
    answers["s3.GetPublicAccessBlock"] = {
        "PublicAccessBlockConfiguration": {
            "BlockPublicAcls": True,
            "IgnorePublicAcls": True,
            "BlockPublicPolicy": True,
            "RestrictPublicBuckets": True,
        }
    }
    by_default = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
    answers["s3.GetBucketEncryption"] = {"ServerSideEncryptionConfiguration": {"Rules": [by_default]}}
    deny = {"Effect": "Deny", "Condition": {"Bool": {"aws:SecureTransport": "false"}}}
    answers["s3.GetBucketPolicy"] = {"Policy": json.dumps({"Statement": [deny]})}
    days = range(1, s3_keys.MAX_EXPIRY_DAYS + 1)
    answers["s3.GetBucketLifecycleConfiguration"] = {
        "Rules": [
            {
                "Status": "Enabled",
                "Filter": {"Prefix": ""},
                "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 2},
            },
            *(
                {"Status": "Enabled", "Filter": {"Tag": {"Key": s3_keys.EXPIRY_TAG, "Value": str(day)}}}
                for day in days
            ),
        ]
    }
    answers["s3.GetBucketVersioning"] = {}


def _table_rows(answers: Answers) -> None:
    put_rows(answers, a_key())


def put_rows(answers: Answers, *more: Mapping[str, Any]) -> None:
    """The table's rows: the project `default`, and these."""
    project = Project(id="default", name="default", created_at=1)
    every = [item("PROJECTS", "default", project), *more]

    def query(asked: Parameters) -> Mapping[str, Any]:
        wanted = asked["ExpressionAttributeValues"][":pk"]
        pk = wanted["S"] if isinstance(wanted, Mapping) else wanted
        found = [row for row in every if row["pk"]["S"] == pk]
        return {"Items": found, "Count": len(found), "ScannedCount": len(found)}

    answers["dynamodb.Query"] = query
    answers["dynamodb.GetItem"] = {}
    answers["dynamodb.BatchGetItem"] = {"Responses": {}, "UnprocessedKeys": {}}


def _training(answers: Answers) -> None:
    answers["ecr.DescribeImages"] = {"imageDetails": [{"imageTags": ["0a1b2c"]}]}
    trust = {"Statement": [{"Principal": {"Service": "sagemaker.amazonaws.com"}}]}
    answers["iam.GetRole"] = lambda asked: {
        "Role": {
            "Path": "/",
            "RoleName": asked["RoleName"],
            "RoleId": "AROA1234567890123",
            "Arn": TRAINING_ROLE,
            "CreateDate": _MADE,
            "AssumeRolePolicyDocument": json.dumps(trust),
        }
    }
    quotas = {"Longest run time for a training job": 432_000.0}
    for id in MODELS:
        model = base_models.find(id)
        assert model
        for one in model.instance_types:
            quotas[f"{one} for training job usage"] = 1.0
            quotas[f"{one} for spot training job usage"] = 1.0
        for one in model.serving.instance_types if model.serving else ():
            quotas[f"{one} for endpoint usage"] = 1.0
    set_quotas(answers, quotas)
    answers["s3.GetObject"] = _manifest
    answers["sagemaker.ListTrainingJobs"] = {"TrainingJobSummaries": []}


def set_quotas(answers: Answers, values: Mapping[str, float]) -> None:
    answers["service-quotas.ListServiceQuotas"] = {
        "Quotas": [
            {"QuotaName": name, "QuotaCode": f"L-{number:08X}", "Value": value}
            for number, (name, value) in enumerate(values.items(), start=1)
        ]
    }


def _manifest(asked: Parameters) -> Mapping[str, Any]:
    id = asked["Key"].split("/")[1]
    model = base_models.find(id)
    if model is None or not model.repository or not model.revision:
        raise Refusal("NoSuchKey", status=404)
    manifest = WeightsManifest(
        model=id,
        repository=model.repository,
        revision=model.revision,
        license=model.license,
        synced_at=1,
        files=[],
    )
    return {"Body": io.BytesIO(manifest.model_dump_json().encode())}


def _serving(answers: Answers) -> None:
    answers["sagemaker.ListEndpoints"] = {"Endpoints": []}
    answers["secretsmanager.DescribeSecret"] = lambda asked: {"ARN": asked["SecretId"]}


def _network(answers: Answers) -> None:
    nowhere = {"IpProtocol": "icmp", "IpRanges": [{"CidrIp": "255.255.255.255/32"}]}
    group = {"GroupId": "sg-sandbox", "VpcId": "vpc-sandbox", "IpPermissionsEgress": [nowhere]}
    answers["ec2.DescribeSecurityGroups"] = {"SecurityGroups": [group]}
    local = {"DestinationCidrBlock": "10.0.0.0/24", "GatewayId": "local", "State": "active"}
    table = {
        "RouteTableId": "rtb-sandbox",
        "Associations": [{"SubnetId": "subnet-sandbox", "Main": False}],
        "Routes": [local],
    }
    answers["ec2.DescribeRouteTables"] = {"RouteTables": [table]}


def _graders(answers: Answers) -> None:
    configuration = {"FunctionName": "my-grader", "State": "Active"}
    answers["lambda.GetFunction"] = {"Configuration": configuration, "Tags": {"outcrop:grader": "true"}}
    decision = {"EvalActionName": "lambda:InvokeFunction", "EvalDecision": "allowed"}
    answers["iam.SimulatePrincipalPolicy"] = {"EvaluationResults": [decision]}
    answers["bedrock.GetFoundationModelAvailability"] = lambda asked: {
        "modelId": asked["modelId"],
        "agreementAvailability": {"status": "AVAILABLE"},
        "authorizationStatus": "AUTHORIZED",
        "entitlementAvailability": "AVAILABLE",
        "regionAvailability": "AVAILABLE",
    }

"""`outcrop doctor`: nothing on a healthy deployment; each seeded misconfiguration, with what helps."""

import json
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from typer.testing import CliRunner

from outcrop.cli.main import app
from outcrop.ids import now
from outcrop.operations.doctor import checks
from outcrop.operations.doctor.patient import Finding
from outcrop.settings import settings
from outcrop.stores import lookups
from outcrop.types.fine_tuning_job import FineTuningJob
from outcrop.types.method import Method
from tests import factories
from tests.command_process import command_process
from tests.fakes.answers import Answers, Parameters, Refusal, answering
from tests.operations import healthy
from tests.operations.healthy import ACCOUNT, GRADER, REGION, put_rows, set_variable

Seed = Callable[[Answers], object]


@dataclass(frozen=True)
class Ailment:
    seed: Seed
    check: str
    says: str
    fix: str
    graders: tuple[str, ...] = ()


class _Authorizer(BaseHTTPRequestHandler):
    """Answers as the API does to a request without a key; below `/broken`, as one that is broken."""

    def do_GET(self) -> None:
        body = json.dumps({"error": {"message": "No key.", "code": "invalid_api_key"}}).encode()
        self.send_response(500 if self.path.startswith("/broken") else 401)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def api() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), _Authorizer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def account(api: str) -> Iterator[Answers]:
    answers = healthy.healthy(f"{api}/v1")
    with command_process(), answering(answers):
        yield answers


def diagnosed(graders: tuple[str, ...] = ()) -> list[Finding]:
    return [*checks.diagnose(graders, lambda _: None)]


def test_nothing_is_wrong_with_a_healthy_deployment(account: Answers) -> None:
    assert diagnosed((GRADER, "my-grader")) == []


def a_change(call: str, change: Callable[[Any], object], **about: str) -> Seed:
    """Of the answer to the calls that have the parameters `about`."""

    def seed(account: Answers) -> None:
        def of_these(given: Any, asked: Parameters) -> None:
            if all(asked.get(name) == value for name, value in about.items()):
                change(given)

        account.changed(call, of_these)

    return seed


def a_refusal(call: str, code: str, status: int = 400) -> Seed:
    return lambda account: account.refuse(call, code, status=status)


def a_setting(name: str, value: str) -> Seed:
    return lambda account: set_variable(account, name, value)


def a_stack_change(name: str, **changes: object) -> Seed:
    def change(given: Any) -> None:
        (stack,) = (one for one in given["Stacks"] if one["StackName"] == name)
        stack.update(changes)

    return a_change("cloudformation.DescribeStacks", change)


def without_stack(name: str) -> Seed:
    def change(given: Any) -> None:
        given["Stacks"] = [one for one in given["Stacks"] if one["StackName"] != name]

    return a_change("cloudformation.DescribeStacks", change)


def an_output(stack: str, key: str, value: str | None) -> Seed:
    def change(given: Any) -> None:
        (found,) = (one for one in given["Stacks"] if one["StackName"] == stack)
        found["Outputs"] = [one for one in found["Outputs"] if one["OutputKey"] != key]
        if value is not None:
            found["Outputs"].append({"OutputKey": key, "OutputValue": value})

    return a_change("cloudformation.DescribeStacks", change)


def all_quotas_but(word: str, value: float = 0) -> Seed:
    def change(given: Any) -> None:
        for quota in given["Quotas"]:
            if word in quota["QuotaName"]:
                quota["Value"] = value

    return a_change("service-quotas.ListServiceQuotas", change)


def all_of(*seeds: Seed) -> Seed:
    return lambda account: [seed(account) for seed in seeds]


def an_image_of_ours(account: Answers) -> None:
    """That this deployment builds."""
    set_variable(account, "OUTCROP_IMAGE_PROJECTS", json.dumps({healthy.IMAGE: "images"}))
    account["ecr.DescribeRepositories"] = {"repositories": [{"repositoryName": "outcropimages-repository"}]}


def a_clock_that_is_off(account: Answers) -> None:
    account.clock = datetime.now(UTC) - timedelta(minutes=4)


def in_a_vpc(
    *, nat: bool = False, gateways: tuple[str, ...] = (), missing: str = "", egress: bool = True
) -> Seed:
    """Training in two subnets and a security group."""

    def seed(account: Answers) -> None:
        vpc = {"Subnets": ["subnet-a", "subnet-b"], "SecurityGroupIds": ["sg-training"]}
        set_variable(account, "OUTCROP_TRAINING_VPC", json.dumps(vpc))
        account["ec2.DescribeSubnets"] = {
            "Subnets": [{"SubnetId": one, "VpcId": "vpc-1"} for one in vpc["Subnets"] if one != missing]
        }
        out = [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}] if egress else []
        groups = [] if missing == "sg-training" else [{"GroupId": "sg-training", "VpcId": "vpc-1"}]
        nowhere = {"IpProtocol": "icmp", "IpRanges": [{"CidrIp": "255.255.255.255/32"}]}
        account["ec2.DescribeSecurityGroups"] = lambda asked: {
            "SecurityGroups": [{**one, "IpPermissionsEgress": out} for one in groups]
            if "sg-training" in str(asked)
            else [{"GroupId": "sg-sandbox", "VpcId": "vpc-sandbox", "IpPermissionsEgress": [nowhere]}]
        }
        route = {"DestinationCidrBlock": "0.0.0.0/0", "NatGatewayId": "nat-1", "State": "active"}
        table = {
            "RouteTableId": "rtb-1",
            "Associations": [{"Main": True}],
            "Routes": [route] if nat else [],
        }
        of_sandbox = {"RouteTableId": "rtb-2", "Associations": [{"Main": True}], "Routes": []}
        account["ec2.DescribeRouteTables"] = lambda asked: {
            "RouteTables": [table if "vpc-1" in str(asked) else of_sandbox]
        }
        account["ec2.DescribeVpcEndpoints"] = {
            "VpcEndpoints": [
                {
                    "ServiceName": f"com.amazonaws.{REGION}.{one}",
                    "State": "available",
                    "VpcEndpointType": "Gateway" if one in ("s3", "dynamodb") else "Interface",
                    "RouteTableIds": ["rtb-1"],
                    "SubnetIds": [] if one in ("s3", "dynamodb") else ["subnet-a"],
                }
                for one in gateways
            ]
        }

    return seed


def a_job(**fields: object) -> dict[str, Any]:
    job = FineTuningJob(
        **{
            "id": "ftjob-" + "0" * 24,
            "created_at": now() - 3600,
            "model": "tiny-caps",
            "organization_id": "default",
            "seed": 7,
            "status": "validating_files",
            "training_file": "file-1",
            "method": Method.model_validate(factories.METHOD),
            **fields,
        }  # pyright: ignore[reportArgumentType]
    )
    return healthy.item("P#default#JOB", job.id, job)


def a_stuck_job(account: Answers) -> None:
    put_rows(account, healthy.a_key(), a_job())
    account.refuse("stepfunctions.DescribeExecution", "ExecutionDoesNotExist")


def a_job_with_a_grader_that_is_gone(account: Answers) -> None:
    grader = {"type": "lambda", "lambda": {"function": GRADER}}
    method = {"type": "reinforcement", "reinforcement": {"grader": grader}}
    put_rows(
        account,
        healthy.a_key(),
        a_job(status="running", started_attempt=1, method=Method.model_validate(method)),
    )
    account["stepfunctions.DescribeExecution"] = {
        "executionArn": "arn:1",
        "stateMachineArn": "arn:2",
        "status": "RUNNING",
        "startDate": datetime.now(UTC),
    }
    account.refuse("lambda.GetFunction", "ResourceNotFoundException", status=404)


SECRET = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:judge-AbCdEf"
OPENAI_JUDGE = {"gpt-5": {"provider": "openai", "base_url": "https://judge.example.com/v1", "secret": SECRET}}
PROFILE = {"claude": {"provider": "bedrock", "model": "us.anthropic.claude-sonnet-4-5-20250929-v1:0"}}
SANDBOX = healthy.function("OutcropSandbox", "Sandbox")
API = healthy.function("OutcropApi", "Api")
RULE = "OutcropWorkflow-SweeperSchedule-1"
LOGS = "OutcropApi-ApiLogs-1"
DENIED = {"EvalActionName": "lambda:InvokeFunction", "EvalDecision": "implicitDeny"}
ALARM = {"AlarmName": "OutcropMonitoring-GradersFail-1", "AlarmDescription": "Graders fail."}
FAILED_ENDPOINT = {
    "EndpointName": "outcrop-openai-gpt-oss-20b",
    "EndpointArn": f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:endpoint/outcrop-openai-gpt-oss-20b",
    "CreationTime": datetime(2026, 11, 1, tzinfo=UTC),
    "LastModifiedTime": datetime(2026, 11, 1, tzinfo=UTC),
    "EndpointStatus": "Failed",
}


def a_failed_endpoint(account: Answers) -> None:
    account["sagemaker.ListEndpoints"] = {"Endpoints": [FAILED_ENDPOINT]}
    described = {**FAILED_ENDPOINT, "FailureReason": "CannotStartContainerError"}
    account["sagemaker.DescribeEndpoint"] = described


def weights_that_failed(account: Answers) -> None:
    account.refuse("s3.GetObject", "NoSuchKey", status=404)

    def executions(asked: Parameters) -> Any:
        if not asked["executionArn"].endswith("-1"):
            raise Refusal("ExecutionDoesNotExist")
        return {
            "executionArn": asked["executionArn"],
            "stateMachineArn": "arn:2",
            "status": "FAILED",
            "cause": "The hash of model.safetensors is another.",
            "startDate": datetime.now(UTC),
        }

    account["stepfunctions.DescribeExecution"] = executions


AILMENTS = {
    "the clock is off": Ailment(a_clock_that_is_off, "clock", "24[0-9] s ahead of AWS's", "NTP"),
    "too few calls of Lambda at a time": Ailment(
        a_change(
            "lambda.GetAccountSettings",
            lambda given: given["AccountLimit"].update(UnreservedConcurrentExecutions=10),
        ),
        "lambda concurrency",
        "may run 10 calls at a time",
        "L-B99A9384",
    ),
    "the CDK was not set up": Ailment(
        a_refusal("ssm.GetParameter", "ParameterNotFound"),
        "cdk bootstrap",
        f"not set up in {REGION}",
        f"bootstrap aws://{ACCOUNT}/{REGION}",
    ),
    "a stack is missing": Ailment(
        without_stack("OutcropServing"), "stacks", "OutcropServing is not in us-west-2", "make deploy"
    ),
    "a stack was rolled back": Ailment(
        a_stack_change("OutcropApi", StackStatus="UPDATE_ROLLBACK_FAILED"),
        "stack status",
        "OutcropApi is UPDATE_ROLLBACK_FAILED",
        "under Events",
    ),
    "a stack is of another release": Ailment(
        an_output("OutcropWorkflow", "Version", "0.0.9"),
        "version",
        "OutcropWorkflow is of 0.0.9; this checkout",
        "make deploy",
    ),
    "an output is missing": Ailment(
        an_output("OutcropFiles", "StateMachineArn", None),
        "outputs",
        "OutcropFiles has no output StateMachineArn",
        "make deploy",
    ),
    "a stack has drifted": Ailment(
        a_stack_change("OutcropApi", DriftInformation={"StackDriftStatus": "DRIFTED"}),
        "drift",
        "OutcropApi is not what it made",
        "describe-stack-resource-drifts --stack-name OutcropApi",
    ),
    "a function was deleted": Ailment(
        lambda account: account.changed("lambda.GetFunctionConfiguration", _gone(API)),
        "functions",
        "OutcropApi-Api.* was deleted by hand",
        "Delete the stack OutcropApi",
    ),
    "a function may not run": Ailment(
        a_change(
            "lambda.GetFunctionConcurrency",
            lambda given: given.update(ReservedConcurrentExecutions=0),
            FunctionName=API,
        ),
        "functions",
        "its reserved concurrency is 0",
        f"delete-function-concurrency --function-name {API}",
    ),
    "a function works on another table": Ailment(
        a_change(
            "lambda.GetFunctionConfiguration",
            lambda given: given["Environment"]["Variables"].update(OUTCROP_TABLE="mine"),
            FunctionName=API,
        ),
        "functions",
        "works on the table mine",
        "Change it back",
    ),
    "the state machine was edited": Ailment(
        a_change(
            "stepfunctions.DescribeStateMachine",
            lambda given: given.update(definition='{"States": {"Train": {}}}'),
            stateMachineArn=healthy.machine("Training-1"),
        ),
        "state machines",
        "has no ClassifyStop, Finish",
        "deploy again",
    ),
    "the state machine was deleted": Ailment(
        a_refusal("stepfunctions.DescribeStateMachine", "StateMachineDoesNotExist"),
        "state machines",
        "File-1 was deleted by hand",
        "deploy again",
    ),
    "the sweeper is off": Ailment(
        a_change("events.DescribeRule", lambda given: given.update(State="DISABLED")),
        "sweeper",
        f"{RULE} is disabled",
        f"enable-rule --name {RULE}",
    ),
    "a log group was deleted": Ailment(
        a_change(
            "logs.DescribeLogGroups",
            lambda given: given["logGroups"].clear(),
            logGroupNamePrefix="OutcropApi-",
        ),
        "log groups",
        f"{LOGS} .* was deleted by hand",
        f"create-log-group --log-group-name {LOGS}",
    ),
    "a log group keeps everything": Ailment(
        a_change(
            "logs.DescribeLogGroups",
            lambda given: given["logGroups"][0].pop("retentionInDays"),
            logGroupNamePrefix="OutcropApi-",
        ),
        "log groups",
        f"{LOGS} keeps everything",
        "put-retention-policy",
    ),
    "the table was deleted": Ailment(
        a_refusal("dynamodb.DescribeTable", "ResourceNotFoundException"), "table", "was deleted", "backup"
    ),
    "the table forgets nothing": Ailment(
        a_change(
            "dynamodb.DescribeTimeToLive",
            lambda given: given.update(TimeToLiveDescription={"TimeToLiveStatus": "DISABLED"}),
        ),
        "table",
        "time to live is DISABLED",
        "update-time-to-live",
    ),
    "the table cannot be put back": Ailment(
        a_change(
            "dynamodb.DescribeContinuousBackups",
            lambda given: given["ContinuousBackupsDescription"].pop("PointInTimeRecoveryDescription"),
        ),
        "table",
        "cannot be put back",
        "update-continuous-backups",
    ),
    "the bucket was deleted": Ailment(
        a_refusal("s3.HeadBucket", "404", status=404), "bucket", "was deleted by hand", "backup"
    ),
    "the bucket may be public": Ailment(
        a_change(
            "s3.GetPublicAccessBlock",
            lambda given: given["PublicAccessBlockConfiguration"].update(BlockPublicPolicy=False),
        ),
        "bucket",
        "could be made public",
        "put-public-access-block",
    ),
    "the bucket is not encrypted": Ailment(
        a_refusal("s3.GetBucketEncryption", "ServerSideEncryptionConfigurationNotFoundError", 404),
        "bucket",
        "no default encryption",
        "put-bucket-encryption",
    ),
    "the bucket answers without TLS": Ailment(
        a_refusal("s3.GetBucketPolicy", "NoSuchBucketPolicy", 404), "bucket", "without TLS", "SecureTransport"
    ),
    "the bucket keeps what has expired": Ailment(
        a_change(
            "s3.GetBucketLifecycleConfiguration", lambda given: given["Rules"][5].update(Status="Disabled")
        ),
        "bucket",
        "keeps what has expired: 1 of",
        "Lifecycle rules",
    ),
    "the bucket keeps old versions": Ailment(
        a_change("s3.GetBucketVersioning", lambda given: given.update(Status="Enabled")),
        "bucket",
        "keeps old versions",
        "Status=Suspended",
    ),
    "there is no training image": Ailment(
        a_setting("OUTCROP_TRAINING_IMAGE", ""), "training image", "names no training image", "Deploy without"
    ),
    "the training image was deleted": Ailment(
        a_refusal("ecr.DescribeImages", "ImageNotFoundException"), "training image", "is not there", "Push it"
    ),
    "the training image was put away": Ailment(
        all_of(an_image_of_ours, a_refusal("ecr.DescribeImages", "ImageNotFoundException")),
        "training image",
        "The next job waits while it is built anew, about 10 to 20 minutes",
        "Nothing; or have it built now: aws codebuild start-build --project-name images",
    ),
    "the training image has no repository": Ailment(
        all_of(
            an_image_of_ours,
            a_refusal("ecr.DescribeImages", "RepositoryNotFoundException"),
            a_refusal("ecr.DescribeRepositories", "RepositoryNotFoundException"),
        ),
        "training image",
        "was deleted by hand",
        "create-repository",
    ),
    "the training image is in another Region": Ailment(
        a_setting("OUTCROP_TRAINING_IMAGE", f"{ACCOUNT}.dkr.ecr.eu-west-1.amazonaws.com/mine:1"),
        "training image",
        "is in eu-west-1",
        f"ECR in {REGION}",
    ),
    "the training role was deleted": Ailment(
        a_refusal("iam.GetRole", "NoSuchEntity", 404), "training role", "was deleted by hand", "deploy again"
    ),
    "SageMaker may not use the training role": Ailment(
        a_change("iam.GetRole", lambda given: given["Role"].update(AssumeRolePolicyDocument="{}")),
        "training role",
        "its trust policy was changed",
        "sagemaker.amazonaws.com",
    ),
    "no machine to train on": Ailment(
        all_quotas_but("for training job usage"),
        "training quotas",
        "none of the machines that openai.gpt-oss-20b can be trained on: ml.p5.4xlarge",
        r"'ml.p5.4xlarge for training job usage' \(L-0",
    ),
    "no spot machine to train on": Ailment(
        all_of(a_setting("OUTCROP_SPOT", "true"), all_quotas_but("for spot training")),
        "spot quotas",
        "may have no spot machine",
        "for spot training job usage' \\(L-0",
    ),
    "jobs may run longer than SageMaker lets them": Ailment(
        all_quotas_but("Longest run time", 3600.0),
        "training time",
        "max_runtime_seconds is 86400, .* after 3600 s",
        "-c max_runtime_seconds=3600",
    ),
    "training subnets lead nowhere": Ailment(
        in_a_vpc(gateways=("dynamodb", "lambda", "logs")),
        "training network",
        "From the subnet subnet-a of training_vpc there is no way to s3",
        "gateway endpoints",
    ),
    "a training subnet is gone": Ailment(
        in_a_vpc(nat=True, missing="subnet-b"), "training network", "subnet-b .* is not there", "training_vpc"
    ),
    "the training security group is gone": Ailment(
        in_a_vpc(nat=True, missing="sg-training"), "training network", "sg-training .* is not", "training_vpc"
    ),
    "the training security group lets nothing out": Ailment(
        in_a_vpc(nat=True, egress=False),
        "training network",
        "lets nothing out",
        "authorize-security-group-egress",
    ),
    "weights are not there": Ailment(
        all_of(
            a_refusal("s3.GetObject", "NoSuchKey", 404),
            a_refusal("stepfunctions.DescribeExecution", "ExecutionDoesNotExist"),
        ),
        "base weights",
        "The weights of openai.gpt-oss-20b are not in the bucket",
        "outcrop models sync openai.gpt-oss-20b",
    ),
    "a sync of weights failed": Ailment(
        weights_that_failed, "base weights", "failed. The hash of model.safetensors", "outcrop models sync"
    ),
    "nothing serves the models": Ailment(
        a_setting("OUTCROP_SERVING", "openai_compatible"), "serving", "Nothing serves", "-c serving=sagemaker"
    ),
    "Bedrock imports nothing here": Ailment(
        a_setting("OUTCROP_SERVING", "bedrock_import"),
        "region",
        "'openai.gpt-oss-20b' could be trained, but .* GptOssForCausalLM in us-east-1 only",
        "setting models",
    ),
    "an endpoint has failed": Ailment(
        a_failed_endpoint,
        "endpoints",
        "is Failed: CannotStartContainerError",
        "delete-endpoint --endpoint-name",
    ),
    "no machine to serve on": Ailment(
        all_quotas_but("for endpoint usage"),
        "endpoint quotas",
        "none of the machines that openai.gpt-oss-20b can be served on",
        r"for endpoint usage' \(L-0",
    ),
    "the token for gated models is gone": Ailment(
        all_of(
            a_setting("OUTCROP_HUGGING_FACE_SECRET", SECRET),
            a_refusal("secretsmanager.DescribeSecret", "ResourceNotFoundException"),
        ),
        "hugging face token",
        "hugging_face_secret, .* is not there",
        "Secrets Manager",
    ),
    "the sandbox does not keep tenants apart": Ailment(
        a_change(
            "lambda.GetFunctionConfiguration", lambda given: given.pop("TenancyConfig"), FunctionName=SANDBOX
        ),
        "sandbox",
        "does not keep tenants apart",
        "Delete the stack OutcropSandbox",
    ),
    "the sandbox is in no network": Ailment(
        a_change(
            "lambda.GetFunctionConfiguration", lambda given: given.pop("VpcConfig"), FunctionName=SANDBOX
        ),
        "sandbox",
        "is in no VPC",
        "deploy again",
    ),
    "the sandbox lets something out": Ailment(
        a_change(
            "ec2.DescribeSecurityGroups",
            lambda given: given["SecurityGroups"][0].update(
                IpPermissionsEgress=[{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
            ),
        ),
        "sandbox",
        "sg-sandbox of the sandbox lets something out",
        "outbound rules",
    ),
    "the sandbox has a way out": Ailment(
        a_change(
            "ec2.DescribeRouteTables",
            lambda given: given["RouteTables"][0]["Routes"].append(
                {"DestinationCidrBlock": "0.0.0.0/0", "GatewayId": "igw-1", "State": "active"}
            ),
        ),
        "sandbox",
        "subnet-sandbox of the sandbox has a route out",
        "Remove every route",
    ),
    "a grader does not exist": Ailment(
        a_refusal("lambda.GetFunction", "ResourceNotFoundException", 404),
        "graders",
        "my-grader does not exist",
        "list-functions",
        (GRADER,),
    ),
    "a grader may not be called": Ailment(
        a_change("iam.SimulatePrincipalPolicy", lambda given: given.update(EvaluationResults=[DENIED])),
        "graders",
        "role of training jobs may not call the function .*my-grader",
        "--tags outcrop:grader=true",
        (GRADER,),
    ),
    "a grader of another account may not be called": Ailment(
        a_change("iam.SimulatePrincipalPolicy", lambda given: given.update(EvaluationResults=[DENIED])),
        "graders",
        "may not call the function",
        "resource policy has to allow lambda:InvokeFunction",
        (GRADER.replace(ACCOUNT, "210987654321"),),
    ),
    "a grader is in another Region": Ailment(
        lambda _: None,
        "graders",
        "is in eu-west-1",
        "deployment's Region",
        (GRADER.replace(REGION, "eu-west-1"),),
    ),
    "a grader is a function of Outcrop's own": Ailment(
        lambda _: None, "graders", "Outcrop's own", "Name one of yours", (API,)
    ),
    "a grader of a job is gone": Ailment(
        a_job_with_a_grader_that_is_gone, "graders", "my-grader does not exist", "list-functions"
    ),
    "a judge is not to be had": Ailment(
        a_change(
            "bedrock.GetFoundationModelAvailability",
            lambda given: given.update(agreementAvailability={"status": "NOT_AVAILABLE"}),
        ),
        "judges",
        "no access to openai.gpt-oss-120b-1:0, the judge gpt-5-mini",
        "Model catalog",
    ),
    "a judge is not in the Region": Ailment(
        a_refusal("bedrock.GetFoundationModelAvailability", "ResourceNotFoundException"),
        "judges",
        "Bedrock does not have in us-west-2",
        "list-foundation-models",
    ),
    "a judge's profile is not in the Region": Ailment(
        all_of(
            a_setting("OUTCROP_JUDGES", json.dumps(PROFILE)),
            a_refusal("bedrock.GetInferenceProfile", "ResourceNotFoundException"),
        ),
        "judges",
        "inference profile us.anthropic.* is not in us-west-2",
        "list-inference-profiles",
    ),
    "a judge's key is being deleted": Ailment(
        all_of(
            a_setting("OUTCROP_JUDGES", json.dumps(OPENAI_JUDGE)),
            a_change(
                "secretsmanager.DescribeSecret",
                lambda given: given.update(DeletedDate=datetime(2026, 11, 20, tzinfo=UTC)),
            ),
        ),
        "judges",
        "the key of the judge gpt-5.* is being deleted",
        "restore-secret",
    ),
    "a judge's key may not be read": Ailment(
        all_of(
            a_setting("OUTCROP_JUDGES", json.dumps(OPENAI_JUDGE)),
            a_change("iam.SimulatePrincipalPolicy", lambda given: given.update(EvaluationResults=[DENIED])),
        ),
        "judges",
        "role of training jobs may not read the secret .*, the key of the judge gpt-5",
        "setting judges",
    ),
    "the API does not answer": Ailment(
        an_output("OutcropApi", "BaseUrl", "http://127.0.0.1:9/v1"), "api", "does not answer", "DNS record"
    ),
    "there are no keys": Ailment(
        lambda account: put_rows(account), "keys", "no API key", "outcrop keys create"
    ),
    "all keys have expired": Ailment(
        lambda account: put_rows(account, healthy.a_key(expires_at=now() - 1)),
        "keys",
        "All keys of the project default have expired",
        "outcrop keys create --project default",
    ),
    "a key has expired": Ailment(
        lambda account: put_rows(account, healthy.a_key(), healthy.a_key(2, expires_at=now() - 1)),
        "keys",
        "1 of the keys .* have expired: key_0",
        "outcrop keys revoke",
    ),
    "a job is stuck": Ailment(a_stuck_job, "jobs", "1 job does not get on", "outcrop fsck --repair"),
    "an alarm has gone off": Ailment(
        a_change("cloudwatch.DescribeAlarms", lambda given: given.update(MetricAlarms=[ALARM])),
        "alarms",
        "has gone off: Graders fail.",
        "docs/operations.md",
    ),
    "nobody gets the alarms": Ailment(
        a_change(
            "sns.ListSubscriptionsByTopic",
            lambda given: given["Subscriptions"][0].update(SubscriptionArn="PendingConfirmation"),
        ),
        "alarm e-mail",
        "ops@example.com has not confirmed",
        "Follow the link",
    ),
}


def _gone(function: str) -> Callable[[Any, Parameters], None]:
    def change(_: Any, asked: Parameters) -> None:
        if asked["FunctionName"] == function:
            raise Refusal("ResourceNotFoundException", status=404)

    return change


@pytest.mark.parametrize("name", AILMENTS)
def test_what_is_wrong_is_found_with_what_helps(account: Answers, name: str) -> None:
    ailment = AILMENTS[name]
    ailment.seed(account)

    findings = diagnosed(ailment.graders)

    assert {one.check for one in findings} == {ailment.check}
    first = findings[0]
    with pytest.raises(AssertionError, match=ailment.says):
        raise AssertionError(first.says)
    with pytest.raises(AssertionError, match=ailment.fix):
        raise AssertionError(first.fix)


@pytest.mark.parametrize(
    "way_out", [in_a_vpc(nat=True), in_a_vpc(gateways=("s3", "dynamodb", "lambda", "logs"))]
)
def test_a_training_network_that_leads_out_is_right(account: Answers, way_out: Seed) -> None:
    way_out(account)

    assert diagnosed() == []


def test_an_api_that_is_broken_is_told_from_one_that_cannot_be_reached(account: Answers, api: str) -> None:
    an_output("OutcropApi", "BaseUrl", f"{api}/broken")(account)

    (finding,) = diagnosed()

    assert finding.says == "The API answers 500 to a request without a key, and not 401."


def test_one_machine_that_the_account_may_have_is_enough(account: Answers) -> None:
    all_quotas_but("ml.p5.4xlarge for training")(account)

    assert diagnosed() == []


def test_an_old_boto3_is_found(account: Answers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookups, "BOTO3_VERSION", "1.40.9")

    (finding,) = diagnosed()

    assert (finding.check, "1.40.9" in finding.says, "make setup" in finding.fix) == ("packages", True, True)


def test_where_nothing_is_deployed_the_account_is_looked_at(account: Answers) -> None:
    a_change("cloudformation.DescribeStacks", lambda given: given.update(Stacks=[]))(account)
    account.refuse("ssm.GetParameter", "ParameterNotFound")

    findings = diagnosed()

    assert [one.check for one in findings] == ["stacks", "cdk bootstrap"]
    assert "make deploy" in findings[0].fix


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("ExpiredToken", "credentials have expired"),
        ("InvalidClientTokenId", "does not know these credentials"),
        ("AccessDenied", "may not call GetCallerIdentity"),
    ],
)
def test_credentials_that_are_no_good_are_the_one_finding(account: Answers, code: str, says: str) -> None:
    account.refuse("sts.GetCallerIdentity", code, status=403)

    (finding,) = diagnosed()

    assert finding.check == "credentials"
    assert says in finding.says


@pytest.fixture(scope="module")
def calls_of_a_check_up(api: str) -> list[str]:
    answers = healthy.healthy(f"{api}/v1")
    with command_process(), answering(answers):
        diagnosed((GRADER,))
    return sorted({call for call, _ in answers.asked})


def refuse(answers: Answers, call: str) -> None:
    """By the name that `Answers.asked` has for it."""
    names = {
        "sfn": "stepfunctions",
        "eventbridge": "events",
        "cloudwatch-logs": "logs",
        "secrets-manager": "secretsmanager",
    }
    service, _, operation = call.partition(".")
    answers.refuse(f"{names.get(service, service)}.{operation}", "AccessDeniedException", "no", 403)


def test_who_may_look_at_the_stacks_alone_gets_a_finding_from_each_check(
    api: str, calls_of_a_check_up: list[str]
) -> None:
    answers = healthy.healthy(f"{api}/v1")
    for call in calls_of_a_check_up:
        if not call.startswith(("sts.", "cloudformation.", "lambda.GetFunctionConfiguration")):
            refuse(answers, call)

    with command_process(), answering(answers):
        findings = diagnosed((GRADER,))

    assert all("It cannot be checked. " in one.says for one in findings)
    asking = {
        "table",
        "bucket",
        "training quotas",
        "judges",
        "keys",
        "jobs",
        "graders",
        "sandbox",
        "log groups",
    }
    assert asking <= {one.check for one in findings}


@pytest.mark.slow
def test_each_call_that_is_refused_is_a_finding_and_never_a_traceback(
    api: str, calls_of_a_check_up: list[str]
) -> None:
    for call in calls_of_a_check_up:
        answers = healthy.healthy(f"{api}/v1")
        refuse(answers, call)

        with command_process(), answering(answers):
            findings = diagnosed((GRADER,))

        wanted = "may not be read" if call == "s3.GetObject" else call.partition(".")[2]
        assert any(wanted in one.says for one in findings), (call, findings)


def test_the_command_tells_what_it_found(account: Answers) -> None:
    AILMENTS["the sweeper is off"].seed(account)

    told = CliRunner().invoke(app, ["doctor"])
    as_json = CliRunner().invoke(app, ["doctor", "--json"])

    assert (told.exit_code, as_json.exit_code) == (1, 1)
    assert "sweeper: The rule" in told.output
    assert "enable-rule" in told.output
    assert "1 found in 3" in told.output
    assert [one["check"] for one in json.loads(as_json.stdout)] == ["sweeper"]


def test_the_command_succeeds_where_nothing_is_wrong(account: Answers) -> None:
    result = CliRunner().invoke(app, ["doctor", "--grader", GRADER])

    assert result.exit_code == 0, result.output
    assert "Nothing is wrong: 3" in result.output
    assert settings().table == healthy.TABLE
    assert os.environ["OUTCROP_BUCKET"] == healthy.BUCKET

"""Which AWS calls the code makes as which role, and what IAM asks for each, by way of botocore's events."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import boto3

from tests.account import BUCKET, make_clients_anew
from tests.stacks.iam import ACCOUNT, REGION, TABLE

Parameters = Mapping[str, Any]

_OBJECTS = f"arn:aws:s3:::{BUCKET}"
_TABLE = f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{TABLE}"
_BEDROCK = f"arn:aws:bedrock:{REGION}:{ACCOUNT}"
_BUS = f"arn:aws:events:{REGION}:{ACCOUNT}:event-bus/default"


@dataclass(frozen=True)
class Request:
    """What IAM is asked when a call is made."""

    action: str
    resource: str
    context: tuple[tuple[str, str], ...] = ()


@dataclass
class Recorder:
    """Calls by role. Those that a test makes itself, in its own thread, belong to nobody."""

    made: dict[str, set[Request]] = field(default_factory=dict)
    _role: str | None = None
    _owner: int = 0
    _turn: threading.RLock = field(default_factory=threading.RLock)

    @contextmanager
    def acting_as(self, role: str) -> Iterator[None]:
        """One role at a time: steps of two workflows that run side by side take turns."""
        with self._turn:
            self._role, self._owner = role, threading.get_ident()
            try:
                yield
            finally:
                self._role = None

    @contextmanager
    def acting_as_nobody(self) -> Iterator[None]:
        """While a test does something itself, in the midst of what a role does."""
        role, self._role = self._role, None
        try:
            yield
        finally:
            self._role = role

    @contextmanager
    def listening(self) -> Iterator[None]:
        events = boto3._get_default_session().events  # pyright: ignore[reportPrivateUsage]
        events.register("provide-client-params", self._note)
        make_clients_anew()
        try:
            yield
        finally:
            events.unregister("provide-client-params", self._note)
            make_clients_anew()

    def _note(self, event_name: str, params: Parameters, **_: object) -> None:
        main = threading.main_thread().ident
        if self._role is None or (threading.get_ident() == main and self._owner != main):
            return
        operation = event_name.removeprefix("provide-client-params.")
        self.made.setdefault(self._role, set()).update(REQUESTS[operation](params))


def _object(*actions: str) -> Callable[[Parameters], list[Request]]:
    def of(params: Parameters) -> list[Request]:
        arn = f"arn:aws:s3:::{params['Bucket']}/{params['Key']}"
        asked = [Request(action, arn) for action in actions]
        if "Tagging" in params:
            asked.append(Request("s3:PutObjectTagging", arn))
        if "s3:GetObject" in actions:  # to be told that it is not there, and not just no
            asked.append(Request("s3:ListBucket", f"arn:aws:s3:::{params['Bucket']}"))
        return asked

    return of


def _copy(params: Parameters) -> list[Request]:
    source = params["CopySource"]
    return [
        Request("s3:GetObject", f"arn:aws:s3:::{source['Bucket']}/{source['Key']}"),
        *_object("s3:PutObject")(params),
    ]


def _in_bucket(action: str) -> Callable[[Parameters], list[Request]]:
    return lambda params: [Request(action, f"arn:aws:s3:::{params['Bucket']}")]


def _hub_content(params: Parameters) -> list[Request]:
    name = f"{params['HubName']}/{params['HubContentType']}/{params['HubContentName']}"
    version = params.get("HubContentVersion", "1.0.0")
    prefix = f"arn:aws:sagemaker:{REGION}:aws"
    return [
        Request("sagemaker:DescribeHubContent", f"{prefix}:{resource}")
        for resource in (f"hub/{params['HubName']}", f"hub-content/{name}/{version}")
    ]


def _list_objects(params: Parameters) -> list[Request]:
    context = (("s3:prefix", params.get("Prefix", "")),)
    return [Request("s3:ListBucket", f"arn:aws:s3:::{params['Bucket']}", context)]


def _delete_objects(params: Parameters) -> list[Request]:
    keys = (one["Key"] for one in params["Delete"]["Objects"])
    return [Request("s3:DeleteObject", f"arn:aws:s3:::{params['Bucket']}/{key}") for key in keys]


def _row(action: str) -> Callable[[Parameters], list[Request]]:
    def of(params: Parameters) -> list[Request]:
        key = params.get("Key") or params.get("Item") or {}
        leading = (("dynamodb:LeadingKeys", _plain(key["pk"])),) if "pk" in key else ()
        return [Request(f"dynamodb:{action}", _TABLE, leading)]

    return of


def _transaction(params: Parameters) -> list[Request]:
    """Each of its parts asks for itself."""
    names = {"Put": "PutItem", "Update": "UpdateItem", "Delete": "DeleteItem"}
    return [
        request
        for part in params["TransactItems"]
        for kind, one in part.items()
        for request in _row(names.get(kind, "ConditionCheckItem"))(one)
    ]


def _plain(value: Any) -> str:
    return value["S"] if isinstance(value, dict) else value


def _on(action: str, parameter: str) -> Callable[[Parameters], list[Request]]:
    """The parameter is the ARN of what it is done to."""
    return lambda params: [Request(action, params[parameter])]


def _builds(action: str) -> Callable[[Parameters], list[Request]]:
    """A build is named after its project, for which IAM is asked."""
    prefix = f"arn:aws:codebuild:{REGION}:{ACCOUNT}:project"

    def of(params: Parameters) -> list[Request]:
        projects = [params["projectName"]] if "projectName" in params else [*params.get("names", ())]
        projects += [id.partition(":")[0] for id in params.get("ids", ())]
        return [Request(f"codebuild:{action}", f"{prefix}/{name}") for name in projects]

    return of


def _repository(action: str) -> Callable[[Parameters], list[Request]]:
    prefix = f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository"
    return lambda params: [Request(action, f"{prefix}/{params['repositoryName']}")]


def _training_job(action: str) -> Callable[[Parameters], list[Request]]:
    prefix = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:training-job"
    return lambda params: [Request(action, f"{prefix}/{params['TrainingJobName']}")]


def _events(params: Parameters) -> list[Request]:
    return [
        Request(
            "events:PutEvents",
            _BUS,
            (("events:detail-type", one["DetailType"]), ("events:source", one["Source"])),
        )
        for one in params["Entries"]
    ]


def _bedrock_model(params: Parameters) -> list[Request]:
    return [Request("bedrock:InvokeModel", f"arn:aws:bedrock:{REGION}::foundation-model/{params['modelId']}")]


def _is_tagged(action: str) -> Callable[[Parameters], list[Request]]:
    """A grader has its tag."""
    context = (("aws:ResourceTag/outcrop:grader", "true"),)
    return lambda params: [Request(action, params["FunctionName"], context)]


def _hosting(action: str, **kinds: str) -> Callable[[Parameters], list[Request]]:
    """Of the things, by kind, that these parameters name."""
    prefix = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}"

    def of(params: Parameters) -> list[Request]:
        names = {kind.replace("_", "-"): params[name] for kind, name in kinds.items() if name in params}
        asked = [Request(f"sagemaker:{action}", f"{prefix}:{kind}/{name}") for kind, name in names.items()]
        model = params.get("Specification", {}).get("ModelName")
        asked += [Request(f"sagemaker:{action}", f"{prefix}:model/{model}")] if model else []
        if role := params.get("ExecutionRoleArn"):
            asked.append(Request("iam:PassRole", role, (("iam:PassedToService", "sagemaker.amazonaws.com"),)))
        return asked

    return of


def _scaling(action: str) -> Callable[[Parameters], list[Request]]:
    """And what Application Auto Scaling asks for in the caller's name: alarms, and its own role."""
    here = f"{REGION}:{ACCOUNT}"
    service = "sagemaker.application-autoscaling.amazonaws.com"

    def of(params: Parameters) -> list[Request]:
        context = (
            ("application-autoscaling:service-namespace", params["ServiceNamespace"]),
            ("application-autoscaling:scalable-dimension", params["ScalableDimension"]),
        )
        target = f"arn:aws:application-autoscaling:{here}:scalable-target/0a1b2c"
        alarm = f"arn:aws:cloudwatch:{here}:alarm:TargetTracking-{params['ResourceId']}-AlarmLow-1"
        asked = [Request(f"application-autoscaling:{action}", target, context)]
        if action == "RegisterScalableTarget":
            name = "AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint"
            role = f"arn:aws:iam::{ACCOUNT}:role/aws-service-role/{service}/{name}"
            asked.append(Request("iam:CreateServiceLinkedRole", role, (("iam:AWSServiceName", service),)))
        if action == "PutScalingPolicy":
            asked.append(Request("cloudwatch:PutMetricAlarm", alarm))
            asked.append(Request("cloudwatch:DescribeAlarms", "*"))
        if action == "DeregisterScalableTarget":
            asked.append(Request("cloudwatch:DeleteAlarms", alarm))
        return asked

    return of


def _asking(params: Parameters) -> list[Request]:
    actions = ("InvokeEndpoint", "InvokeEndpointWithResponseStream")
    kinds = {"endpoint": "EndpointName", "inference_component": "InferenceComponentName"}
    return [request for action in actions for request in _hosting(action, **kinds)(params)]


def _importing(params: Parameters) -> list[Request]:
    """The job and the model are ours by their tags, and the job's role reads the weights."""
    tags = tuple((f"aws:RequestTag/{one['key']}", one["value"]) for one in params["importedModelTags"])
    passed = (("iam:PassedToService", "bedrock.amazonaws.com"),)
    return [
        Request("bedrock:CreateModelImportJob", "*", tags),
        Request("bedrock:TagResource", f"{_BEDROCK}:model-import-job/0a1b2c", tags),
        Request("bedrock:TagResource", f"{_BEDROCK}:imported-model/0a1b2c", tags),
        Request("iam:PassRole", params["roleArn"], passed),
    ]


def _imported(
    action: str, kind: str = "imported-model", *, is_tagged: bool = False
) -> Callable[[Parameters], list[Request]]:
    """AWS makes up the id; a tag says that it is ours."""
    context = (("aws:ResourceTag/outcrop", "model"),) if is_tagged else ()
    return lambda params: [Request(f"bedrock:{action}", f"{_BEDROCK}:{kind}/0a1b2c", context)]


_COMPONENT = {"inference_component": "InferenceComponentName", "endpoint": "EndpointName"}
_CONFIG = {"endpoint_config": "EndpointConfigName"}
_ENDPOINT = {"endpoint": "EndpointName"}
_MODEL = {"model": "ModelName"}
_SERVING: dict[str, Callable[[Parameters], list[Request]]] = {
    **{
        f"sagemaker.{action}": _hosting(action, **kinds)
        for action, kinds in {
            "CreateEndpoint": _ENDPOINT | _CONFIG,
            "CreateEndpointConfig": _CONFIG,
            "CreateInferenceComponent": _COMPONENT,
            "CreateModel": _MODEL,
            "DeleteEndpoint": _ENDPOINT,
            "DeleteEndpointConfig": _CONFIG,
            "DeleteInferenceComponent": _COMPONENT,
            "DeleteModel": _MODEL,
            "DescribeEndpoint": _ENDPOINT,
            "DescribeInferenceComponent": _COMPONENT,
            "UpdateInferenceComponentRuntimeConfig": _COMPONENT,
        }.items()
    },
    **{
        f"application-auto-scaling.{action}": _scaling(action)
        for action in ("DeregisterScalableTarget", "PutScalingPolicy", "RegisterScalableTarget")
    },
    "sagemaker.ListInferenceComponents": lambda params: [Request("sagemaker:ListInferenceComponents", "*")],
    "sagemaker-runtime.InvokeEndpointWithResponseStream": _asking,
}

REQUESTS: dict[str, Callable[[Parameters], list[Request]]] = {
    **_SERVING,
    **{
        f"dynamodb.{name}": _row(name)
        for name in ("BatchGetItem", "DeleteItem", "GetItem", "PutItem", "Query", "Scan", "UpdateItem")
    },
    "dynamodb.TransactWriteItems": _transaction,
    "bedrock-runtime.Converse": _bedrock_model,
    "bedrock-runtime.InvokeModelWithResponseStream": _imported(
        "InvokeModelWithResponseStream", is_tagged=True
    ),
    "bedrock.CreateModelImportJob": _importing,
    "bedrock.DeleteImportedModel": _imported("DeleteImportedModel", is_tagged=True),
    "bedrock.GetImportedModel": _imported("GetImportedModel"),
    "bedrock.GetModelImportJob": _imported("GetModelImportJob", "model-import-job"),
    "bedrock.ListImportedModels": lambda params: [Request("bedrock:ListImportedModels", "*")],
    **{
        f"codebuild.{action}": _builds(action)
        for action in ("BatchGetBuilds", "BatchGetProjects", "ListBuildsForProject", "StartBuild")
    },
    "ecr.BatchDeleteImage": _repository("ecr:BatchDeleteImage"),
    "ecr.DescribeImages": _repository("ecr:DescribeImages"),
    "eventbridge.PutEvents": _events,
    "lambda.GetFunctionConfiguration": _is_tagged("lambda:GetFunctionConfiguration"),
    "lambda.Invoke": _is_tagged("lambda:InvokeFunction"),
    "s3.AbortMultipartUpload": _object("s3:AbortMultipartUpload"),
    "s3.CompleteMultipartUpload": _object("s3:PutObject"),
    "s3.CopyObject": _copy,
    "s3.CreateMultipartUpload": _object("s3:PutObject"),
    "s3.DeleteObject": _object("s3:DeleteObject"),
    "s3.DeleteObjects": _delete_objects,
    "s3.GetObject": _object("s3:GetObject"),
    "s3.GetObjectTagging": _object("s3:GetObjectTagging"),
    "s3.HeadObject": _object("s3:GetObject"),
    "s3.ListMultipartUploads": _in_bucket("s3:ListBucketMultipartUploads"),
    "s3.ListObjectsV2": _list_objects,
    "s3.ListParts": _object("s3:ListMultipartUploadParts"),
    "s3.PutObject": _object("s3:PutObject"),
    "s3.PutObjectTagging": _object("s3:PutObjectTagging"),
    "s3.UploadPart": _object("s3:PutObject"),
    "sagemaker.DescribeHubContent": _hub_content,
    "sagemaker.DescribeTrainingJob": _training_job("sagemaker:DescribeTrainingJob"),
    "sagemaker.ListTrainingJobs": lambda params: [Request("sagemaker:ListTrainingJobs", "*")],
    "sagemaker.StopTrainingJob": _training_job("sagemaker:StopTrainingJob"),
    "service-quotas.GetServiceQuota": lambda params: [Request("servicequotas:GetServiceQuota", "*")],
    "sfn.DescribeExecution": _on("states:DescribeExecution", "executionArn"),
    "sfn.StartExecution": _on("states:StartExecution", "stateMachineArn"),
}
"""What IAM is asked, by the operation that is called. An operation that is not here fails the test."""

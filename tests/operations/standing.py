"""A deployment in use, whose things can be asked to go: each takes a while, and stands on others."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from tests.fakes.answers import Answers, Parameters, Refusal
from tests.operations.healthy import ACCOUNT, BUCKET, OUTPUTS, REGION, TABLE

MACHINE = OUTPUTS["OutcropWorkflow"]["StateMachineArn"]
EXECUTION = f"{MACHINE.replace('stateMachine', 'execution')}:ftjob-1-1"
REPOSITORY = "outcropimages-imagerepository-1"
_MADE = datetime(2026, 11, 1, tzinfo=UTC)
_MODEL_ARN = f"arn:aws:bedrock:{REGION}:{ACCOUNT}:imported-model/abcdefghijkl"
_LOOKS = 2
"""So often a thing that was asked to go is seen before it is gone."""
_IMPORTS_FROM = {
    "OutcropFiles": ("OutcropStorage",),
    "OutcropTraining": ("OutcropStorage", "OutcropImages"),
    "OutcropWorkflow": (
        "OutcropStorage",
        "OutcropFiles",
        "OutcropTraining",
        "OutcropSandbox",
        "OutcropWeights",
    ),
    "OutcropWeights": ("OutcropStorage",),
    "OutcropServing": ("OutcropStorage",),
    "OutcropApi": ("OutcropStorage", "OutcropWorkflow", "OutcropFiles", "OutcropServing", "OutcropSandbox"),
    "OutcropMonitoring": ("OutcropApi", "OutcropWorkflow"),
}


class Standing:
    """`there`: by kind, the names of what is there, and how often each is seen yet; None: for good."""

    def __init__(self, answers: Answers) -> None:
        self.gone: list[str] = []
        """In the order in which they went."""
        self.there: dict[str, dict[str, int | None]] = {
            "stack": dict.fromkeys(OUTPUTS),
            "rule": {"sweeper": None},
            "execution": {EXECUTION: None},
            "training": {"ftjob-1-1": None},
            "target": {"inference-component/outcrop-tiny-base": None},
            "component": dict.fromkeys(["outcrop-tiny-base", "outcrop-ftjob-1-step-000010"]),
            "endpoint": {"outcrop-tiny": None, "of-others-outcrop-like": None},
            "config": {"outcrop-tiny-1-2": None},
            "model": {"outcrop-tiny-1": None},
            "import": {"outcrop-ftjob-2": 3},
            "imported": {"outcrop-ftjob-1": None, "somebody-elses": None},
            "interface": {"eni-1": 4},
            "repository": {REPOSITORY: None},
            "bucket": {BUCKET: None},
            "object": {f"files/{number}": None for number in range(3)},
            "upload": {"files/unfinished": None},
            "table": {TABLE: None, "of-others": None},
            "group": dict.fromkeys(
                ["OutcropApi-ApiLogs-1", "/aws/sagemaker/Endpoints/outcrop-tiny", "OutcroppingOfOthers"]
            ),
            "stream": {"ftjob-1-1/algo-1": None},
        }
        self.protected: set[str] = set()
        for part in (self._stacks, self._runs, self._serving, self._data):
            part(answers)

    def names(self, kind: str) -> list[str]:
        """Those that are seen once more."""
        for name, looks in list(self.there[kind].items()):
            if looks == 0:
                del self.there[kind][name]
                self.gone.append(f"{kind} {name}")
            elif looks is not None:
                self.there[kind][name] = looks - 1
        return [*self.there[kind]]

    def ask(self, kind: str, name: str) -> None:
        if self.there[kind].get(name, 0) is None:
            self.there[kind][name] = _LOOKS

    def left(self) -> dict[str, list[str]]:
        return {kind: [*names] for kind, names in self.there.items() if names}

    def _stacks(self, answers: Answers) -> None:
        def describe(asked: Parameters) -> Mapping[str, Any]:
            wanted = asked.get("StackName")
            names = [name for name in self.names("stack") if wanted in (None, name)]
            if wanted and not names:
                raise Refusal("ValidationError", f"Stack with id {wanted} does not exist")
            return {"Stacks": [self._stack(name) for name in names]}

        def delete(asked: Parameters) -> Mapping[str, Any]:
            name = asked["StackName"]
            if name in self.protected:
                raise Refusal(
                    "ValidationError", f"{name} cannot be deleted while TerminationProtection is enabled"
                )
            importers = [
                one for one, from_ in _IMPORTS_FROM.items() if name in from_ and one in self.there["stack"]
            ]
            assert not importers, f"{name} was to go before {importers}"
            self.ask("stack", name)
            return {}

        def resources(asked: Parameters) -> Mapping[str, Any]:
            found = {
                "OutcropWorkflow": [
                    ("AWS::Events::Rule", "sweeper"),
                    ("AWS::StepFunctions::StateMachine", MACHINE),
                ],
                "OutcropImages": [("AWS::ECR::Repository", REPOSITORY)],
            }.get(asked["StackName"], [])
            return {
                "StackResourceSummaries": [
                    {
                        "LogicalResourceId": "A",
                        "PhysicalResourceId": name,
                        "ResourceType": kind,
                        "ResourceStatus": "CREATE_COMPLETE",
                        "LastUpdatedTimestamp": _MADE,
                    }
                    for kind, name in found
                ]
            }

        answers["sts.GetCallerIdentity"] = {"Account": ACCOUNT, "Arn": f"arn:aws:iam::{ACCOUNT}:user/ops"}
        answers["cloudformation.DescribeStacks"] = describe
        answers["cloudformation.DeleteStack"] = delete
        answers["cloudformation.ListStackResources"] = resources
        answers["ec2.DescribeNetworkInterfaces"] = lambda _: {
            "NetworkInterfaces": [
                {"NetworkInterfaceId": name, "Status": "in-use"} for name in self.names("interface")
            ]
        }

    def _stack(self, name: str) -> dict[str, Any]:
        is_going = self.there["stack"][name] is not None
        return {
            "StackName": name,
            "StackStatus": "DELETE_IN_PROGRESS" if is_going else "UPDATE_COMPLETE",
            "CreationTime": _MADE,
            "Outputs": [{"OutputKey": key, "OutputValue": value} for key, value in OUTPUTS[name].items()],
        }

    def _runs(self, answers: Answers) -> None:
        def disable(asked: Parameters) -> Mapping[str, Any]:
            self.there["rule"].pop(asked["Name"], None)
            return {}

        answers["events.DescribeRule"] = lambda asked: {
            "Name": asked["Name"],
            "State": "ENABLED" if asked["Name"] in self.there["rule"] else "DISABLED",
        }
        answers["events.DisableRule"] = disable
        answers["stepfunctions.DescribeStateMachine"] = {
            "stateMachineArn": MACHINE,
            "name": "Training-1",
            "definition": "{}",
            "roleArn": "arn:1",
            "type": "STANDARD",
            "creationDate": _MADE,
        }
        answers["stepfunctions.ListExecutions"] = lambda _: {
            "executions": [
                {
                    "executionArn": arn,
                    "stateMachineArn": MACHINE,
                    "name": "ftjob-1-1",
                    "status": "RUNNING",
                    "startDate": _MADE,
                }
                for arn in self.names("execution")
            ]
        }
        answers["stepfunctions.StopExecution"] = lambda asked: {
            "stopDate": self.ask("execution", asked["executionArn"]) or _MADE
        }
        answers["sagemaker.ListTrainingJobs"] = lambda asked: {
            "TrainingJobSummaries": [
                {
                    "TrainingJobName": name,
                    "TrainingJobArn": f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:training-job/{name}",
                    "CreationTime": _MADE,
                    "TrainingJobStatus": "InProgress",
                }
                for name in (self.names("training") if asked["StatusEquals"] == "InProgress" else ())
            ]
        }
        answers["sagemaker.StopTrainingJob"] = self._removal("training", "TrainingJobName")

    def _serving(self, answers: Answers) -> None:
        answers["application-autoscaling.DescribeScalableTargets"] = lambda _: {
            "ScalableTargets": [
                {
                    "ServiceNamespace": "sagemaker",
                    "ResourceId": name,
                    "ScalableDimension": "sagemaker:inference-component:DesiredCopyCount",
                    "MinCapacity": 0,
                    "MaxCapacity": 2,
                    "RoleARN": "arn:1",
                    "CreationTime": _MADE,
                }
                for name in self.names("target")
            ]
        }
        answers["application-autoscaling.DeregisterScalableTarget"] = self._removal("target", "ResourceId")
        lists = (
            ("ListInferenceComponents", "InferenceComponents", "InferenceComponent", "component"),
            ("ListEndpoints", "Endpoints", "Endpoint", "endpoint"),
            ("ListEndpointConfigs", "EndpointConfigs", "EndpointConfig", "config"),
            ("ListModels", "Models", "Model", "model"),
        )
        for operation, field, thing, kind in lists:
            answers[f"sagemaker.{operation}"] = self._list(field, thing, kind)
            answers[f"sagemaker.Delete{thing}"] = self._removal(kind, f"{thing}Name")
        answers["bedrock.ListModelImportJobs"] = lambda _: {
            "modelImportJobSummaries": [
                {"jobArn": _MODEL_ARN, "jobName": name, "status": "InProgress", "creationTime": _MADE}
                for name in self.names("import")
            ]
        }
        answers["bedrock.ListImportedModels"] = lambda _: {
            "modelSummaries": [
                {"modelArn": _MODEL_ARN, "modelName": name, "creationTime": _MADE}
                for name in self.names("imported")
            ]
        }
        answers["bedrock.DeleteImportedModel"] = self._removal("imported", "modelIdentifier")

    def _list(self, field: str, thing: str, kind: str) -> Any:
        """SageMaker's own answers, each with what its shape asks for."""
        more: dict[str, Any] = {
            "Endpoint": {"LastModifiedTime": _MADE, "EndpointStatus": "InService"},
            "InferenceComponent": {
                "LastModifiedTime": _MADE,
                "EndpointName": "outcrop-tiny",
                "EndpointArn": f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:endpoint/outcrop-tiny",
                "VariantName": "outcrop",
            },
        }.get(thing, {})
        arn = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:thing/1"
        return lambda _: {
            field: [
                {f"{thing}Name": name, f"{thing}Arn": arn, "CreationTime": _MADE, **more}
                for name in self.names(kind)
            ]
        }

    def _removal(self, kind: str, key: str) -> Any:
        """SageMaker refuses to delete what others stand on, and what is on its way out."""
        under = {"component": None, "endpoint": "component", "config": "endpoint", "model": "config"}

        def remove(asked: Parameters) -> Mapping[str, Any]:
            name = asked[key]
            on_top = [one for one in self.there.get(under.get(kind) or "", ()) if "outcrop-" in one[:8]]
            if kind == "component" and name.endswith("-base"):
                on_top = [one for one in self.there[kind] if one != name]
            if on_top or (kind in under and self.there[kind].get(name, 0) is not None):
                raise Refusal("ValidationException", f"{name} is in use or in progress")
            self.ask(kind, name)
            return {}

        return remove

    def _data(self, answers: Answers) -> None:
        def head(asked: Parameters) -> Mapping[str, Any]:
            if asked["Bucket"] not in self.names("bucket"):
                raise Refusal("404", status=404)
            return {}

        def delete_objects(asked: Parameters) -> Mapping[str, Any]:
            for one in asked["Delete"]["Objects"]:
                del self.there["object"][one["Key"]]
                self.gone.append(f"object {one['Key']}")
            return {}

        def abort(asked: Parameters) -> Mapping[str, Any]:
            del self.there["upload"][asked["Key"]]
            return {}

        def delete_bucket(asked: Parameters) -> Mapping[str, Any]:
            if self.there["object"] or self.there["upload"]:
                raise Refusal("BucketNotEmpty", status=409)
            self.ask("bucket", asked["Bucket"])
            return {}

        answers["s3.ListBuckets"] = lambda _: {"Buckets": [{"Name": one} for one in self.there["bucket"]]}
        answers["s3.HeadBucket"] = head
        answers["s3.ListObjectVersions"] = lambda _: {
            "Versions": [{"Key": key, "VersionId": "v1"} for key in self.there["object"]]
        }
        answers["s3.DeleteObjects"] = delete_objects
        answers["s3.ListMultipartUploads"] = lambda _: {
            "Uploads": [{"Key": key, "UploadId": "u1"} for key in self.there["upload"]]
        }
        answers["s3.AbortMultipartUpload"] = abort
        answers["s3.DeleteBucket"] = delete_bucket
        answers["dynamodb.ListTables"] = lambda _: {"TableNames": [*self.there["table"]]}
        answers["dynamodb.DescribeTable"] = self._described("table", "TableName", "ResourceNotFoundException")
        answers["dynamodb.DeleteTable"] = self._removal("table", "TableName")
        answers["ecr.DescribeRepositories"] = lambda asked: self._repositories(asked)
        answers["ecr.DeleteRepository"] = self._removal("repository", "repositoryName")
        answers["logs.DescribeLogGroups"] = lambda asked: {
            "logGroups": [
                {"logGroupName": name}
                for name in self.names("group")
                if name.startswith(asked["logGroupNamePrefix"])
            ]
        }
        answers["logs.DeleteLogGroup"] = self._removal("group", "logGroupName")
        answers["logs.DescribeLogStreams"] = lambda _: {
            "logStreams": [{"logStreamName": name} for name in self.names("stream")]
        }
        answers["logs.DeleteLogStream"] = self._removal("stream", "logStreamName")

    def _described(self, kind: str, key: str, code: str) -> Any:
        def describe(asked: Parameters) -> Mapping[str, Any]:
            if asked[key] not in self.names(kind):
                raise Refusal(code, status=404)
            return {}

        return describe

    def _repositories(self, asked: Parameters) -> Mapping[str, Any]:
        wanted = asked.get("repositoryNames")
        found = [name for name in self.names("repository") if wanted is None or name in wanted]
        if wanted and not found:
            raise Refusal("RepositoryNotFoundException")
        return {"repositories": [{"repositoryName": name} for name in found]}

"""How base weights come into the bucket: three functions, and the workflow that calls them."""

from typing import Any

import aws_cdk as cdk
from constructs import Construct

from stacks.bundle import dependency_layer
from stacks.constructs.python_function import PythonFunction
from stacks.constructs.weights_workflow import WeightsWorkflow
from stacks.deployment import Deployment
from stacks.permissions import allow
from stacks.storage import StorageStack

_MANIFESTS = "models/*/manifest.json"
_HUB = "SageMakerPublicHub"
_JUMPSTART_BUCKETS = ("jumpstart-cache-prod", "jumpstart-private-cache-prod")


class WeightsStack(cdk.Stack):
    def __init__(self, scope: Construct, id: str, *, deployment: Deployment, storage: StorageStack) -> None:
        super().__init__(scope, id, description="Outcrop: the workflow that fetches base weights")
        self._layer = dependency_layer(self)
        self._deployment = deployment
        self._storage = storage

        # A whole processor's worth of memory; a step holds one part of a file and little else.
        fetches = {"timeout": cdk.Duration.minutes(15), "memory_size": 1792}
        list_weights = self._step("ListWeights", "list_weights", timeout=cdk.Duration.minutes(5))
        fetch_weights = self._step("FetchWeights", "fetch_weights", **fetches)
        publish_weights = self._step("PublishWeights", "publish_weights", timeout=cdk.Duration.minutes(5))
        self._allow_objects(list_weights, fetch_weights, publish_weights)
        self._allow_sources(list_weights, fetch_weights)
        self.state_machine = WeightsWorkflow(
            self,
            "Weights",
            list_weights=list_weights,
            fetch_weights=fetch_weights,
            publish_weights=publish_weights,
        ).state_machine
        cdk.CfnOutput(self, "StateMachineArn", value=self.state_machine.state_machine_arn)
        cdk.CfnOutput(self, "OwnModels", value=deployment.own_models_json)

    def allow_status(self, function: PythonFunction) -> None:
        """What `weights.status` of `outcrop.operations` needs."""
        self._storage.allow_objects(function, "s3:GetObject", under=[_MANIFESTS])
        executions = self.format_arn(
            service="states",
            resource="execution",
            resource_name=f"{self.state_machine.state_machine_name}:*",
            arn_format=cdk.ArnFormat.COLON_RESOURCE_NAME,
        )
        because = "an execution is named after the model and its revision"
        allow(function, "states:DescribeExecution", on=[executions], because=because)
        function.add_environment("OUTCROP_WEIGHTS_WORKFLOW_ARN", self.state_machine.state_machine_arn)

    def allow_sync(self, function: PythonFunction) -> None:
        """And what `weights.ensure` needs."""
        self.allow_status(function)
        allow(function, "states:StartExecution", on=[self.state_machine.state_machine_arn])

    def _step(self, id: str, module: str, **props: Any) -> PythonFunction:
        return PythonFunction(
            self,
            id,
            module=f"lambdas.workflow.{module}",
            layer=self._layer,
            environment={"OUTCROP_BUCKET": self._storage.bucket.bucket_name},
            **props,
        )

    def _allow_objects(
        self, list_weights: PythonFunction, fetch_weights: PythonFunction, publish_weights: PythonFunction
    ) -> None:
        """Nothing but `models/`."""
        everything = ["models/*"]
        for function in (fetch_weights, publish_weights):
            self._storage.allow_objects(function, "s3:AbortMultipartUpload", under=everything)
            allow(function, "s3:ListBucketMultipartUploads", on=[self._storage.bucket.bucket_arn])
        self._storage.allow_objects(list_weights, "s3:DeleteObject", under=[_MANIFESTS])
        self._storage.allow_objects(
            fetch_weights,
            "s3:DeleteObject",
            "s3:GetObject",
            "s3:GetObjectTagging",
            "s3:ListMultipartUploadParts",
            "s3:PutObject",
            "s3:PutObjectTagging",
            under=everything,
        )
        self._storage.allow_objects(publish_weights, "s3:DeleteObject", "s3:GetObject", under=everything)
        self._storage.allow_objects(publish_weights, "s3:PutObject", under=[_MANIFESTS])

    def _allow_sources(self, list_weights: PythonFunction, fetch_weights: PythonFunction) -> None:
        source, secret = self._deployment.weights_source, self._deployment.hugging_face_secret
        for function in (list_weights, fetch_weights):
            function.add_environment("OUTCROP_WEIGHTS_SOURCE", source)
            if secret:
                function.add_environment("OUTCROP_HUGGING_FACE_SECRET", secret)
                allow(function, "secretsmanager:GetSecretValue", on=[secret])
        names = [model.jumpstart for model in self._deployment.models if model.jumpstart]
        if source == "huggingface" or not names:
            return
        contents = [self._public("hub-content", f"{_HUB}/Model/{name}/*") for name in names]
        because = "AWS's public copies of the models, in every version"
        hub = self._public("hub", _HUB)
        allow(list_weights, "sagemaker:DescribeHubContent", on=[hub, *contents], because=because)
        buckets = [f"arn:{self.partition}:s3:::{name}-{self.region}" for name in _JUMPSTART_BUCKETS]
        allow(list_weights, "s3:ListBucket", on=buckets)
        allow(fetch_weights, "s3:GetObject", on=[f"{bucket}/*" for bucket in buckets], because=because)

    def _public(self, resource: str, name: str) -> str:
        """The ARN of something in SageMaker's public hub, whose account is called `aws`."""
        return self.format_arn(service="sagemaker", account="aws", resource=resource, resource_name=name)

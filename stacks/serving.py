"""The inference function: chat completions, completions and responses, streamed."""

import aws_cdk as cdk
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from stacks.bundle import dependency_layer
from stacks.constructs.python_function import PythonFunction
from stacks.deployment import Deployment
from stacks.storage import StorageStack

# AWS's account and the newest version of https://github.com/awslabs/aws-lambda-web-adapter
_WEB_ADAPTER = "753240598075:layer:LambdaAdapterLayerArm64:28"


class ServingStack(cdk.Stack):
    def __init__(self, scope: Construct, id: str, *, deployment: Deployment, storage: StorageStack) -> None:
        super().__init__(scope, id, description="Outcrop: the inference function")
        layer = dependency_layer(self)
        web_adapter = lambda_.LayerVersion.from_layer_version_arn(
            self, "WebAdapter", f"arn:{self.partition}:lambda:{self.region}:{_WEB_ADAPTER}"
        )
        self.inference = PythonFunction(
            self,
            "Inference",
            module="lambdas.inference.app",
            layer=layer,
            layers=[layer, web_adapter],
            # The adapter runs this script, waits for the app it serves, and turns events into HTTP.
            handler="lambdas/inference/run.sh",
            memory_size=1024,
            timeout=cdk.Duration.minutes(15),
            environment={
                "AWS_LAMBDA_EXEC_WRAPPER": "/opt/bootstrap",
                "AWS_LWA_INVOKE_MODE": "response_stream",
                "OUTCROP_TABLE": storage.table.table_name,
                "OUTCROP_BUCKET": storage.bucket.bucket_name,
                "OUTCROP_BASE_MODELS": ",".join(deployment.models),
                "OUTCROP_SERVING_URL": deployment.serving_url,
            },
        )
        storage.table.grant(self.inference, "dynamodb:GetItem", "dynamodb:Query")

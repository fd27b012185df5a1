"""The inference function: chat completions, completions and responses, streamed. Beside it, the workflow that
runs responses in the background."""

import aws_cdk as cdk
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from stacks.bundle import dependency_layer
from stacks.constructs.python_function import PythonFunction
from stacks.constructs.single_step_workflow import SingleStepWorkflow
from stacks.constructs.tended_endpoints import TendedEndpoints
from stacks.deployment import Deployment
from stacks.import_permissions import ImportRole, allow_asking_imported, allow_importing
from stacks.serving_settings import serving_environment
from stacks.storage import StorageStack

# AWS's account and the newest version of https://github.com/awslabs/aws-lambda-web-adapter
_WEB_ADAPTER = "753240598075:layer:LambdaAdapterLayerArm64:28"

_ROWS = (
    "dynamodb:BatchGetItem",
    "dynamodb:ConditionCheckItem",
    "dynamodb:GetItem",
    "dynamodb:PutItem",
    "dynamodb:Query",
    "dynamodb:UpdateItem",
)


class ServingStack(cdk.Stack):
    def __init__(self, scope: Construct, id: str, *, deployment: Deployment, storage: StorageStack) -> None:
        super().__init__(scope, id, description="Outcrop: the inference function")
        environment = {
            "OUTCROP_TABLE": storage.table.table_name,
            "OUTCROP_BUCKET": storage.bucket.bucket_name,
            "OUTCROP_BASE_MODELS": ",".join(deployment.model_ids),
            **serving_environment(deployment),
        }
        layer = dependency_layer(self)
        web_adapter = lambda_.LayerVersion.from_layer_version_arn(
            self, "WebAdapter", f"arn:{self.partition}:lambda:{self.region}:{_WEB_ADAPTER}"
        )
        run_response = PythonFunction(
            self,
            "RunResponse",
            module="lambdas.workflow.run_response",
            layer=layer,
            timeout=cdk.Duration.minutes(15),
            environment=environment,
        )
        storage.allow_rows(run_response, *_ROWS)
        responses = SingleStepWorkflow(self, "Responses", step=run_response).state_machine
        cdk.CfnOutput(self, "ResponseStateMachineArn", value=responses.state_machine_arn)
        cdk.CfnOutput(self, "Serving", value=deployment.serving)
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
                "OUTCROP_RESPONSE_WORKFLOW_ARN": responses.state_machine_arn,
                **environment,
            },
        )
        storage.allow_rows(self.inference, *_ROWS, "dynamodb:DeleteItem")
        storage.allow_objects(self.inference, "s3:DeleteObject", under=["projects/*/bodies/*"])
        responses.grant_start_execution(self.inference)
        for function in (self.inference, run_response):
            storage.allow_objects(
                function, "s3:GetObject", "s3:PutObject", "s3:PutObjectTagging", under=["projects/*/bodies/*"]
            )
        if deployment.serving == "sagemaker":
            TendedEndpoints(
                self,
                "Endpoints",
                deployment=deployment,
                storage=storage,
                layer=layer,
                asking=[self.inference, run_response],
            )
        if deployment.serving == "bedrock_import":
            importing = ImportRole(self, "Import", storage=storage)
            for function in (self.inference, run_response):
                allow_importing(function, importing)
                allow_asking_imported(function)

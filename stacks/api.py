"""The API: a Regional REST API, its authorizer, and the function behind all routes but those of inference.

Stage `v1` makes `https://.../v1` the SDK's `base_url`. Stage `openai` and the routes below `/v1` make
`https://.../openai/v1` answer the same.
"""

import json
from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_logs as logs
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from stacks.bundle import dependency_layer
from stacks.bus import allow_telling
from stacks.constructs.custom_domain import CustomApiDomain
from stacks.constructs.error_replies import add_error_replies
from stacks.constructs.firewall import Firewall
from stacks.constructs.python_function import PythonFunction
from stacks.deployment import Deployment
from stacks.graders import allow_graders
from stacks.import_permissions import allow_checking_imported, allow_deleting_imported
from stacks.judges import allow_judges
from stacks.permissions import acknowledge, allow
from stacks.s3_sources import allow_s3_sources
from stacks.serving_permissions import allow_components
from stacks.serving_settings import serving_environment
from stacks.storage import StorageStack
from stacks.training_settings import machine_environment

# Path, method, and whether the inference function answers, which streams. A call goes to the most specific
# path that has its method: what no other line names is the `api` function's to answer or refuse.
_ROUTES = (
    ("{proxy+}", "ANY", False),
    ("chat/completions", "POST", True),
    ("chat/completions", "GET", False),
    ("chat/completions/{proxy+}", "ANY", False),
    ("completions", "POST", True),
    ("responses", "ANY", True),
    ("responses/{proxy+}", "ANY", True),
)
_FINDINGS = {
    "AwsSolutions-APIG2": "the functions check every request, and answer in OpenAI's envelope",
    "AwsSolutions-APIG3": "a web ACL costs money while nobody calls: the setting waf makes one",
    "AwsSolutions-APIG6": "execution logs hold bodies and keys; the access log has a line for every request",
    "AwsSolutions-COG4": "callers have API keys, which the authorizer checks for every method",
    "AwsSolutions-IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/service-role/"
    "AmazonAPIGatewayPushToCloudWatchLogs]": "AWS's own policy for the logs of API Gateway in this Region",
    "Serverless-APIGWXrayEnabled": "the ids of requests are in the access log, the functions' and replies",
}
_STAGE_FINDINGS = {
    "CKV_AWS_73": "the ids of requests are in the access log, the functions' and the replies",
    "CKV_AWS_120": "every answer is one caller's own, and has to be new",
}


class ApiStack(cdk.Stack):
    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        deployment: Deployment,
        storage: StorageStack,
        state_machine: sfn.IStateMachine,
        file_workflow: sfn.IStateMachine,
        sandbox: PythonFunction,
        inference: PythonFunction,
    ) -> None:
        super().__init__(scope, id, description="Outcrop: the API")
        self._layer = dependency_layer(self)
        function = self._api_function(deployment, storage, state_machine, file_workflow, sandbox)
        authorizer = self._authorizer(storage)
        self.access_logs = logs.LogGroup(
            self,
            "AccessLogs",
            retention=logs.RetentionDays.ONE_MONTH,
            removal_policy=cdk.RemovalPolicy.DESTROY,
        )
        api = apigateway.RestApi(
            self,
            "RestApi",
            rest_api_name="outcrop",  # by which CloudWatch keeps its metrics
            endpoint_types=[apigateway.EndpointType.REGIONAL],
            binary_media_types=["*/*"],  # a file's content is binary, whatever its reader accepts
            default_method_options=apigateway.MethodOptions(
                authorizer=authorizer, authorization_type=apigateway.AuthorizationType.CUSTOM
            ),
            cloud_watch_role=True,
            cloud_watch_role_removal_policy=cdk.RemovalPolicy.DESTROY,
            deploy_options=apigateway.StageOptions(stage_name="v1", **self._stage_options(deployment)),
        )
        # One permission for all methods and both stages: a method's own would name the stage v1 only.
        buffered = apigateway.LambdaIntegration(
            function,  # pyright: ignore[reportArgumentType]
            scope_permission_to_method=False,
        )
        streamed = apigateway.LambdaIntegration(
            inference,  # pyright: ignore[reportArgumentType]
            scope_permission_to_method=False,
            response_transfer_mode=apigateway.ResponseTransferMode.STREAM,
            timeout=cdk.Duration.minutes(15),
        )
        for root in (api.root, api.root.add_resource("v1")):
            for path, method, is_streamed in _ROUTES:
                root.resource_for_path(path).add_method(method, streamed if is_streamed else buffered)
        add_error_replies(api)
        acknowledge(api, _FINDINGS)
        self.rest_api = api
        openai_stage = apigateway.Stage(
            self,
            "OpenaiStage",
            deployment=api.latest_deployment,  # pyright: ignore[reportArgumentType]  # there is one: v1's
            stage_name="openai",
            **self._stage_options(deployment),
        )
        acknowledge(openai_stage, _FINDINGS | _STAGE_FINDINGS)
        acknowledge(api.deployment_stage, _STAGE_FINDINGS)
        openai_stage.node.add_dependency(api.deployment_stage)  # which waits for the right to write logs
        if deployment.waf:
            Firewall(self, "Firewall", stages=[api.deployment_stage, openai_stage])
        base_url = api.url_for_path().rstrip("/")
        if deployment.custom_domain:
            CustomApiDomain(
                self,
                "Domain",
                setting=deployment.custom_domain,
                stages={"v1": api.deployment_stage, "openai": openai_stage},
                api=api,
            )
            base_url = f"https://{deployment.custom_domain.name}/v1"
        cdk.CfnOutput(self, "BaseUrl", value=base_url)
        cdk.CfnOutput(self, "ApiFunction", value=function.function_name)

    def _api_function(
        self,
        deployment: Deployment,
        storage: StorageStack,
        state_machine: sfn.IStateMachine,
        file_workflow: sfn.IStateMachine,
        sandbox: PythonFunction,
    ) -> PythonFunction:
        function = PythonFunction(
            self,
            "Api",
            module="lambdas.api.handler",
            layer=self._layer,
            memory_size=1024,
            timeout=cdk.Duration.seconds(29),
            environment={
                "OUTCROP_TABLE": storage.table.table_name,
                "OUTCROP_BUCKET": storage.bucket.bucket_name,
                "OUTCROP_STATE_MACHINE_ARN": state_machine.state_machine_arn,
                "OUTCROP_FILE_WORKFLOW_ARN": file_workflow.state_machine_arn,
                "OUTCROP_JUDGES": deployment.judges_json,
                "OUTCROP_SANDBOX_FUNCTION": sandbox.function_arn,
                "OUTCROP_S3_SOURCES": json.dumps(deployment.s3_sources),
                "OUTCROP_BASE_MODELS": ",".join(deployment.model_ids),
                **machine_environment(deployment),
                **serving_environment(deployment),
            },
        )
        storage.allow_objects(
            function,
            "s3:GetObject",
            "s3:PutObject",
            "s3:PutObjectTagging",
            "s3:DeleteObject",
            under=["projects/*/files/*"],
        )
        storage.allow_objects(function, "s3:PutObject", "s3:PutObjectTagging", under=["projects/*/uploads/*"])
        storage.allow_objects(function, "s3:GetObject", "s3:DeleteObject", under=["projects/*/bodies/*"])
        allow_s3_sources(function, deployment)
        storage.allow_rows(
            function,
            "dynamodb:GetItem",
            "dynamodb:BatchGetItem",
            "dynamodb:PutItem",
            "dynamodb:UpdateItem",
            "dynamodb:DeleteItem",
            "dynamodb:Query",
        )
        state_machine.grant_start_execution(function)
        allow_telling(function)
        file_workflow.grant_start_execution(function)
        training_jobs = self.format_arn(service="sagemaker", resource="training-job", resource_name="ftjob-*")
        because = "a training job is named after its fine-tuning job"
        allow(function, "sagemaker:StopTrainingJob", on=[training_jobs], because=because)
        # Creating a job checks that its grader exists; `graders/run` tries it.
        allow_graders(function, deployment, "lambda:GetFunctionConfiguration", "lambda:InvokeFunction")
        allow_judges(function, deployment)
        if deployment.serving == "sagemaker":  # a model that is deleted leaves its endpoint
            allow_components(function, "Delete")
        if deployment.serving == "bedrock_import":
            allow_checking_imported(function)
            allow_deleting_imported(function)
        return function

    def _authorizer(self, storage: StorageStack) -> apigateway.RequestAuthorizer:
        function = PythonFunction(
            self,
            "Authorizer",
            module="lambdas.authorizer.handler",
            layer=self._layer,
            environment={"OUTCROP_TABLE": storage.table.table_name},
        )
        storage.allow_rows(function, "dynamodb:GetItem")
        # It notes when a key was last used, and can write nothing but keys.
        keys = {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["P#*#KEY"]}}
        storage.allow_rows(function, "dynamodb:UpdateItem", when=keys)
        return apigateway.RequestAuthorizer(
            self,
            "KeyAuthorizer",
            handler=function,  # pyright: ignore[reportArgumentType]
            identity_sources=[apigateway.IdentitySource.header("Authorization")],
            results_cache_ttl=cdk.Duration.seconds(60),  # how long a revoked key still works
        )

    def _stage_options(self, deployment: Deployment) -> dict[str, Any]:
        """How much each method takes; and a log of who called what, when, and how it went: never the
        Authorization header or a body.
        """
        context = apigateway.AccessLogField
        entry = {
            "request_id": context.context_request_id(),
            "time": context.context_request_time(),
            "method": context.context_http_method(),
            "path": context.context_path(),
            "status": context.context_status(),
            "latency_ms": context.context_response_latency(),
            "response_bytes": context.context_response_length(),
            "error": context.context_error_response_type(),
            "project": context.context_authorizer("project_id"),
        }
        return {
            "throttling_rate_limit": deployment.requests_per_second,
            "throttling_burst_limit": deployment.request_burst,
            "access_log_destination": apigateway.LogGroupLogDestination(self.access_logs),
            "access_log_format": apigateway.AccessLogFormat.custom(self.to_json_string(entry)),
        }

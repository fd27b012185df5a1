"""What is deployed: state that stays, routes that stream, errors in the envelope, no names of our own."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from stacks.gateway_errors import GATEWAY_ERRORS
from tests.stacks.conftest import Templates

_NAMES = {
    "BucketName",
    "FunctionName",
    "LayerName",
    "LogGroupName",
    "ManagedPolicyName",
    "RoleName",
    "StateMachineName",
    "TableName",
}


def resources(templates: Templates, type: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for template in templates.values():
        for id, resource in template["Resources"].items():
            if resource["Type"] == type:
                yield id, resource


def test_the_stacks_are_these(templates: Templates) -> None:
    assert set(templates) == {
        "OutcropStorage",
        "OutcropFiles",
        "OutcropTraining",
        "OutcropWorkflow",
        "OutcropSandbox",
        "OutcropServing",
        "OutcropApi",
        "OutcropWeights",
        "OutcropMonitoring",
    }


def test_only_storage_holds_state_and_it_is_kept(templates: Templates) -> None:
    stateful = {"AWS::DynamoDB::Table", "AWS::S3::Bucket"}
    for name, template in templates.items():
        for resource in template["Resources"].values():
            if resource["Type"] in stateful:
                assert name == "OutcropStorage"
                assert resource["DeletionPolicy"] == "Retain"
                assert resource["UpdateReplacePolicy"] == "Retain"


def test_the_bucket_is_closed_to_the_public_and_to_plain_http(templates: Templates) -> None:
    ((_, bucket),) = resources(templates, "AWS::S3::Bucket")
    ((_, policy),) = resources(templates, "AWS::S3::BucketPolicy")

    assert all(bucket["Properties"]["PublicAccessBlockConfiguration"].values())
    refused = policy["Properties"]["PolicyDocument"]["Statement"]
    assert {one["Effect"] for one in refused} == {"Deny"}
    assert [one["Condition"] for one in refused] == [
        {"Bool": {"aws:SecureTransport": "false"}},
        {"NumericLessThan": {"s3:TlsVersion": 1.2}},
    ]


def test_nothing_has_a_physical_name(templates: Templates) -> None:
    for template in templates.values():
        for id, resource in template["Resources"].items():
            if resource["Type"] in ("AWS::Lambda::Permission", "AWS::Logs::MetricFilter"):
                continue  # theirs are references
            assert not _NAMES & resource.get("Properties", {}).keys(), id


def test_functions_run_on_arm_with_one_source_bundle(templates: Templates) -> None:
    functions = [one["Properties"] for _, one in resources(templates, "AWS::Lambda::Function")]

    assert len(functions) == 15
    assert {function["Runtime"] for function in functions} == {"python3.13"}
    assert {tuple(function["Architectures"]) for function in functions} == {("arm64",)}
    ours = [function for function in functions if function["Handler"] != "lambdas.sandbox.handler.handler"]
    assert len({function["Code"]["S3Key"] for function in ours}) == 1
    layers = {
        one["Properties"]["Content"]["S3Key"] for _, one in resources(templates, "AWS::Lambda::LayerVersion")
    }
    assert len(layers) == 2  # the functions' and the sandbox's


def test_inference_streams_and_the_rest_is_buffered(templates: Templates) -> None:
    api = templates["OutcropApi"]["Resources"]
    streamed, buffered = set(), set()
    for resource in api.values():
        if resource["Type"] == "AWS::ApiGateway::Method":
            method = resource["Properties"]
            call = f"{method['HttpMethod']} {_path(api, method['ResourceId'])}"
            if method["Integration"].get("ResponseTransferMode") == "STREAM":
                assert "response-streaming-invocations" in json.dumps(method["Integration"]["Uri"])
                assert method["Integration"]["TimeoutInMillis"] == 900_000
                streamed.add(call)
            else:
                buffered.add(call)

    inference = {"POST /chat/completions", "POST /completions", "ANY /responses", "ANY /responses/{proxy+}"}
    control = {"ANY /{proxy+}", "GET /chat/completions", "ANY /chat/completions/{proxy+}"}
    assert streamed == inference | {call.replace(" ", " /v1") for call in inference}
    assert buffered == control | {call.replace(" ", " /v1") for call in control}


def test_every_method_asks_the_authorizer(templates: Templates) -> None:
    ((authorizer_id, authorizer),) = resources(templates, "AWS::ApiGateway::Authorizer")

    assert authorizer["Properties"]["Type"] == "REQUEST"
    assert authorizer["Properties"]["IdentitySource"] == "method.request.header.Authorization"
    assert authorizer["Properties"]["AuthorizerResultTtlInSeconds"] == 60
    for _, method in resources(templates, "AWS::ApiGateway::Method"):
        assert method["Properties"]["AuthorizationType"] == "CUSTOM"
        assert method["Properties"]["AuthorizerId"] == {"Ref": authorizer_id}


def test_both_stages_serve_one_deployment_and_log_no_key(templates: Templates) -> None:
    stages = [one["Properties"] for _, one in resources(templates, "AWS::ApiGateway::Stage")]

    assert {stage["StageName"] for stage in stages} == {"v1", "openai"}
    assert len({json.dumps(stage["DeploymentId"]) for stage in stages}) == 1
    for stage in stages:
        (settings,) = stage["MethodSettings"]
        assert (settings["HttpMethod"], settings["ResourcePath"]) == ("*", "/*")
        assert (settings["ThrottlingRateLimit"], settings["ThrottlingBurstLimit"]) == (500, 1000)
    for stage in stages:
        entry = json.loads(stage["AccessLogSetting"]["Format"])
        assert entry["request_id"] == "$context.requestId"
        assert "authorization" not in json.dumps(entry).lower()


def test_api_gateway_s_own_errors_are_openai_s_envelope(templates: Templates) -> None:
    replies = {
        one["Properties"]["ResponseType"]: one["Properties"]
        for _, one in resources(templates, "AWS::ApiGateway::GatewayResponse")
    }

    assert replies.keys() == GATEWAY_ERRORS.keys()
    for kind, reply in replies.items():
        status = GATEWAY_ERRORS[kind].status
        assert reply.get("StatusCode") == (None if status is None else str(status))
        headers = dict(reply["ResponseParameters"])
        assert headers.pop("gatewayresponse.header.x-request-id") == "context.requestId"
        assert headers == {
            f"gatewayresponse.header.{name}": f"'{value}'"
            for name, value in GATEWAY_ERRORS[kind].headers.items()
        }
        body = reply["ResponseTemplates"]["application/json"]
        error = json.loads(body.replace("$context.error.messageString", '"Forbidden"'))["error"]
        assert error.keys() == {"message", "type", "param", "code"}


@pytest.mark.parametrize("kind", ["THROTTLED", "QUOTA_EXCEEDED"])
def test_a_rate_limit_says_when_to_come_back_soon_enough_for_the_sdk_to_wait(kind: str) -> None:
    refusal = GATEWAY_ERRORS[kind]

    assert refusal.status == 429
    assert refusal.type == "rate_limit_error"
    assert 0 < int(refusal.headers["retry-after"]) < 120


def _path(api: dict[str, Any], resource: dict[str, Any]) -> str:
    if "Fn::GetAtt" in resource:
        return ""
    properties = api[resource["Ref"]]["Properties"]
    return f"{_path(api, properties['ParentId'])}/{properties['PathPart']}"

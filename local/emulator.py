"""The emulated AWS: a moto server in this process, and the synthesized stacks deployed to it by
CloudFormation.
"""

import json
import logging
import os
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from moto.core.config import default_user_config
from moto.moto_api._internal.models import moto_api_backend
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server

from local import assembly, moto_patches, routes
from local.emulated_account import ACCOUNT, REGION, environment
from local.errors import LocalError
from local.processes import url
from local.state import WsgiApp

ASSETS_BUCKET = f"cdk-hnb659fds-assets-{ACCOUNT}-{REGION}"
_EMPTY_ZIP = b"PK\x05\x06" + b"\0" * 18  # functions run from source, so an asset's content does not matter
_FUNCTION = "AWS::Lambda::Function"
_NOT_EMULATED = (
    routes.PREFIX,
    "AWS::S3::BucketPolicy",
    "AWS::CloudWatch::",
    "AWS::Logs::MetricFilter",
)  # the gateway has the first, nothing checks the second, nobody watches the others


@dataclass(frozen=True)
class Function:
    """A function of the stacks, as the emulator deployed it."""

    name: str
    handler: str
    environment: dict[str, str]
    timeout_seconds: float


@dataclass(frozen=True)
class Deployed:
    functions: list[Function]
    """Those that are invoked with events."""
    streaming_functions: list[Function]
    """Those behind STREAM routes, which are called over HTTP."""
    api: routes.RestApi


class Emulator:
    """Serves on the listening socket between `start` and `stop`.

    Its Step Functions interpreter calls the other services by boto3 and this process's environment, which
    therefore holds the emulated account meanwhile, and no profile of the user's.
    """

    def __init__(self, listener: socket.socket, watch: Callable[[WsgiApp], WsgiApp]) -> None:
        app = watch(DomainDispatcherApplication(create_backend_app))
        host, port = listener.getsockname()
        self._server = make_server(
            host, port, app, threaded=True, request_handler=MotoRequestHandler, fd=listener.fileno()
        )
        self.endpoint_url = url(listener)
        self._thread = threading.Thread(target=self._server.serve_forever, name="emulator", daemon=True)
        self._environment_before: dict[str, str] = {}

    def start(self) -> None:
        self._environment_before = dict(os.environ)
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            del os.environ[name]
        os.environ.update(environment(self.endpoint_url) | {"MOTO_PORT": str(self._server.port)})
        default_user_config.update(moto_patches.CONFIG)  # pyright: ignore[reportCallIssue, reportArgumentType]
        logging.getLogger("werkzeug").setLevel(logging.WARNING)  # or it prints every call
        moto_api_backend.reset()  # the emulated account starts empty, even if it is not this process's first
        self._thread.start()

    def stop(self) -> None:
        if self._thread.is_alive():
            self._server.shutdown()
        self._server.server_close()
        if self._environment_before:
            os.environ.clear()
            os.environ.update(self._environment_before)

    def client(self, service: str) -> Any:
        return boto3.client(service)  # pyright: ignore[reportCallIssue, reportArgumentType]

    def deploy(self, folder: Path) -> Deployed:
        """Deploy a cloud assembly. Raises: LocalError."""
        self._bootstrap(folder)
        cloudformation = self.client("cloudformation")
        functions: list[Function] = []
        apis: list[routes.RestApi] = []
        for name, template in assembly.templates(folder):
            exports = {one["Name"]: one["Value"] for one in cloudformation.list_exports()["Exports"]}
            cloudformation.create_stack(
                StackName=name,
                TemplateBody=json.dumps(_emulated(template)),
                Capabilities=["CAPABILITY_IAM"],
            )
            (stack,) = cloudformation.describe_stacks(StackName=name)["Stacks"]
            if stack["StackStatus"] != "CREATE_COMPLETE":
                raise LocalError(
                    f"The stack {name} cannot be deployed to the emulator: {stack['StackStatus']}."
                )
            resources = cloudformation.describe_stack_resources(StackName=name)["StackResources"]
            ids = {
                one["LogicalResourceId"]: one["PhysicalResourceId"]
                for one in resources
                if one.get("PhysicalResourceId")
            }
            functions += self._functions(template, ids)
            if any(resource["Type"] == routes.REST_API for resource in template["Resources"].values()):
                apis.append(routes.read(template, ids, exports))
        (api,) = apis
        streaming = {route.function for route in api.routes if route.streams}
        return Deployed(
            functions=[function for function in functions if function.name not in streaming],
            streaming_functions=[function for function in functions if function.name in streaming],
            api=api,
        )

    def add_function(self, name: str) -> None:
        """Make a customer's function known to the Lambda service, so that its ARN is found."""
        iam = self.client("iam")
        role = iam.create_role(RoleName=f"{name}-role", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
        self.client("lambda").create_function(
            FunctionName=name,
            Runtime="python3.13",
            Role=role,
            Handler="grader.lambda_handler",
            Code={"ZipFile": _EMPTY_ZIP},
        )

    def _bootstrap(self, folder: Path) -> None:
        """What `cdk bootstrap` leaves in an account, and `cdk deploy` uploads."""
        self.client("ssm").put_parameter(Name="/cdk-bootstrap/hnb659fds/version", Value="29", Type="String")
        s3 = self.client("s3")
        s3.create_bucket(Bucket=ASSETS_BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
        keys = {
            destination["objectKey"]
            for manifest in folder.glob("*.assets.json")
            for asset in json.loads(manifest.read_text())["files"].values()
            for destination in asset["destinations"].values()
        }
        for key in keys:
            s3.put_object(Bucket=ASSETS_BUCKET, Key=key, Body=_EMPTY_ZIP)

    def _functions(self, template: Mapping[str, Any], ids: Mapping[str, str]) -> Iterator[Function]:
        lambda_ = self.client("lambda")
        for logical_id, resource in template["Resources"].items():
            if resource["Type"] == _FUNCTION:
                found = lambda_.get_function_configuration(FunctionName=ids[logical_id])
                variables = found.get("Environment", {}).get("Variables", {})
                yield Function(ids[logical_id], found["Handler"], variables, found["Timeout"])


def _emulated(template: Mapping[str, Any]) -> dict[str, Any]:
    """The template less what the emulator cannot make, and less what refers to that."""
    resources = template["Resources"]
    dropped = {name for name, one in resources.items() if one["Type"].startswith(_NOT_EMULATED)}
    dropped |= {name for name, one in resources.items() if dropped & set(_references(one))}
    outputs = template.get("Outputs", {})
    return {
        **template,
        "Resources": {name: one for name, one in resources.items() if name not in dropped},
        "Outputs": {name: one for name, one in outputs.items() if not dropped & set(_references(one))},
    }


def _references(value: Any) -> Iterator[str]:
    """The logical ids that a part of a template refers to."""
    match value:
        case {"Ref": str(name)} | {"Fn::GetAtt": [str(name), _]}:
            yield name
        case dict():
            for one in value.values():
                yield from _references(one)
        case list():
            for one in value:
                yield from _references(one)

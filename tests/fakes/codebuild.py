"""AWS CodeBuild as documented, as far as one project's builds go; and where CloudFormation reads answers.

Every request is checked against botocore's service model.
"""

import copy
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any

import boto3

from tests.account import make_clients_anew
from tests.fakes.aws_requests import check

LOG = "https://us-west-2.console.aws.amazon.com/cloudwatch/home#logEvent:group=builds;stream=1"


@dataclass
class FakeCodeBuild:
    builds: dict[str, dict[str, Any]] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)
    refuses: str = ""
    """The error code of StartBuild."""
    tag: str = "abc"
    """Of the image that the project makes."""

    def end(self, build_id: str, status: str, *problems: str) -> dict[str, Any]:
        """End a build; the event that EventBridge delivers then."""
        build = self.builds[build_id]
        build["buildStatus"] = status
        contexts = [{"statusCode": "COMMAND_EXECUTION_ERROR", "message": one} for one in problems]
        build["phases"] = [{"phaseType": "BUILD", "phaseStatus": status, "contexts": contexts}]
        return {
            "source": "aws.codebuild",
            "detail-type": "CodeBuild Build State Change",
            "detail": {"build-id": build_id, "build-status": status, "project-name": build["projectName"]},
        }

    @contextmanager
    def installed(self, session: boto3.Session) -> Iterator[None]:
        session.events.register("before-parameter-build.codebuild", _remember)
        session.events.register("before-call.codebuild", self._call)
        make_clients_anew()
        try:
            yield
        finally:
            session.events.unregister("before-parameter-build.codebuild", _remember)
            session.events.unregister("before-call.codebuild", self._call)
            make_clients_anew()

    def _call(self, model: Any, context: dict[str, Any], **_: Any) -> Any:
        asked = context["asked"]
        check(model, asked)
        if self.refuses and model.name == "StartBuild":
            error = {
                "Code": self.refuses,
                "Message": "Cannot have more than 0 builds in queue for the account",
            }
            return SimpleNamespace(status_code=400), {"Error": error}
        answers = {
            "BatchGetBuilds": self._get,
            "BatchGetProjects": self._projects,
            "ListBuildsForProject": self._list,
            "StartBuild": self._start,
        }
        return SimpleNamespace(status_code=200), answers[model.name](asked)

    def _start(self, asked: dict[str, Any]) -> dict[str, Any]:
        """A token that was seen before is the same call again."""
        new = f"{asked['projectName']}:{len(self.builds) + 1}"
        build_id = self.tokens.setdefault(asked["idempotencyToken"], new)
        if build_id == new:
            self.builds[new] = {
                "id": new,
                "arn": f"arn:aws:codebuild:us-west-2:123456789012:build/{new}",
                "projectName": asked["projectName"],
                "buildStatus": "IN_PROGRESS",
                "environment": {
                    "environmentVariables": [
                        *self._variables(),
                        *asked["environmentVariablesOverride"],
                    ]
                },
                "logs": {"deepLink": LOG},
            }
        return {"build": self.builds[build_id]}

    def _get(self, asked: dict[str, Any]) -> dict[str, Any]:
        return {"builds": [self.builds[id] for id in asked["ids"] if id in self.builds]}

    def _list(self, asked: dict[str, Any]) -> dict[str, Any]:
        ids = [id for id, build in self.builds.items() if build["projectName"] == asked["projectName"]]
        return {"ids": ids[::-1] if asked["sortOrder"] == "DESCENDING" else ids}

    def _projects(self, asked: dict[str, Any]) -> dict[str, Any]:
        environment = {"environmentVariables": self._variables()}
        return {"projects": [{"name": name, "environment": environment} for name in asked["names"]]}

    def _variables(self) -> list[dict[str, str]]:
        return [{"name": "TAG", "value": self.tag, "type": "PLAINTEXT"}]


def _remember(params: Any, context: dict[str, Any], **_: Any) -> None:
    context["asked"] = copy.deepcopy(params)


@dataclass
class CloudFormation:
    """Requests of a stack's custom resource, and the answers to them."""

    url: str
    answers: list[dict[str, Any]]

    def request(self, kind: str, tag: str, **more: Any) -> dict[str, Any]:
        return {
            "RequestType": kind,
            "ResponseURL": f"{self.url}/answer?signature=secret",
            "StackId": "arn:aws:cloudformation:us-west-2:123456789012:stack/OutcropImages/1",
            "RequestId": f"11111111-2222-3333-4444-{kind}-{tag}",
            "ResourceType": "Custom::ContainerImage",
            "LogicalResourceId": "ImageImage",
            "ResourceProperties": {
                "ServiceToken": "arn:aws:lambda:us-west-2:123456789012:function:starter",
                "Project": "images",
                "Repository": "trainer",
                "Tag": tag,
            },
            **more,
        }


@contextmanager
def cloudformation() -> Iterator[CloudFormation]:
    answers: list[dict[str, Any]] = []

    class Reader(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            # S3 refuses a signed URL's request whose content type was not signed.
            status = 403 if self.headers.get("content-type") else 200
            content = self.rfile.read(int(self.headers["content-length"]))
            if status == 200:
                answers.append(json.loads(content))
            self.send_response(status)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Reader)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield CloudFormation(f"http://127.0.0.1:{server.server_port}", answers)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()

"""What a child process of `local/functions.py` runs: AWS's Lambda runtime client around one handler.

`python -P function_runtime.py HANDLER`, with the environment of a Lambda function. It is `awslambdaric`, with
two changes. The child ends when its standard input does, so that it never outlives the launcher, however that
dies. And it speaks to the Runtime API over one plain connection below a path of its own: the launcher serves
all children on one port, and awslambdaric's compiled client exists on Linux alone.
"""

import http.client
import json
import os
import signal
import sys
import threading
from typing import Any

from awslambdaric import bootstrap
from awslambdaric.lambda_runtime_client import InvocationRequest
from awslambdaric.lambda_runtime_marshaller import LambdaMarshaller

_API = "/2018-06-01/runtime"
_FIELDS = {
    "invoke_id": "Lambda-Runtime-Aws-Request-Id",
    "x_amzn_trace_id": "Lambda-Runtime-Trace-Id",
    "invoked_function_arn": "Lambda-Runtime-Invoked-Function-Arn",
    "deadline_time_in_ms": "Lambda-Runtime-Deadline-Ms",
    "client_context": "Lambda-Runtime-Client-Context",
    "cognito_identity": "Lambda-Runtime-Cognito-Identity",
    "tenant_id": "Lambda-Runtime-Aws-Tenant-Id",
    "content_type": "Content-Type",
    "invocation_id": "Lambda-Runtime-Invocation-Id",
}


class RuntimeClient:
    """What `bootstrap.run` needs of a client, over one connection kept open to `HOST:PORT/CHILD`."""

    marshaller = LambdaMarshaller()

    def __init__(self, address: str) -> None:
        host, _, self._child = address.partition("/")
        self._connection = http.client.HTTPConnection(host)

    def wait_next_invocation(self) -> InvocationRequest:
        body, headers = self._request("GET", f"{_API}/invocation/next", b"")
        fields: dict[str, Any] = {field: headers.get(name) for field, name in _FIELDS.items()}
        fields["deadline_time_in_ms"] = int(fields["deadline_time_in_ms"])
        return InvocationRequest(event_body=body, **fields)

    def post_invocation_result(self, invoke_id: str, result_data: str | bytes, *_: Any) -> None:
        body = result_data if isinstance(result_data, bytes) else result_data.encode()
        self._request("POST", f"{_API}/invocation/{invoke_id}/response", body)

    def post_invocation_error(self, invoke_id: str, error_response_data: str, *_: Any) -> None:
        self._request("POST", f"{_API}/invocation/{invoke_id}/error", error_response_data.encode())

    def post_init_error(self, error_response_data: dict[str, Any], *_: Any) -> None:
        self._request("POST", f"{_API}/init/error", json.dumps(error_response_data).encode())

    def _request(self, method: str, path: str, body: bytes) -> tuple[bytes, http.client.HTTPMessage]:
        self._connection.request(method, f"/{self._child}{path}", body)
        response = self._connection.getresponse()
        if response.status == http.client.GONE:
            sys.exit()  # the launcher has let go of this child
        return response.read(), response.headers


def _end_with(launcher: int) -> None:
    """Wait until the launcher's end of the pipe closes, then end this process group: the handler's children
    too.
    """
    while os.read(launcher, 1024):
        pass
    os.killpg(os.getpgrp(), signal.SIGKILL)


def main() -> None:
    launcher = os.dup(sys.stdin.fileno())
    os.dup2(os.open(os.devnull, os.O_RDONLY), sys.stdin.fileno())  # the handler must not read the pipe
    threading.Thread(target=_end_with, args=(launcher,), daemon=True).start()
    bootstrap.run(sys.argv[1], RuntimeClient(os.environ["AWS_LAMBDA_RUNTIME_API"]))


if __name__ == "__main__":
    main()

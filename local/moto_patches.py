"""What the emulated AWS needs beyond moto 5.2.5 to run the loop: each patch a function with its reason.

All of them touch private names, hence the exact pin, and each has a canary in `tests/emulator` that says what
moto does without it. `CONFIG` is what moto itself has to be told: `mock_aws(config=CONFIG)`, or in a server
`moto.core.config.default_user_config.update(CONFIG)`.
"""

import json
import sys
import threading
import uuid
from collections.abc import Callable
from hashlib import sha256
from typing import Any

import moto.cloudformation.parsing as cloudformation
import moto.sagemaker.models as sagemaker_models
import moto.stepfunctions.models as stepfunctions_models
import moto.stepfunctions.parser.asl.parse.preprocessor  # noqa: F401 - loads every module that `_everywhere` looks at
from moto.awslambda.exceptions import LambdaClientError
from moto.awslambda_simple.models import LambdaSimpleBackend
from moto.core.config import DefaultConfig
from moto.core.exceptions import JsonRESTError
from moto.core.utils import get_service_model
from moto.dynamodb.responses import DynamoHandler
from moto.events.models import Rule
from moto.sagemaker.exceptions import ResourceInUseException, ValidationError
from moto.sagemaker.models import FakeTrainingJob
from moto.sagemaker.responses import SageMakerResponse
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service import state_task_service_factory
from moto.stepfunctions.parser.models import StepFunctionsParserBackend, stepfunctions_parser_backends

from local import attribute_values, stepfunctions_memory
from local.request_limits import violations
from local.stepfunctions_sagemaker import StateTaskServiceSageMaker
from local.training_faults import QuotaExceeded
from local.training_jobs import TrainingJobExists, TrainingJobs

Invoke = Callable[[str, bytes], tuple[bytes, bool]]
"""Function name and payload to answer, and whether the answer is the function's error."""

CONFIG: DefaultConfig = {"stepfunctions": {"execute_state_machine": True}, "lambda": {"use_docker": False}}

LAMBDA_PAYLOAD_BYTES = 6 * 1024 * 1024

_call_dynamodb = DynamoHandler.call_action
_start_execution = StepFunctionsParserBackend.start_execution
_task_service_for = state_task_service_factory.state_task_service_for
_generate_resource_name = cloudformation.generate_resource_name
create_training_job_of_moto = SageMakerResponse.create_training_job


def install(*, invoke: Invoke, training_jobs: TrainingJobs) -> None:
    """Apply every patch. A second call replaces what functions and training jobs run on."""
    lock_dynamodb()
    attribute_values.write_as_they_are()
    stepfunctions_memory.remember()
    start_each_execution_once()
    execute_state_machines_of_cloudformation()
    name_resources_by_stack_and_logical_id()
    support_sagemaker_in_state_machines()
    run_functions(invoke)
    run_training_jobs(training_jobs)
    stop_training_jobs(training_jobs)
    leave_events_alone()


def lock_dynamodb() -> None:
    """moto's tables are plain dicts: without a lock, concurrent conditional writes can both win."""
    lock = threading.RLock()

    def call_action(self: DynamoHandler) -> Any:
        with lock:
            return _call_dynamodb(self)

    _replace(DynamoHandler, "call_action", call_action)


def start_each_execution_once() -> None:
    """moto names an execution `None` unless told a name, and two requests can take the same one."""
    lock = threading.Lock()

    def start_execution(
        self: StepFunctionsParserBackend,
        state_machine_arn: str,
        name: str | None = None,
        execution_input: Any = None,
        trace_header: Any = None,
    ) -> Any:
        with lock:
            name = name or str(uuid.uuid4())
            return _start_execution(self, state_machine_arn, name, execution_input, trace_header)

    _replace(StepFunctionsParserBackend, "start_execution", start_execution)


def execute_state_machines_of_cloudformation() -> None:
    """moto's CloudFormation creates state machines in the backend that does not execute them."""
    _replace(stepfunctions_models, "stepfunctions_backends", stepfunctions_parser_backends)


def name_resources_by_stack_and_logical_id() -> None:
    """moto ends generated names at random: a restart would not find its table and bucket again."""

    def generate_resource_name(resource_type: str, stack_name: str, logical_id: str) -> str:
        name = _generate_resource_name(resource_type, stack_name, logical_id)
        digest = sha256(f"{stack_name}/{logical_id}".encode()).hexdigest()[:12]
        return name[: -len(digest)] + digest

    _replace(cloudformation, "generate_resource_name", generate_resource_name)


def support_sagemaker_in_state_machines() -> None:
    """moto refuses `sagemaker:createTrainingJob.sync`."""

    def state_task_service_for(service_name: str) -> Any:
        return StateTaskServiceSageMaker() if service_name == "sagemaker" else _task_service_for(service_name)

    for module in list(sys.modules.values()):  # the interpreter's modules import it by name
        if getattr(module, "__name__", "").startswith("moto.stepfunctions.") and hasattr(
            module, "state_task_service_for"
        ):
            _replace(module, "state_task_service_for", state_task_service_for)


def leave_events_alone() -> None:
    """moto hands every event to the targets of schedules, and fails at a target that is a function. Schedules
    do not run here, and nobody but functions listens."""

    def send_to_targets(self: Rule, event: Any, transform_input: bool = True) -> None:
        pass

    _replace(Rule, "send_to_targets", send_to_targets)


def run_functions(invoke: Invoke) -> None:
    """Without Docker moto runs no function: it answers with the request, whatever the name."""

    def invoke_function(
        self: LambdaSimpleBackend,
        function_name: str,
        qualifier: str | None,
        body: str | bytes | None,
        headers: Any,
        response_headers: dict[str, str],
    ) -> bytes:
        function = self.get_function(function_name, qualifier)  # raises ResourceNotFoundException
        payload = body.encode() if isinstance(body, str) else body or b"{}"
        if len(payload) > LAMBDA_PAYLOAD_BYTES:
            raise LambdaClientError(
                "RequestTooLargeException",
                f"Request must be smaller than {LAMBDA_PAYLOAD_BYTES} bytes for the InvokeFunction operation",
            )
        answer, is_error = invoke(function.function_name, payload)
        if is_error:
            response_headers["x-amz-function-error"] = "Unhandled"
        return answer

    _replace(LambdaSimpleBackend, "invoke", invoke_function)


def run_training_jobs(training_jobs: TrainingJobs) -> None:
    """moto's training jobs run nothing and are Completed at once; it takes any request, and a name twice."""
    operation = get_service_model("sagemaker").operation_model("CreateTrainingJob")

    class TrainingJob(FakeTrainingJob):
        """Keeps what moto needs for lists and tags; its state is that of the process."""

        @property
        def training_job_status(self) -> str:
            return self.response_object["TrainingJobStatus"]

        @training_job_status.setter
        def training_job_status(self, _: str) -> None:
            """The constructor sets `Completed`."""

        @property
        def response_object(self) -> dict[str, Any]:
            return {"TrainingJobArn": self.arn} | (training_jobs.describe(self.training_job_name) or {})

    def create_training_job(self: SageMakerResponse) -> Any:
        request = json.loads(self.body)
        if wrong := violations(operation, request):
            raise ValidationError(f"{len(wrong)} validation error(s) detected: {'; '.join(wrong)}")
        try:
            training_jobs.start(request)
        except QuotaExceeded as error:
            raise JsonRESTError("ResourceLimitExceeded", str(error)) from error
        except TrainingJobExists as error:
            arn = FakeTrainingJob.arn_formatter(str(error), self.current_account, self.region)
            raise ResourceInUseException(
                "Training job names must be unique within an AWS account and region, "
                f"and a training job with this name already exists ({arn})"
            ) from error
        return create_training_job_of_moto(self)

    _replace(sagemaker_models, "FakeTrainingJob", TrainingJob)
    _replace(SageMakerResponse, "create_training_job", create_training_job)


def stop_training_jobs(training_jobs: TrainingJobs) -> None:
    """moto has no StopTrainingJob."""

    def stop_training_job(self: SageMakerResponse) -> str:
        status = training_jobs.stop(self._get_param("TrainingJobName"))
        if status is None:
            raise ValidationError("Requested resource not found.")
        if status != "InProgress":
            raise ValidationError(f"The request was rejected because the training job is in status {status}.")
        return "{}"

    _replace(SageMakerResponse, "stop_training_job", stop_training_job)


def _replace(owner: Any, name: str, value: Any) -> None:
    setattr(owner, name, value)

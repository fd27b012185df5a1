"""`arn:aws:states:::sagemaker:createTrainingJob.sync` for moto's Step Functions interpreter."""

import json
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

from botocore.exceptions import ClientError
from moto.stepfunctions.parser.api import HistoryEventType
from moto.stepfunctions.parser.asl.component.common.error_name.custom_error_name import CustomErrorName
from moto.stepfunctions.parser.asl.component.common.error_name.error_name import ErrorName
from moto.stepfunctions.parser.asl.component.common.error_name.failure_event import (
    FailureEvent,
    FailureEventException,
)
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name import StatesErrorName
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name_type import (
    StatesErrorNameType,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.resource import (
    ResourceCondition,
    ResourceRuntimePart,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service_callback import (  # noqa: E501
    StateTaskServiceCallback,
)
from moto.stepfunctions.parser.asl.eval.environment import Environment
from moto.stepfunctions.parser.asl.utils.boto_client import boto_client_for

if TYPE_CHECKING:
    from mypy_boto3_sagemaker import SageMakerClient

_MODELLED_ERRORS = ("ResourceInUse", "ResourceLimitExceeded", "ResourceNotFound")


class StateTaskServiceSageMaker(StateTaskServiceCallback):
    def __init__(self) -> None:
        # Only .sync is used, but the interpreter crashes where it has no endpoint for callbacks.
        patterns: Any = {ResourceCondition.Sync, ResourceCondition.WaitForTaskToken}
        super().__init__(patterns)

    def _get_supported_parameters(self) -> set[str]:
        """None would mean an unknown service, an empty set is `all`."""
        return set()

    def _eval_service_task(
        self,
        env: Environment,
        resource_runtime_part: ResourceRuntimePart,
        normalised_parameters: dict[str, Any],
        state_credentials: Any,
    ) -> None:
        response = self._sagemaker(resource_runtime_part).create_training_job(**normalised_parameters)
        env.stack.append({key: value for key, value in response.items() if key != "ResponseMetadata"})

    def _build_sync_resolver(
        self,
        env: Environment,
        resource_runtime_part: ResourceRuntimePart,
        normalised_parameters: dict[str, Any],
        state_credentials: Any,
    ) -> Callable[[], dict[str, Any] | None]:
        env.stack.pop()  # what CreateTrainingJob answered
        sagemaker = self._sagemaker(resource_runtime_part)
        name = normalised_parameters["TrainingJobName"]

        def resolve() -> dict[str, Any] | None:
            job = sagemaker.describe_training_job(TrainingJobName=name)
            if job["TrainingJobStatus"] in ("InProgress", "Stopping"):
                return None
            described = {key: value for key, value in job.items() if key != "ResponseMetadata"}
            text = json.dumps(described, default=_milliseconds)
            if job["TrainingJobStatus"] == "Completed":
                return json.loads(text)
            failed = StatesErrorName(StatesErrorNameType.StatesTaskFailed)
            raise FailureEventException(self._failure(env, failed, text))

        return resolve

    def _eval_integration_pattern(
        self,
        env: Environment,
        resource_runtime_part: ResourceRuntimePart,
        normalised_parameters: dict[str, Any],
        state_credentials: Any,
    ) -> None:
        """As on AWS, an execution that is stopped, or a state that times out, stops its training job."""
        try:
            super()._eval_integration_pattern(
                env, resource_runtime_part, normalised_parameters, state_credentials
            )
        finally:
            with suppress(ClientError):  # refused where the job has ended by itself
                self._sagemaker(resource_runtime_part).stop_training_job(
                    TrainingJobName=normalised_parameters["TrainingJobName"]
                )

    def _from_error(self, env: Environment, ex: Exception) -> FailureEvent:
        if isinstance(ex, ClientError):
            code = ex.response.get("Error", {}).get("Code", "")
            name = f"{code}Exception" if code in _MODELLED_ERRORS else "AmazonSageMakerException"
            message = ex.response.get("Error", {}).get("Message", "")
            cause = f"{message} (Service: AmazonSageMaker; Error Code: {code})"
            return self._failure(env, CustomErrorName(f"SageMaker.{name}"), cause)
        return super()._from_error(env=env, ex=ex)

    @staticmethod
    def _sagemaker(part: ResourceRuntimePart) -> "SageMakerClient":
        return cast("SageMakerClient", boto_client_for(part.region, "sagemaker"))

    def _failure(self, env: Environment, error: ErrorName, cause: str) -> FailureEvent:
        details: Any = {
            "taskFailedEventDetails": {
                "resource": self._get_sfn_resource(),
                "resourceType": self._get_sfn_resource_type(),
                "error": error.error_name,
                "cause": cause,
            }
        }
        return FailureEvent(env, error, HistoryEventType.TaskFailed, details)


def _milliseconds(time: datetime) -> int:
    """Times inside Step Functions' JSON are milliseconds since 1970."""
    return int(time.timestamp() * 1000)

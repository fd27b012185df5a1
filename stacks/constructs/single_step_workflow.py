"""`SingleStepWorkflow`: a state machine that runs one function until it succeeds, or says why it did not.

Its input is `{"project", "id"}`, which the function gets. The function may run twice. When its last try has
failed too, it is called once more with `failure` (`{"Error", "Cause"}`), so that the object it is about ends
in an error state; the execution then ends as FAILED.
"""

from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_stepfunctions as sfn
from aws_cdk import aws_stepfunctions_tasks as tasks
from constructs import Construct

from stacks.constructs.python_function import PythonFunction
from stacks.constructs.state_machine import StateMachine


class SingleStepWorkflow(Construct):
    def __init__(self, scope: Construct, id: str, *, step: PythonFunction) -> None:
        super().__init__(scope, id)
        give_up = self._call("GiveUp", step, failure=sfn.JsonPath.object_at("$.failure"))
        give_up.next(sfn.Fail(self, "Failed", error="OutcropWorkflowError", cause="See the object's error"))
        work = self._call("Work", step).add_catch(give_up, result_path="$.failure")
        self.state_machine = StateMachine(self, "StateMachine", start=work, calls=[step])

    def _call(self, id: str, function: PythonFunction, **more: Any) -> sfn.TaskStateBase:
        identity = {name: sfn.JsonPath.string_at(f"$.{name}") for name in ("project", "id")}
        call = tasks.LambdaInvoke(
            self,
            id,
            lambda_function=function,  # pyright: ignore[reportArgumentType]
            payload=sfn.TaskInput.from_object({**identity, **more}),
            payload_response_only=True,
            result_path=sfn.JsonPath.DISCARD,
            retry_on_service_exceptions=False,
        )
        return call.add_retry(
            errors=["States.ALL"], interval=cdk.Duration.seconds(1), max_attempts=5, backoff_rate=2
        )

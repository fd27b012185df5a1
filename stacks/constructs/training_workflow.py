"""`TrainingWorkflow`: the state machine of a fine-tuning job, in the order things happen.

Its input is `{"project", "job_id", "attempt"}`, which every step gets; those that deal with machines also get
the `launch` that the step before answered with. Every step may run twice, so every step is retried, also when
it does not answer in time. Standard and JSONPath (docs/architecture.md, "The state machine").
"""

from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_stepfunctions as sfn
from aws_cdk import aws_stepfunctions_tasks as tasks
from constructs import Construct

from stacks.constructs.python_function import PythonFunction
from stacks.constructs.state_machine import StateMachine
from stacks.permissions import allow

# The parameters of CreateTrainingJob that PrepareTraining answers with; Train adds the role.
TRAINING_JOB_FIELDS = (
    "TrainingJobName",
    "AlgorithmSpecification",
    "InputDataConfig",
    "OutputDataConfig",
    "CheckpointConfig",
    "ResourceConfig",
    "StoppingCondition",
    "EnableManagedSpotTraining",
    "Environment",
)
_HAS_TO_WAIT = sfn.Condition.number_greater_than("$.step.wait", 0)
_EVENTS_RULE = "StepFunctionsGetEventsForSageMakerTrainingJobsRule"
_TO_ANSWER = cdk.Duration.minutes(1)
"""What a step's call may take beyond the time that its function has."""


class TrainingWorkflow(Construct):
    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        validate_files: PythonFunction,
        prepare_training: PythonFunction,
        classify_stop: PythonFunction,
        register_model: PythonFunction,
        finish: PythonFunction,
        training_role: iam.Role,
        training_jobs: str,
        longest_training: cdk.Duration,
        is_in_vpc: bool,
    ) -> None:
        """`training_jobs` is the ARN pattern of the training jobs that the workflow may start; none of them
        takes longer than `longest_training`, from the call that creates it."""
        super().__init__(scope, id)
        over = sfn.Succeed(self, "Over", comment="The job is in a final status")
        broken = sfn.Fail(self, "Broken", error="OutcropWorkflowError", cause="See the job's error")

        # From the end to the beginning, since a state names the one after it.
        self._finish = self._step("Finish", finish, failure=sfn.JsonPath.object_at("$.failure"))
        self._finish.next(broken)

        register = self._guarded("RegisterModel", register_model)
        register.next(over)

        launch = sfn.JsonPath.object_at("$.step.launch")
        stop = sfn.JsonPath.object_at("$.stop")
        classify = self._guarded("ClassifyStop", classify_stop, stop=stop, launch=launch)
        train = self._train(training_role, longest_training, is_in_vpc)
        train.add_catch(classify, result_path="$.stop")
        train.next(register)

        # A project trains so many jobs at a time; the step puts the others in line.
        prepare = self._guarded("PrepareTraining", prepare_training, launch=launch)
        prepare.next(
            sfn.Choice(self, "IsPrepared")
            .when(sfn.Condition.boolean_equals("$.step.done", True), over)
            .when(_HAS_TO_WAIT, self._wait_before("WaitForTurn", prepare))
            .otherwise(train)
        )

        resume = sfn.Pass(
            self,
            "NextAttempt",
            parameters={
                **_identity(),
                "attempt": sfn.JsonPath.number_at("$.step.attempt"),
                "step": {"launch": launch},
            },
        )
        resume.next(prepare)
        # A machine that was refused is replaced by the next one, after the last by the first, later. Training
        # goes on unseen when the answer to CreateTrainingJob is lost: it is looked at now and then.
        asks_again = sfn.Condition.string_equals("$.step.next", "launch")
        classify.next(
            sfn.Choice(self, "IsStopped")
            .when(sfn.Condition.string_equals("$.step.next", "register"), register)
            .when(sfn.Condition.string_equals("$.step.next", "resume"), resume)
            .when(sfn.Condition.and_(asks_again, _HAS_TO_WAIT), self._wait_before("WaitForMachine", prepare))
            .when(asks_again, prepare)
            .when(sfn.Condition.string_equals("$.step.next", "wait"), self._wait_before("Wait", classify))
            .otherwise(over)
        )

        validate = self._guarded("ValidateFiles", validate_files)
        validate.next(
            sfn.Choice(self, "IsValid")
            .when(sfn.Condition.boolean_equals("$.step.done", True), over)
            .when(_HAS_TO_WAIT, self._wait_before("WaitForFiles", validate))
            .otherwise(prepare)
        )

        steps = (validate_files, prepare_training, classify_stop, register_model, finish)
        self.state_machine = StateMachine(self, "StateMachine", start=validate, calls=steps)
        self._allow_training(training_role, training_jobs)

    def _step(self, id: str, function: PythonFunction, **more: Any) -> sfn.TaskStateBase:
        step = tasks.LambdaInvoke(
            self,
            id,
            lambda_function=function,  # pyright: ignore[reportArgumentType]
            payload=sfn.TaskInput.from_object({**_identity(), **more}),
            payload_response_only=True,
            result_path="$.step",
            retry_on_service_exceptions=False,
            task_timeout=sfn.Timeout.duration((function.timeout or _TO_ANSWER).plus(_TO_ANSWER)),
        )
        return step.add_retry(
            errors=["States.ALL"], interval=cdk.Duration.seconds(1), max_attempts=5, backoff_rate=2
        )

    def _guarded(self, id: str, function: PythonFunction, **more: Any) -> sfn.TaskStateBase:
        """A step whose last failure fails the job with a readable message."""
        return self._step(id, function, **more).add_catch(self._finish, result_path="$.failure")

    def _wait_before(self, id: str, step: sfn.TaskStateBase) -> sfn.Wait:
        """For as long as the step has said, before it is asked again."""
        wait = sfn.Wait(self, id, time=sfn.WaitTime.seconds_path("$.step.wait"))
        wait.next(step)
        return wait

    def _train(self, training_role: iam.Role, longest: cdk.Duration, is_in_vpc: bool) -> sfn.CustomState:
        """Step Functions stops what takes too long; SageMaker's own limits come before."""
        partition = cdk.Stack.of(self).partition
        fields = (*TRAINING_JOB_FIELDS, "VpcConfig") if is_in_vpc else TRAINING_JOB_FIELDS
        state: dict[str, Any] = {
            "Type": "Task",
            "Resource": f"arn:{partition}:states:::sagemaker:createTrainingJob.sync",
            "InputPath": "$.step.training_job",
            "Parameters": {
                "RoleArn": training_role.role_arn,
                **{f"{field}.$": f"$.{field}" for field in fields},
            },
            "ResultPath": sfn.JsonPath.DISCARD,
            "TimeoutSeconds": longest.to_seconds(),
        }
        return sfn.CustomState(self, "Train", state_json=state).add_retry(
            errors=["SageMaker.AmazonSageMakerException"],
            interval=cdk.Duration.seconds(2),
            max_attempts=3,
            backoff_rate=2,
        )

    def _allow_training(self, training_role: iam.Role, training_jobs: str) -> None:
        """What the `.sync` integration needs: the job, its role, and the rule that tells it of the end."""
        role = self.state_machine.own_role
        allow(
            role,
            "sagemaker:CreateTrainingJob",
            "sagemaker:DescribeTrainingJob",
            "sagemaker:StopTrainingJob",
            "sagemaker:AddTags",
            "sagemaker:ListTags",
            on=[training_jobs],
            because="a training job is named after its fine-tuning job",
        )
        to_sagemaker = {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}}
        allow(role, "iam:PassRole", on=[training_role.role_arn], when=to_sagemaker)
        rule = cdk.Stack.of(self).format_arn(service="events", resource="rule", resource_name=_EVENTS_RULE)
        allow(role, "events:PutTargets", "events:PutRule", "events:DescribeRule", on=[rule])


def _identity() -> dict[str, Any]:
    """The input of every step."""
    return {
        "project": sfn.JsonPath.string_at("$.project"),
        "job_id": sfn.JsonPath.string_at("$.job_id"),
        "attempt": sfn.JsonPath.number_at("$.attempt"),
    }

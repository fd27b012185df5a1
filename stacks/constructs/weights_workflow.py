"""`WeightsWorkflow`: the state machine that brings a base model's weights into the bucket.

Its input is `{"model", "revision"}`. Files are fetched side by side, each by a step that is repeated until
its file is there. A file that cannot be had does not end the others: what has come stays for the next try.
Waiting, for a server that throttles, costs nothing here.
"""

from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_stepfunctions as sfn
from aws_cdk import aws_stepfunctions_tasks as tasks
from constructs import Construct

from stacks.constructs.python_function import PythonFunction
from stacks.constructs.state_machine import StateMachine

_SIDE_BY_SIDE = 8
_NOT_SYNCED = "WeightsNotSynced"


class WeightsWorkflow(Construct):
    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        list_weights: PythonFunction,
        fetch_weights: PythonFunction,
        publish_weights: PythonFunction,
    ) -> None:
        super().__init__(scope, id)
        # From the end to the beginning, since a state names the one after it.
        broken = self._failed("Broken", "$.failure.Cause")
        complete = sfn.Succeed(self, "Complete")
        is_complete = sfn.Choice(self, "IsComplete")
        is_complete.when(sfn.Condition.string_equals("$.published.problem", ""), complete)
        is_complete.otherwise(self._failed("Incomplete", "$.published.problem"))
        publish = self._call(
            "PublishWeights",
            publish_weights,
            "$.published",
            files=sfn.JsonPath.object_at("$.plan.files"),
            fetched=sfn.JsonPath.object_at("$.fetched"),
        )
        publish.add_catch(broken, result_path="$.failure")
        publish.next(is_complete)

        fetch_all = sfn.Map(
            self,
            "FetchAll",
            items_path="$.plan.files",
            item_selector={
                "model": sfn.JsonPath.string_at("$.model"),
                "revision": sfn.JsonPath.string_at("$.revision"),
                "file": sfn.JsonPath.object_at("$$.Map.Item.Value"),
                "step": {"tries": 0, "use_mirror": True},
            },
            max_concurrency=_SIDE_BY_SIDE,
            result_path="$.fetched",
        )
        fetch_all.item_processor(self._fetch_one(fetch_weights))
        fetch_all.next(publish)

        listing = self._call(
            "ListWeights", list_weights, "$.plan", tries=sfn.JsonPath.number_at("$.plan.tries")
        )
        listing.add_catch(broken, result_path="$.failure")
        wait = sfn.Wait(self, "WaitForList", time=sfn.WaitTime.seconds_path("$.plan.wait"))
        wait.next(listing)
        listing.next(
            sfn.Choice(self, "IsListed")
            .when(_is_more_than_nothing("$.plan.wait"), wait)
            .when(sfn.Condition.string_equals("$.plan.problem", ""), fetch_all)
            .otherwise(self._failed("NotListed", "$.plan.problem"))
        )
        begin = sfn.Pass(self, "Begin", result=sfn.Result.from_object({"tries": 0}), result_path="$.plan")
        begin.next(listing)
        steps = (list_weights, fetch_weights, publish_weights)
        self.state_machine = StateMachine(self, "StateMachine", start=begin, calls=steps)

    def _fetch_one(self, fetch_weights: PythonFunction) -> sfn.TaskStateBase:
        fetch = self._call(
            "FetchWeights",
            fetch_weights,
            "$.step",
            file=sfn.JsonPath.object_at("$.file"),
            tries=sfn.JsonPath.number_at("$.step.tries"),
            use_mirror=sfn.JsonPath.object_at("$.step.use_mirror"),
        )
        what = sfn.JsonPath.format(
            "{}: the function that fetches it failed ({}).",
            sfn.JsonPath.string_at("$.file.path"),
            sfn.JsonPath.string_at("$.failure.Error"),
        )
        fetch.add_catch(sfn.Pass(self, "NotFetched", parameters={"problem": what}), result_path="$.failure")
        wait = sfn.Wait(self, "WaitForServer", time=sfn.WaitTime.seconds_path("$.step.wait"))
        wait.next(fetch)
        fetch.next(
            sfn.Choice(self, "IsFetched")
            .when(
                sfn.Condition.boolean_equals("$.step.done", True),
                sfn.Pass(self, "Fetched", output_path="$.step"),
            )
            .when(_is_more_than_nothing("$.step.wait"), wait)
            .otherwise(fetch)
        )
        return fetch

    def _call(self, id: str, function: PythonFunction, result_path: str, **more: Any) -> sfn.TaskStateBase:
        identity = {name: sfn.JsonPath.string_at(f"$.{name}") for name in ("model", "revision")}
        call = tasks.LambdaInvoke(
            self,
            id,
            lambda_function=function,  # pyright: ignore[reportArgumentType]
            payload=sfn.TaskInput.from_object({**identity, **more}),
            payload_response_only=True,
            result_path=result_path,
            retry_on_service_exceptions=False,
        )
        return call.add_retry(
            errors=["States.ALL"], interval=cdk.Duration.seconds(2), max_attempts=5, backoff_rate=2
        )

    def _failed(self, id: str, cause: str) -> sfn.Fail:
        return sfn.Fail(self, id, error=_NOT_SYNCED, cause_path=cause)


def _is_more_than_nothing(path: str) -> sfn.Condition:
    return sfn.Condition.number_greater_than(path, 0)

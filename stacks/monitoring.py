"""What is watched: dashboard, alarms, and to whom they and the ends of jobs are told, if to anybody."""

from collections.abc import Callable
from typing import TypeVar

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from outcrop.operations.job_end import DETAIL_TYPE
from outcrop.stores.bus import SOURCE
from stacks.alarms import make_alarms
from stacks.api import ApiStack
from stacks.constructs.python_function import PythonFunction
from stacks.dashboard import add_dashboard
from stacks.deployment import Deployment
from stacks.permissions import acknowledge, taken_by
from stacks.storage import StorageStack
from stacks.watched import Watched

Made = TypeVar("Made", bound=Construct)


class MonitoringStack(cdk.Stack):
    """Alarms change their state without `alarm_email` too; with it, they and every job that ends send a
    message."""

    def __init__(
        self, scope: Construct, id: str, *, deployment: Deployment, storage: StorageStack, api: ApiStack
    ) -> None:
        super().__init__(scope, id, description="Outcrop: dashboard, alarms, notifications")
        # It names every function. An export of each name would keep all of them from ever being replaced.
        cdk.CrossStackReferences.of(self).consume(cdk.ReferenceStrength.WEAK)
        watched = Watched(
            api=api.rest_api,
            access_logs=api.access_logs,
            table=storage.table,
            functions=_found(scope, PythonFunction, lambda one: one.node.path),
            workflows=_found(scope, sfn.StateMachine, lambda one: cdk.Stack.of(one).stack_name),
        )
        dashboard = add_dashboard(self, watched)
        alarms = make_alarms(self, watched)
        if deployment.alarm_email:
            topic = self._topic(deployment.alarm_email)
            for alarm in alarms:
                alarm.add_alarm_action(actions.SnsAction(topic))  # pyright: ignore[reportArgumentType]
        cdk.CfnOutput(self, "DashboardName", value=dashboard.dashboard_name)

    def _topic(self, email: str) -> sns.Topic:
        """Not encrypted by AWS's own key, which CloudWatch may not use; it carries names of alarms, ids and
        statuses."""
        topic = sns.Topic(self, "Notices", enforce_ssl=True, display_name="Outcrop")
        acknowledge(
            topic, {"Serverless-SNSRedrivePolicy": "an e-mail that cannot be delivered has no other way"}
        )
        # A topic with a policy has no other: what SNS allows the owner's services by itself is not in it.
        alarms = self.format_arn(
            service="cloudwatch",
            resource="alarm",
            resource_name="*",
            arn_format=cdk.ArnFormat.COLON_RESOURCE_NAME,
        )
        topic.grant_publish(taken_by(self, "cloudwatch.amazonaws.com", for_any=alarms))
        topic.add_subscription(subscriptions.EmailSubscription(email))  # pyright: ignore[reportArgumentType]
        job = {
            name: events.EventField.from_path(f"$.detail.{name}") for name in ("job_id", "project", "status")
        }
        rule = events.Rule(
            self,
            "JobEnded",
            event_pattern=events.EventPattern(source=[SOURCE], detail_type=[DETAIL_TYPE]),
            targets=[
                targets.SnsTopic(
                    topic,  # pyright: ignore[reportArgumentType]
                    message=events.RuleTargetInput.from_text(
                        f"Fine-tuning job {job['job_id']} of project {job['project']}: {job['status']}."
                    ),
                )
            ],
        )
        acknowledge(
            rule, {"Serverless-EventBusDLQ": "the message is a courtesy: the job itself says how it ended"}
        )
        return topic


def _found(app: Construct, kind: type[Made], name: Callable[[Made], str]) -> dict[str, Made]:
    """All there is of a kind in the stacks made so far."""
    return {name(one): one for one in app.node.find_all() if isinstance(one, kind)}

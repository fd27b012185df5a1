"""What goes on: jobs that are stuck, alarms that have gone off, and who is told of them."""

from collections.abc import Iterator

from outcrop.operations.doctor.patient import Finding, Patient
from outcrop.operations.reconcile import jobs, runs
from outcrop.operations.reconcile.whole import projects
from outcrop.stores import lookups


def stuck(patient: Patient) -> Iterator[Finding]:
    if not (patient.settings.table and patient.settings.state_machine_arn):
        return
    names = projects()
    found = [one for name in names for one in jobs.of_project(name, only_recent=True)]
    found += runs.of_training_jobs(names)
    if found:
        first = found[0]
        yield Finding(
            f"{len(found)} {'job does' if len(found) == 1 else 'things do'} not get on by themselves. The "
            f"first: {first.about}. {first.says}",
            "`outcrop fsck` lists them, `outcrop fsck --repair` repairs what is safe; the sweeper does by "
            "itself within a quarter of an hour.",
        )


def alarms(patient: Patient) -> Iterator[Finding]:
    ours = {one.name for one in patient.of_kind("AWS::CloudWatch::Alarm")}
    if not ours:
        return
    for alarm in lookups.every("cloudwatch", "describe_alarms", "MetricAlarms", StateValue="ALARM"):
        if alarm["AlarmName"] in ours:
            says = alarm.get("AlarmDescription") or alarm.get("StateReason", "")
            yield Finding(
                f"The alarm {alarm['AlarmName']} has gone off: {says}",
                "docs/operations.md says for each alarm what it means and where to look.",
            )


def alarm_email(patient: Patient) -> Iterator[Finding]:
    for topic in patient.of_kind("AWS::SNS::Topic"):
        subscriptions = lookups.every(
            "sns", "list_subscriptions_by_topic", "Subscriptions", TopicArn=topic.name
        )
        for one in subscriptions:
            if one["SubscriptionArn"] == "PendingConfirmation":
                yield Finding(
                    f"{one['Endpoint']} has not confirmed that it wants the alarms: it gets none.",
                    "Follow the link in the message from AWS Notifications; a deployment after deleting the "
                    "subscription sends another.",
                )

"""The alarms: few, each about something that does not heal by itself. docs/operations.md says what to do.

Most watch metrics that services have anyway. What only a log says is counted by a metric filter, which costs
nothing until it counts.
"""

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_logs as logs
from constructs import Construct

from stacks.watched import Watched

NAMESPACE = "Outcrop"
"""Of the metrics that filters count."""
WAITS_TOO_LONG_SECONDS = 4 * 3600


def make_alarms(scope: Construct, watched: Watched) -> list[cloudwatch.Alarm]:
    access = watched.access_logs
    api_failures = _counted(
        scope,
        "ApiFailures",
        access,
        # 503 is what a model that wakes up answers; the SDK asks again. The status is text in the log.
        '{ ($.status = "5*") && ($.status != "503") }',
    )
    locked_out = _counted(
        scope,
        "AuthorizerFailures",
        access,
        '{ ($.error = "AUTHORIZER_FAILURE") || ($.error = "AUTHORIZER_CONFIGURATION_ERROR") }',
    )
    capacity = _counted(
        scope,
        "MachineWaitSeconds",
        watched.function("PrepareTraining").log_group,
        "{ $.machine_wait_seconds > 0 }",
        value="$.machine_wait_seconds",
        statistic="Maximum",
    )
    table = watched.table
    throttled = cloudwatch.MathExpression(
        expression="reads + writes",
        using_metrics={
            "reads": table.metric("ReadThrottleEvents", statistic="Sum"),
            "writes": table.metric("WriteThrottleEvents", statistic="Sum"),
        },
        period=cdk.Duration.minutes(5),
    )
    return [
        _alarm(
            scope, "ApiFails", api_failures, 5, "The API fails: 5 answers of 500, 502 or 504 in 5 minutes."
        ),
        _alarm(scope, "NobodyGetsIn", locked_out, 5, "The authorizer fails: callers with good keys get 500."),
        _alarm(
            scope,
            "JobLost",
            watched.training.metric_failed(statistic="Sum", period=cdk.Duration.minutes(5)),
            1,
            "A job failed with internal_error: a step of its workflow failed for good.",
        ),
        _alarm(
            scope,
            "SweeperFails",
            watched.function("Sweep").metric_errors(statistic="Sum", period=cdk.Duration.minutes(15)),
            1,
            "The sweeper fails, or finds what it cannot repair, for half an hour: run `outcrop fsck`.",
            periods=2,
        ),
        _alarm(
            scope,
            "JobWaitsForCapacity",
            capacity,
            WAITS_TOO_LONG_SECONDS,
            f"A job has been waiting for a machine for {WAITS_TOO_LONG_SECONDS // 3600} hours.",
        ),
        _alarm(scope, "TableThrottled", throttled, 10, "DynamoDB throttles the table.", periods=2),
    ]


def _alarm(
    scope: Construct, id: str, metric: cloudwatch.IMetric, threshold: float, says: str, *, periods: int = 1
) -> cloudwatch.Alarm:
    return cloudwatch.Alarm(
        scope,
        id,
        metric=metric,
        threshold=threshold,
        evaluation_periods=periods,
        comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
        treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
        alarm_description=says,
    )


def _counted(
    scope: Construct,
    name: str,
    log_group: logs.ILogGroup,
    pattern: str,
    *,
    value: str = "1",
    statistic: str = "Sum",
) -> cloudwatch.Metric:
    """The metric of what `pattern` finds in a log."""
    return logs.MetricFilter(
        scope,
        f"{name}Filter",
        log_group=log_group,
        filter_pattern=logs.FilterPattern.literal(pattern),
        metric_namespace=NAMESPACE,
        metric_name=name,
        metric_value=value,
    ).metric(statistic=statistic, period=cdk.Duration.minutes(15 if value != "1" else 5))

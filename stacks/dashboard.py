"""The dashboard: what a platform owner looks at, from numbers that are there anyway.

Services' own metrics, what SageMaker reads off the trainer's log, and queries of the functions' logs, which
cost only while somebody looks. Nothing here is a custom metric.
"""

from collections.abc import Sequence

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from outcrop import training_metrics
from stacks.watched import Watched

_WIDTH = 24
_TABLE = cloudwatch.LogQueryVisualizationType.TABLE
_FIVE_MINUTES = cdk.Duration.minutes(5)


def add_dashboard(scope: Construct, watched: Watched) -> cloudwatch.Dashboard:
    dashboard = cloudwatch.Dashboard(
        scope,
        "Dashboard",
        default_interval=cdk.Duration.days(1),
        period_override=cloudwatch.PeriodOverride.AUTO,
    )
    for title, widgets in (
        ("Jobs", _jobs(watched)),
        ("Training, by training job", _training()),
        ("Models on SageMaker, by inference component", _models()),
        ("Spend", _spend(watched)),
        ("API", _api(watched)),
        ("Functions and table", _functions(watched)),
    ):
        dashboard.add_widgets(cloudwatch.TextWidget(markdown=f"## {title}", width=_WIDTH, height=1))
        dashboard.add_widgets(*widgets)
    return dashboard


def _jobs(watched: Watched) -> list[cloudwatch.IWidget]:
    return [
        _query(
            "Jobs by state, now",
            [watched.function("Sweep")],
            'filter message = "jobs counted"',
            "stats latest(validating_files) as validating, latest(queued) as waiting, "
            "latest(running) as training, latest(paused) as on_hold, "
            "latest(longest_queued_seconds) as oldest_waiting_s",
        ),
        _query(
            "Jobs by state, over time",
            [watched.function("Sweep")],
            'filter message = "jobs counted"',
            "stats max(queued) as waiting, max(running) as training, max(paused) as on_hold by bin(15m)",
            view=cloudwatch.LogQueryVisualizationType.LINE,
        ),
        _query(
            "Trained jobs, by how they ended",
            [watched.function("RegisterModel")],
            'filter message = "training registered"',
            "stats latest(status) as ended by job_id",
            "stats count(*) as jobs by ended",
        ),
        _graph(
            "Workflow executions",
            watched.training.metric_started(label="jobs started"),
            *(machine.metric_failed(label=f"{stack} failed") for stack, machine in watched.workflows.items()),
        ),
    ]


def _training() -> list[cloudwatch.IWidget]:
    return [
        _search("Reward", "reward", "valid_reward"),
        _search("Completions without a reward, a step", "grader_failures"),
        _search("Seconds a step waits for its graders", "grading_seconds"),
        cloudwatch.GraphWidget(
            title="GPU busy, %",
            width=_WIDTH // 4,
            left=[_found('Host} "ftjob-" MetricName="GPUUtilization"')],
            left_y_axis=cloudwatch.YAxisProps(min=0, show_units=False),
        ),
    ]


def _models() -> list[cloudwatch.IWidget]:
    return [
        cloudwatch.GraphWidget(title=title, width=_WIDTH // 4, left=[_component_metric(name)])
        for title, name in (
            ("Requests", "Invocations"),
            ("Requests that found no copy: cold starts", "NoCapacityInvocationFailures"),
            ("Latency of the model, microseconds", "ModelLatency"),
        )
    ]


def _spend(watched: Watched) -> list[cloudwatch.IWidget]:
    ended = 'filter message = "training registered"'
    by_job = "stats max(usd) as dollars, max(billable_seconds) as machine_seconds by job_id"
    return [
        _query(
            "Training: all jobs that ended or paused",
            [watched.function("RegisterModel")],
            ended,
            by_job,
            "stats sum(dollars) as usd, sum(machine_seconds) as billed_s, count(*) as jobs",
        ),
        _query(
            "Training: the dearest jobs",
            [watched.function("RegisterModel")],
            ended,
            by_job,
            "sort dollars desc",
            "limit 10",
        ),
        _query(
            "Waits for a machine",
            [watched.function("PrepareTraining")],
            'filter message = "training prepared" and machine_wait_seconds > 0',
            "stats max(machine_wait_seconds) as waited_s by job_id",
            "sort waited_s desc",
            "limit 10",
        ),
    ]


def _api(watched: Watched) -> list[cloudwatch.IWidget]:
    api = watched.api
    return [
        _graph("Requests", api.metric_count(label="requests", statistic="Sum")),
        _graph(
            "Refused and failed",
            api.metric_client_error(label="4xx", statistic="Sum"),
            api.metric_server_error(label="5xx, cold models' 503 included", statistic="Sum"),
        ),
        _graph(
            "Latency, ms",
            api.metric_latency(label="median", statistic="p50"),
            api.metric_latency(label="99 of 100", statistic="p99"),
        ),
        cloudwatch.LogQueryWidget(
            title="What fails",
            width=_WIDTH // 4,
            view=_TABLE,
            log_group_names=[watched.access_logs.log_group_name],
            query_lines=[
                "filter status >= 400",
                "stats count(*) as calls, max(latency_ms) as slowest_ms by status, method, path",
                "sort calls desc",
                "limit 20",
            ],
        ),
    ]


def _functions(watched: Watched) -> list[cloudwatch.IWidget]:
    functions = watched.functions
    return [
        _graph(
            "Errors", *(one.metric_errors(label=name, statistic="Sum") for name, one in functions.items())
        ),
        _graph(
            "Python graders (sandbox)",
            watched.function("Sandbox").metric_duration(label="ms, 99 of 100", statistic="p99"),
            watched.function("Sandbox").metric_errors(label="errors", statistic="Sum"),
            watched.function("Sandbox").metric_throttles(label="throttled", statistic="Sum"),
        ),
        cloudwatch.LogQueryWidget(
            title="Cold starts",
            width=_WIDTH // 4,
            view=_TABLE,
            log_group_names=[function.log_group.log_group_name for function in functions.values()],
            query_lines=[
                'filter @type = "REPORT"',
                "stats count(*) as calls, count(@initDuration) as cold_starts, "
                "max(@initDuration) as slowest_ms by @log",
                "sort cold_starts desc",
            ],
        ),
        _graph(
            "Table throttled",
            *(
                watched.table.metric(name, label=label, statistic="Sum")
                for name, label in (("ReadThrottleEvents", "reads"), ("WriteThrottleEvents", "writes"))
            ),
        ),
    ]


def _graph(title: str, *metrics: cloudwatch.IMetric) -> cloudwatch.GraphWidget:
    return cloudwatch.GraphWidget(title=title, width=_WIDTH // 4, left=[*metrics], period=_FIVE_MINUTES)


def _query(
    title: str,
    functions: Sequence[lambda_.Function],
    *lines: str,
    view: cloudwatch.LogQueryVisualizationType = _TABLE,
) -> cloudwatch.LogQueryWidget:
    return cloudwatch.LogQueryWidget(
        title=title,
        width=_WIDTH // 4,
        view=view,
        log_group_names=[function.log_group.log_group_name for function in functions],
        query_lines=[*lines],
    )


def _search(title: str, *metrics: str) -> cloudwatch.GraphWidget:
    """Metrics of all training jobs, a line each."""
    wanted = " OR ".join(f'"{training_metrics.metric_name(one)}"' for one in metrics)
    return cloudwatch.GraphWidget(
        title=title, width=_WIDTH // 4, left=[_found(f"TrainingJobName}} MetricName=({wanted})")]
    )


def _component_metric(name: str) -> cloudwatch.MathExpression:
    statistic = "Average" if name == "ModelLatency" else "Sum"
    wanted = f'AWS/SageMaker,InferenceComponentName}} "outcrop-" MetricName="{name}"'
    return _search_for(wanted, statistic, 300)


def _found(wanted: str) -> cloudwatch.MathExpression:
    """`wanted` begins with the metrics' dimension."""
    return _search_for(f"{training_metrics.NAMESPACE},{wanted}", "Average", 60)


def _search_for(wanted: str, statistic: str, seconds: int) -> cloudwatch.MathExpression:
    """`wanted` begins with namespace and dimension, and closes the brace before them."""
    return cloudwatch.MathExpression(
        expression=f"SEARCH('{{{wanted}', '{statistic}', {seconds})",
        using_metrics={},
        label="",
        period=cdk.Duration.seconds(seconds),
    )

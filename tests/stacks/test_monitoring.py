"""Whatever dashboard and alarms read is written by the code: each message, each field, each metric."""

import json
import re
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import boto3
import pytest

from lambdas.workflow import prepare_training, register_model, sweep
from outcrop import training_metrics
from outcrop.ids import now
from outcrop.operations import job_end
from outcrop.settings import settings
from outcrop.stores import bus
from outcrop.stores.jobs import JobStore
from outcrop.stores.keys import KeyStore
from outcrop.types.fine_tuning_job import Bill
from scripts import synthesis
from tests import factories
from tests.in_process import a_context
from tests.stacks.conftest import Templates

_OPERATIONS = (Path(__file__).parents[2] / "docs/operations.md").read_text()

Json = dict[str, Any]
Lines = dict[str, list[Json]]

_SOURCE = re.compile(r"SOURCE '(\w+):PublishOutputRef(\w+?)Logs[0-9A-F]{16}'")
_AWS_FIELDS = {"@type", "@initDuration", "@log"}
"""CloudWatch Logs finds them in what Lambda itself writes."""
_KEYWORDS = {
    "and",
    "as",
    "asc",
    "bin",
    "by",
    "count",
    "desc",
    "filter",
    "in",
    "latest",
    "limit",
    "max",
    "sort",
}
_KEYWORDS |= {"stats", "sum", "or"}


def plain(value: Any) -> str:
    """A text of a template, with the names of what it refers to."""
    match value:
        case str():
            return value
        case {"Fn::Join": ["", list(parts)]}:
            return "".join(map(plain, parts))
        case {"Fn::GetStackOutput": place}:
            return f"{place['StackName']}:{place['OutputName']}"
        case dict():
            (name,) = value.values()
            return name if isinstance(name, str) else ":".join(name)
    raise ValueError(value)


def of_type(template: Json, type: str) -> list[Json]:
    return [one["Properties"] for one in template["Resources"].values() if one["Type"] == type]


@pytest.fixture(scope="module")
def widgets(templates: Templates) -> list[Json]:
    (dashboard,) = of_type(templates["OutcropMonitoring"], "AWS::CloudWatch::Dashboard")
    return [one["properties"] for one in json.loads(plain(dashboard["DashboardBody"]))["widgets"]]


@pytest.fixture
def lines(aws: object, templates: Templates, monkeypatch: pytest.MonkeyPatch) -> Lines:
    """What the functions that are queried log, by their names: the real handlers have run."""
    monkeypatch.setenv("OUTCROP_TRAINING_IMAGE", "123456789012.dkr.ecr.us-west-2.amazonaws.com/outcrop:test")
    settings.cache_clear()
    KeyStore(factories.PROJECT).create("test")  # which makes the project known
    ended = factories.a_job(status="succeeded")
    bill = Bill(training_job="a", instance_type="ml.g5.xlarge", spot=False, billable_seconds=90, usd=0.03)
    JobStore(factories.PROJECT).add_bill(ended.id, bill)
    waits = factories.a_job(status="queued", training_file=factories.a_file().id, started_attempt=1)
    refused = {"number": 2, "round": 1, "since": now() - 7200, "refused": []}
    logged: Lines = {}
    for name, module, event in (
        ("RegisterModel", register_model, identity(ended.id)),
        ("PrepareTraining", prepare_training, {**identity(waits.id), "launch": refused}),
        ("Sweep", sweep, {}),
    ):
        out = StringIO()
        for handler in module.logger.handlers:
            monkeypatch.setattr(handler, "stream", out)
        module.handler(event, a_context())
        logged[name] = [json.loads(line) for line in out.getvalue().splitlines()]
    (v1, *_) = of_type(templates["OutcropApi"], "AWS::ApiGateway::Stage")
    logged["Access"] = [json.loads(plain(v1["AccessLogSetting"]["Format"]))]
    return logged


def identity(job_id: str) -> Json:
    return {"project": factories.PROJECT, "job_id": job_id, "attempt": 1}


def fields(query: str) -> set[str]:
    """Those that a query reads, less those that it makes itself."""
    query = re.sub(r'"[^"]*"', "", query)
    made = set(re.findall(r"\bas (\w+)", query))
    return set(re.findall(r"@?[A-Za-z_]\w*", query)) - made - _KEYWORDS


def queries(widgets: list[Json]) -> Iterator[tuple[str, list[str], str]]:
    """Title, the functions whose logs are read, and what is asked."""
    for widget in widgets:
        if "query" in widget:
            sources = [name for _, name in _SOURCE.findall(widget["query"])]
            yield widget["title"], sources, re.sub(r"SOURCE '[^']*' \| ", "", widget["query"])


def test_every_field_that_a_widget_reads_is_logged(widgets: list[Json], lines: Lines) -> None:
    asked = list(queries(widgets))

    assert len(asked) > 5
    for title, sources, query in asked:
        wanted = fields(re.sub(r"bin\(\w+\)", "", query)) - _AWS_FIELDS
        message = re.search(r'message = "([^"]+)"', query)
        for source in sources if wanted else []:
            logged = [one for one in lines[source] if not message or one["message"] == message[1]]
            assert logged, (title, source)
            assert wanted <= logged[-1].keys(), (title, wanted - logged[-1].keys())


def test_what_the_widgets_read_is_what_happened(lines: Lines) -> None:
    (registered,) = (one for one in lines["RegisterModel"] if one["message"] == "training registered")
    (counted,) = (one for one in lines["Sweep"] if one["message"] == "jobs counted")
    (prepared,) = (one for one in lines["PrepareTraining"] if one["message"] == "training prepared")

    assert (registered["status"], registered["billable_seconds"], registered["usd"]) == (
        "succeeded",
        90,
        0.03,
    )
    assert (counted["succeeded"], counted["queued"], counted["running"]) == (1, 1, 0)
    assert 7200 <= prepared["machine_wait_seconds"] < 7300


def test_every_field_that_an_alarm_counts_is_logged(templates: Templates, lines: Lines) -> None:
    filters = of_type(templates["OutcropMonitoring"], "AWS::Logs::MetricFilter")

    assert len(filters) == 3
    for one in filters:
        source = re.findall(r"PublishOutputRef(\w+?)Logs[0-9A-F]{16}", plain(one["LogGroupName"]))
        wanted = set(
            re.findall(r"\$\.(\w+)", one["FilterPattern"] + one["MetricTransformations"][0]["MetricValue"])
        )
        assert wanted <= lines[source[0]][-1].keys()


def test_every_alarm_is_on_the_operations_page(templates: Templates) -> None:
    alarms = templates["OutcropMonitoring"]["Resources"].items()
    table = _OPERATIONS.split("## Alarms")[1].split("\n## ")[0]

    on_the_page = set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE))

    assert on_the_page == {id[:-8] for id, one in alarms if one["Type"] == "AWS::CloudWatch::Alarm"}


def test_the_log_queries_of_the_operations_page_read_what_is_logged(lines: Lines) -> None:
    step = training_metrics.line("ftjob-1", 3, dict.fromkeys(training_metrics.METRICS, 0.5))
    logged = {one["message"]: one for some in lines.values() for one in some if "message" in one}
    logged["step"] = json.loads(step)

    asked = re.findall(r"```\n(filter .*?)```", _OPERATIONS, re.DOTALL)

    known = [
        query for query in asked if (said := re.search(r'message = "([^"]+)"', query)) and said[1] in logged
    ]
    assert len(known) == 2
    for query in known:
        message = re.search(r'message = "([^"]+)"', query)
        assert message and fields(query) - {"display"} <= logged[message[1]].keys()


def test_what_the_authorizers_alarm_counts_is_what_api_gateway_calls_it(templates: Templates) -> None:
    filters = of_type(templates["OutcropMonitoring"], "AWS::Logs::MetricFilter")
    (pattern,) = (one["FilterPattern"] for one in filters if "AUTHORIZER" in one["FilterPattern"])
    model = boto3.client("apigateway", region_name="us-west-2").meta.service_model
    kinds = model.shape_for("GatewayResponseType").enum  # pyright: ignore[reportAttributeAccessIssue]

    assert set(re.findall(r'"(\w+)"', pattern)) < set(kinds)


def test_every_training_metric_on_the_dashboard_is_one_that_the_trainer_prints(widgets: list[Json]) -> None:
    searched = set(re.findall(r'\\?"(outcrop_\w+)\\?"', json.dumps(widgets)))
    values = {name: 0.5 + place for place, name in enumerate(training_metrics.METRICS)}
    line = training_metrics.line("ftjob-1", 3, values)

    read = {
        one["Name"]: float(found[1])
        for one in training_metrics.definitions()
        if (found := re.search(one["Regex"], line))
    }

    assert read == {training_metrics.metric_name(name): value for name, value in values.items()}
    assert len(searched) == 4 and searched <= read.keys()


def test_there_is_no_metric_that_costs_by_the_job_and_no_topic_without_an_address(
    templates: Templates,
) -> None:
    template = templates["OutcropMonitoring"]

    transformations = [
        one["MetricTransformations"][0] for one in of_type(template, "AWS::Logs::MetricFilter")
    ]
    assert not any("Dimensions" in one or "DefaultValue" in one for one in transformations)
    assert not of_type(template, "AWS::SNS::Topic") and not of_type(template, "AWS::Events::Rule")
    alarms = of_type(template, "AWS::CloudWatch::Alarm")
    assert len(alarms) == 6
    assert not any("AlarmActions" in alarm for alarm in alarms)


@pytest.mark.slow
def test_with_an_address_every_alarm_and_every_end_of_a_job_is_sent_there() -> None:
    template = synthesis.templates(alarm_email="ops@example.com")["OutcropMonitoring"]

    (topic,) = synthesis.reading(template, "AWS::SNS::Topic")
    (subscription,) = of_type(template, "AWS::SNS::Subscription")
    assert (subscription["Protocol"], subscription["Endpoint"]) == ("email", "ops@example.com")
    for alarm in of_type(template, "AWS::CloudWatch::Alarm"):
        assert alarm["AlarmActions"] == [{"Ref": topic}]
    (rule,) = of_type(template, "AWS::Events::Rule")
    assert rule["EventPattern"] == {"source": [bus.SOURCE], "detail-type": [job_end.DETAIL_TYPE]}
    assert rule["Targets"][0]["Arn"] == {"Ref": topic}
    (policy,) = of_type(template, "AWS::SNS::TopicPolicy")
    principals = [
        one.get("Principal") for one in policy["PolicyDocument"]["Statement"] if one["Effect"] == "Allow"
    ]
    assert [one["Service"] for one in principals] == ["cloudwatch.amazonaws.com", "events.amazonaws.com"]


def test_a_function_that_is_watched_can_be_replaced(templates: Templates) -> None:
    """CloudFormation replaces nothing whose name another stack imports."""
    watching = json.dumps(templates["OutcropMonitoring"])

    assert "Fn::ImportValue" not in watching
    for name, template in templates.items():
        for id, output in template["Outputs"].items():
            if f'"OutputName": "{id}"' in watching:
                assert "Export" not in output, (name, id)

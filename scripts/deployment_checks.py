"""What only a real account can show and costs nothing to see: docs/first-deployment.md lists it.

A check raises `Failed` in words, or returns what it saw. What costs is in `deployment_trials`.
"""

import json
import re
import time
from dataclasses import dataclass
from typing import Any

import boto3
import openai
from botocore.exceptions import ClientError
from openai import OpenAI

from outcrop import base_models, prices
from outcrop.stores.deployed import Deployed

_EGRESS = """
import socket
def grade(sample, item):
    try:
        socket.create_connection(("1.1.1.1", 443), timeout=3)
    except OSError:
        return 1.0
    return 0.0
"""
_MARK = """
import pathlib
def grade(sample, item):
    mark = pathlib.Path("/tmp/outcrop-mark")
    try:
        seen = mark.exists()
        mark.write_text("x")
    except OSError:
        return 1.0
    return 0.0 if seen else 1.0
"""
_ACCESS_LINES = ('{"status": "500"}', '{"status": "503"}', '{"status": "404"}', '{"status": "504"}')


class Failed(Exception):
    """What is not as it should be."""


@dataclass(frozen=True)
class Deployment:
    found: Deployed
    base_url: str
    client: OpenAI
    other_project: OpenAI
    """The same API, with a key of another project."""


def stacks(deployment: Deployment) -> str:
    bad = [
        f"{one.name} is {one.status}"
        for one in deployment.found.stacks.values()
        if "COMPLETE" not in one.status
    ]
    if bad:
        raise Failed("; ".join(bad))
    return f"{len(deployment.found.stacks)} stacks in {deployment.found.region}"


def both_prefixes(deployment: Deployment) -> str:
    other = deployment.base_url.removesuffix("/v1") + "/openai/v1"
    models = [
        [one.id for one in deployment.client.with_options(base_url=url).models.list()]
        for url in (deployment.base_url, other)
    ]
    if models[0] != models[1]:
        raise Failed(f"{deployment.base_url} lists {models[0]}, {other} lists {models[1]}")
    return f"{len(models[0])} models at /v1 and /openai/v1"


def refusals(deployment: Deployment) -> str:
    """API Gateway's own errors are OpenAI's."""
    try:
        deployment.client.with_options(api_key="sk-outcrop-nobody-x").models.list()
    except openai.AuthenticationError as error:
        if not error.code or not error.response.headers.get("x-request-id"):
            raise Failed(f"a wrong key is refused without code or x-request-id: {error}") from error
        return f"a wrong key: 401 {error.code}"
    raise Failed("a wrong key is let in")


def sandbox_has_no_egress(deployment: Deployment) -> str:
    return _graded(deployment.client, _EGRESS, "the sandbox reached the internet")


def tenants_share_no_machine(deployment: Deployment) -> str:
    _graded(deployment.client, _MARK, "the sandbox had a file of an earlier run", may_fail=True)
    return _graded(deployment.other_project, _MARK, "a file of one project is seen by another's grader")


def metric_filters(deployment: Deployment) -> str:
    """CloudWatch counts a 500 and a 504, and neither a 503 nor a 404."""
    logs = boto3.client("logs")
    deployed = logs.describe_metric_filters(metricNamespace="Outcrop", metricName="ApiFailures")
    pattern = deployed["metricFilters"][0].get("filterPattern", "")
    answer = logs.test_metric_filter(filterPattern=pattern, logEventMessages=[*_ACCESS_LINES])
    matched = [match["eventMessage"] for match in answer["matches"]]
    if matched != [_ACCESS_LINES[0], _ACCESS_LINES[3]]:
        raise Failed(f"the filter of ApiFails matches {matched}")
    return f"{len(matched)} of {len(_ACCESS_LINES)} lines counted"


def dashboard(deployment: Deployment) -> str:
    """Every query of the dashboard is one that Logs Insights runs."""
    name = deployment.found.output("OutcropMonitoring", "DashboardName")
    body = json.loads(boto3.client("cloudwatch").get_dashboard(DashboardName=name)["DashboardBody"])
    queries = [one["properties"]["query"] for one in body["widgets"] if "query" in one["properties"]]
    logs, now = boto3.client("logs"), int(time.time())
    for query in queries:
        groups = re.findall(r"SOURCE '([^']+)' \| ", query)
        try:
            logs.start_query(
                logGroupNames=groups,
                startTime=now - 3600,
                endTime=now,
                queryString=re.sub(r"SOURCE '[^']+' \| ", "", query),
            )
        except ClientError as error:
            raise Failed(f"{query}: {error}") from error
    return f"{len(queries)} queries start"


def jumpstart(deployment: Deployment) -> str:
    """Where SageMaker's hub has the weights."""
    hub, told = boto3.client("sagemaker"), []
    for model in base_models.CATALOGUE:
        if model.jumpstart:
            content = hub.describe_hub_content(
                HubName="SageMakerPublicHub", HubContentType="Model", HubContentName=model.jumpstart
            )
            told.append(f"{model.jumpstart} {content['HubContentVersion']}")
    return ", ".join(told)


def prices_are_current(deployment: Deployment) -> str:
    """Against AWS's price list, for the Region in prices.json."""
    table, client = prices.table(), boto3.client("pricing", region_name="us-east-1")
    wrong: list[str] = []
    for kind, component in (("training", "Training"), ("hosting", "Hosting")):
        for instance, usd in table[kind].items():
            listed = _list_price(client, table["region"], instance, component)
            if listed is not None and abs(listed - usd) > 0.01 * usd:
                wrong.append(f"{kind} {instance}: {listed} in the price list, {usd} in prices.json")
    if wrong:
        raise Failed("; ".join(wrong))
    return f"within 1 % of the price list of {table['region']}"


def _graded(client: OpenAI, source: str, otherwise: str, *, may_fail: bool = False) -> str:
    run = client.fine_tuning.alpha.graders.run(
        grader={"type": "python", "name": "verify", "source": source}, model_sample="x", item={}
    )
    errors = run.metadata.errors
    if errors.other_error or errors.python_grader_runtime_error:
        raise Failed(f"the grader did not run: {errors.python_grader_runtime_error_details or errors}")
    if run.reward != 1.0 and not may_fail:
        raise Failed(otherwise)
    return f"reward {run.reward}"


def _list_price(client: Any, region: str, instance: str, component: str) -> float | None:
    """Dollars an hour; None for what the list does not have."""
    filters = {"regionCode": region, "instanceName": instance, "component": component}
    answer = client.get_products(
        ServiceCode="AmazonSageMaker",
        Filters=[{"Type": "TERM_MATCH", "Field": field, "Value": value} for field, value in filters.items()],
    )
    for product in map(json.loads, answer["PriceList"]):
        for term in product["terms"].get("OnDemand", {}).values():
            for dimension in term["priceDimensions"].values():
                return float(dimension["pricePerUnit"]["USD"])
    return None

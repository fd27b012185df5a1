"""Write docs/cost.md, and the short of it into README.md: what an idle deployment, jobs and models cost.

`python -m scripts.cost_page`
"""

from collections.abc import Iterator
from pathlib import Path

from outcrop import base_models, prices
from outcrop.operations import estimate, training_images
from outcrop.types.method import ReinforcementHyperparameters
from scripts import idle_cost
from scripts.made_part import replaced
from scripts.synthesis import Templates, templates
from stacks.deployment import Deployment

_REPOSITORY = Path(__file__).resolve().parents[1]
PAGE, README = _REPOSITORY / "docs/cost.md", _REPOSITORY / "README.md"
_ROWS, _PROMPT_TOKENS = 400, 200
_INTRODUCTION = """\
# Cost

Made by `python -m scripts.cost_page` from [`outcrop/prices.json`](../outcrop/prices.json) and the
templates. Instance prices are of {as_of}, {region}, on demand; other services' of {services}. **None was
read from an account of ours, and no throughput was measured: everything here is unverified until your first
bill.** `outcrop estimate FILE --model M` works a job out from its rows before it starts.

## Idle

What the default settings deploy, a month, if nobody calls it:

| resource | how many | costs | USD a month |
|---|---|---|---|
"""
_STORAGE = """
So an idle deployment is under a dollar once there has been no job for {days} days: then the sweeper puts the
training image away, and the next job waits while CodeBuild makes it anew, about {minutes} and the
price of a build (below). Until then, from the first deployment and from the end of the last job, it costs the
second figure. With `instance_count` a second image, of about that size, comes and goes in the same way; an
image that the setting `training_image` names is yours. While there are jobs, the newest five images are kept,
which share most of their layers. (An account without other alarms pays less: AWS gives ten alarm metrics and
three dashboards away.) Other storage comes on top, for as long as it lies there:

| stored | size | USD a month |
|---|---|---|
"""
_JOBS = """
`outcrop destroy` ends all of it ([operations.md](operations.md)). Settings that cost when idle: `waf`
{waf:.2f} USD a month, `kms_key` 1.00 (yours already), `warm_pool_seconds` (the instance, while it is kept),
`training_vpc` (the NAT gateway or interface endpoints that your subnets need; S3 and DynamoDB gateways are
free).

## A job

{rows} rows of {prompt} tokens, everything else `auto`. The first figure is for completions of a quarter of
the longest allowed, the second for the longest; {start:g} h are for the start.

| model | instance | steps x prompts x completions | hours | USD |
|---|---|---|---|---|
"""
_BESIDE = """
Beside the instance:

| what | counted | USD |
|---|---|---|
"""
_SERVING = """
A failed or interrupted attempt costs the seconds it ran. A job stops at its budget (`job_budget_usd`, or
`budget_usd` of the job) and is paused, not failed. Spot instances cost up to 90 % less and may be
interrupted.

## A model that answers

`serving: sagemaker`: an instance, from the request that wakes it until 15 minutes (and up to 12 more for
the instance to go) after the last one. Asleep, an endpoint keeps two alarms; endpoints that nobody used for
a week are removed.

| model | instance | USD an hour awake | USD a month asleep |
|---|---|---|---|
"""
_REQUESTS = """
`serving: bedrock_import`: {cmu:.5f} USD a minute for each Custom Model Unit while it answers, in windows of
five minutes, and {cmu_month:.2f} USD a month for each unit's storage; how many units a model takes is known
when it has been imported. `serving: openai_compatible`: your server's own cost.

## Requests

| a million | USD |
|---|---|
"""


def page(of: Templates) -> str:
    table = prices.table()
    lines = idle_cost.idle(of)
    waf = prices.service("waf_acl_month") + 3 * prices.service("waf_rule_month")
    return "".join(
        [
            _INTRODUCTION.format(
                as_of=table["as_of"], region=table["region"], services=table["services"]["as_of"]
            ),
            *_idle(lines),
            _STORAGE.format(days=training_images.KEPT_DAYS, minutes=training_images.BUILD_MINUTES),
            *_storage(),
            _JOBS.format(waf=waf, rows=_ROWS, prompt=_PROMPT_TOKENS, start=estimate.START_HOURS),
            *(_row(*cells) for cells in _job_rows()),
            _BESIDE,
            *_beside(),
            _SERVING,
            *(_row(*cells) for cells in _serving_rows()),
            _REQUESTS.format(
                cmu=prices.service("bedrock_cmu_minute"),
                cmu_month=prices.service("bedrock_cmu_storage_month"),
            ),
            *_requests(),
        ]
    )


def _idle(lines: list[idle_cost.Line]) -> Iterator[str]:
    costing = [line for line in lines if line.usd]
    for line in costing:
        yield _row(f"`{line.what}`", line.count, line.why, f"{line.usd:.2f}")
    rest = [line for line in lines if not line.usd]
    yield _row(f"{len(rest)} other types", sum(line.count for line in rest), "no idle charge", "0.00")
    without = idle_cost.total(lines)
    days = f"{training_images.KEPT_DAYS} days"
    yield _row(f"**in all, after {days} without a job**", "", "", f"**{without:.2f}**")
    where = f"about {idle_cost.IMAGE_GB} GB in ECR, put away after {days} without a job"
    yield _row("the training image", 1, where, f"{idle_cost.image():.2f}")
    yield _row("**in all, until then**", "", "", f"**{without + idle_cost.image():.2f}**")


def _storage() -> Iterator[str]:
    s3 = prices.service("s3_gb_month")
    for model in base_models.CATALOGUE:
        if model.id in ("openai.gpt-oss-20b", "qwen.qwen3-32b"):
            # gpt-oss has its experts in four bits.
            size = 13.8 if "gpt-oss" in model.id else 2 * model.parameters / 1e9
            yield _row(f"weights of {model.id}, once synced", f"{size:.0f} GB", f"{size * s3:.2f}")
    yield _row("checkpoints and rollouts of a job", "0.1 to 2 GB", f"{0.1 * s3:.2f} to {2 * s3:.2f}")
    yield _row("the table, with point-in-time recovery", "1 GB", f"{_table_gb():.2f}")
    yield _row(
        "logs, kept for 30 days", "1 GB", f"{prices.service('logs_gb') + prices.service('logs_gb_month'):.2f}"
    )


def _table_gb() -> float:
    return prices.service("dynamodb_gb_month") + prices.service("dynamodb_recovery_gb_month")


def _job_rows() -> Iterator[tuple[str, ...]]:
    for model in base_models.CATALOGUE:
        if model.id == "tiny-caps":  # of the tests
            continue
        found = estimate.estimate(
            model, ReinforcementHyperparameters(), rows=_ROWS, prompt_tokens=_ROWS * _PROMPT_TOKENS
        )
        numbers = found.numbers
        steps = f"{numbers.max_steps} x {numbers.prompts_per_step} x {numbers.num_generations}"
        for machine in found.machines:
            hours, usd = _span(machine.hours, 1), _span(machine.usd, 2)
            yield model.id, machine.instance_type, steps, hours, usd


def _span(values: estimate.Range | None, digits: int) -> str:
    if values is None:
        return "unknown"
    low, high = (f"{one:.{digits}f}" for one in values)
    return low if low == high else f"{low} to {high}"


def _beside() -> Iterator[str]:
    call = prices.service("lambda_request") + estimate.GRADER_SECONDS * prices.service("lambda_arm_gb_second")
    calls = 10_000
    yield _row(
        "a Lambda grader",
        f"{calls:,} completions, {estimate.GRADER_SECONDS} s each at 1 GB",
        f"{calls * call:.2f}",
    )
    step = (
        4 * prices.service("dynamodb_write") + prices.service("s3_write") + prices.service("logs_gb") * 1e-6
    )
    yield _row("table, bucket and log", "100 steps", f"{100 * step:.4f}")
    yield _row("the workflow", "30 transitions", f"{30 * prices.service('states_transition'):.4f}")
    yield _row("the event of its end", "1", f"{prices.service('eventbridge_event'):.6f}")
    yield _row(
        "a build of the training image", "10 minutes", f"{10 * prices.service('codebuild_minute'):.2f}"
    )


def _serving_rows() -> Iterator[tuple[str, ...]]:
    asleep = (
        2 * 3 * prices.service("alarm_metric_month")
    )  # of high resolution, which costs three times as much
    for model in base_models.CATALOGUE:
        if model.serving:
            instance = model.serving.instance_types[0]
            hourly = prices.hourly("hosting", instance)
            yield model.id, instance, "unknown" if hourly is None else f"{hourly:.2f}", f"{asleep:.2f}"


def _requests() -> Iterator[str]:
    api = prices.service("api_gateway_request")
    function = prices.service("lambda_request") + 0.05 * prices.service("lambda_arm_gb_second")
    yield _row("calls of the API: API Gateway, a function of 1 GB for 50 ms", f"{1e6 * (api + function):.2f}")
    yield _row("reads of the table", f"{1e6 * prices.service('dynamodb_read'):.3f}")
    yield _row("writes to the table", f"{1e6 * prices.service('dynamodb_write'):.3f}")


def _row(*cells: object) -> str:
    return "| " + " | ".join(map(str, cells)) + " |\n"


def readme(before: str, of: Templates) -> str:
    """README.md with the figures of today, of the models that an empty context offers."""
    offered = {model.id for model in Deployment().models}
    lines = [_row("what", "USD"), _row("---", "---").replace(" ", "")]
    idle = idle_cost.total(idle_cost.idle(of))
    days = f"{training_images.KEPT_DAYS} days"
    both = idle + idle_cost.image()
    lines.append(_row(f"a deployment that nobody has trained with for {days}", f"{idle:.2f} a month"))
    lines.append(_row("until then, with its training image in ECR", f"about {both:.2f} a month"))
    for model, instance, _steps, _hours, usd in _job_rows():
        if model in offered:
            lines.append(_row(f"a job of {_ROWS} rows, {model} on {instance}", usd))
    for model, instance, awake, _asleep in _serving_rows():
        if model in offered:
            lines.append(_row(f"an hour of {model} awake, {instance}", awake))
    return replaced(before, "scripts.cost_page", "".join(lines))


if __name__ == "__main__":
    made = templates()
    PAGE.write_text(page(made))
    README.write_text(readme(README.read_text(), made))

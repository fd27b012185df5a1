"""docs/cost.md is what the script writes; an idle deployment costs under a dollar once its training image is
put away, and the page counts that, too; nothing is left out."""

import uuid

import pytest

from outcrop import base_models, prices, throughput
from scripts import cost_page, diagram, idle_cost
from scripts.synthesis import Templates, templates


@pytest.fixture(scope="module")
def deployment() -> Templates:
    return templates()


def test_the_pages_are_current(deployment: Templates) -> None:
    readme = cost_page.README.read_text()

    assert cost_page.PAGE.read_text() == cost_page.page(deployment), "run `python -m scripts.cost_page`"
    assert readme == cost_page.readme(readme, deployment), "run `python -m scripts.cost_page`"


def test_the_diagram_is_current(deployment: Templates) -> None:
    readme = diagram.PAGE.read_text()

    assert readme == diagram.page(readme, deployment), "run `python -m scripts.diagram`"


def test_a_deployment_that_nobody_uses_costs_under_a_dollar_a_month_once_its_image_is_put_away(
    deployment: Templates,
) -> None:
    """Which tests/operations/test_reconcile_images.py shows that it is."""
    lines, page = idle_cost.idle(deployment), cost_page.PAGE.read_text()

    assert 0 < idle_cost.total(lines) < 1
    assert f"after 30 days without a job** |  |  | **{idle_cost.total(lines):.2f}**" in page
    assert f"until then** |  |  | **{idle_cost.total(lines) + idle_cost.image():.2f}**" in page
    assert sum(line.count for line in lines if line.what.startswith(("AWS::", "Custom::"))) == sum(
        len(template["Resources"]) for template in deployment.values()
    )


@pytest.mark.slow
def test_every_option_has_an_idle_price() -> None:
    everything = templates(
        waf=True,
        dev=True,
        alarm_email="ops@example.com",
        sandbox_packages="full",
        graders={"rewards": "lambdas/reward_templates/math_reasoning"},
        custom_domain={
            "name": "api.example.com",
            "certificate_arn": f"arn:aws:acm:us-west-2:123456789012:certificate/{uuid.UUID(int=7)}",
            "hosted_zone_id": "Z0123456789",
        },
    )

    assert idle_cost.total(idle_cost.idle(everything)) < 10  # the web ACL


def test_what_runs_by_the_clock_is_counted() -> None:
    template = {
        "Sweep12345678": {"Type": "AWS::Lambda::Function", "Properties": {"MemorySize": 512}},
        "Rule": {
            "Type": "AWS::Events::Rule",
            "Properties": {
                "ScheduleExpression": "rate(15 minutes)",
                "Targets": [{"Arn": {"Fn::GetAtt": ["Sweep12345678", "Arn"]}}],
            },
        },
    }

    *_, line = idle_cost.idle({"Stack": {"Resources": template}})

    assert (line.what, line.count) == ("Sweep, rate(15 minutes)", 2920)
    assert line.usd == pytest.approx(2920 * (0.0000002 + 0.5 * 2 * 0.0000133334))


def test_a_type_of_resource_without_a_price_is_an_error() -> None:
    nat = {"Stack": {"Resources": {"Gateway": {"Type": "AWS::EC2::NatGateway"}}}}

    with pytest.raises(KeyError, match="NatGateway"):
        idle_cost.idle(nat)


def test_every_machine_of_the_catalogue_has_a_price_and_a_speed() -> None:
    for model in base_models.CATALOGUE:
        for one in model.instance_types:
            assert prices.hourly("training", one), one
            assert throughput.of(model.id, one), (model.id, one)
        for one in model.serving.instance_types if model.serving else ():
            assert prices.hourly("hosting", one), one

"""What scanners find: nothing without a reason beside the resource."""

import json
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from cdk_nag import AwsSolutionsChecks, ServerlessChecks
from cfnlint.api import lint

from app import compose
from scripts.synthesis import Templates, templates
from tests.stacks.guarded import GUARDED

REGIONS = ["us-east-1", "us-east-2", "us-west-2", "eu-central-1"]


@pytest.fixture(scope="module")
def deployed() -> Templates:
    return templates()


@pytest.mark.parametrize(
    "settings", [{}, pytest.param(GUARDED, marks=pytest.mark.slow)], ids=["plain", "guarded"]
)
def test_cdk_nag_finds_nothing_that_has_no_reason(settings: dict[str, Any], tmp_path: Path) -> None:
    app = cdk.App(context={**settings, "aws:cdk:bundling-stacks": []}, outdir=str(tmp_path))
    compose(app)
    cdk.Validations.of(app).add_plugins(AwsSolutionsChecks(app), ServerlessChecks(app))

    violations: list[str] = []
    try:
        app.synth()
    except RuntimeError:
        report = json.loads((tmp_path / "validation-report.json").read_text())
        violations = [
            f"{one['ruleName']}: {', '.join(where['constructPath'] for where in one['violatingConstructs'])}"
            for plugin in report["pluginReports"]
            for one in plugin["violations"]
        ]

    assert violations == []


def test_cfn_lint_finds_no_error(deployed: Templates) -> None:
    found = [
        f"{stack}: {match.rule.id} {match.message}"
        for stack, template in deployed.items()
        for match in lint(json.dumps(template), regions=REGIONS)
        if match.rule.severity in ("error", "warning") and match.rule.id != "W3005"
    ]

    # W3005: CDK states dependencies that a reference implies already.
    assert found == []

"""Write the diagram in README.md of what a deployment creates: a box a stack, an arrow to each it uses.

Read from the templates, as mermaid: `python -m scripts.diagram`
"""

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

from scripts.made_part import replaced
from scripts.synthesis import Templates, templates

PAGE = Path(__file__).resolve().parents[1] / "README.md"
_SHOWN = {
    "AWS::ApiGateway::RestApi": "REST API",
    "AWS::CloudWatch::Alarm": "alarm",
    "AWS::CloudWatch::Dashboard": "dashboard",
    "AWS::CodeBuild::Project": "CodeBuild project",
    "AWS::DynamoDB::Table": "table",
    "AWS::EC2::VPC": "network without a way out",
    "AWS::ECR::Repository": "ECR repository",
    "AWS::IAM::Role": "role",
    "AWS::Lambda::Function": "function",
    "AWS::S3::Bucket": "bucket",
    "AWS::StepFunctions::StateMachine": "workflow",
}
_WATCHES_ALL = "OutcropMonitoring"
_IMPORT = re.compile(r'"Fn::ImportValue": "(\w+):')


def page(before: str, of: Templates) -> str:
    """README.md with the diagram of these templates."""
    return replaced(before, "scripts.diagram", diagram(of))


def diagram(of: Templates) -> str:
    lines = ["```mermaid", "flowchart LR"]
    for stack, template in of.items():
        lines.append(f'    {stack}["<b>{stack}</b><br/>{"<br/>".join(_contents(template))}"]')
    for stack, template in of.items():
        if stack == _WATCHES_ALL:
            lines.append(f"    {stack} -. watches all .-> OutcropApi")
        else:
            used = sorted(set(_IMPORT.findall(json.dumps(template))) - {stack})
            lines += [f"    {stack} --> {other}" for other in used]
    return "\n".join([*lines, "```", ""])


def _contents(template: dict[str, Any]) -> list[str]:
    """Functions and workflows by name, the rest by number; a role only where there is nothing else."""
    names: dict[str, list[str]] = {}
    counts: Counter[str] = Counter()
    for id, resource in template["Resources"].items():
        kind = _SHOWN.get(resource["Type"])
        if kind == "function":
            names.setdefault(kind, []).append(re.sub(r"[0-9A-F]{8}$", "", id))
        elif kind:
            counts[kind] += 1
    if len(counts) + len(names) > 1:
        counts.pop("role", None)
    told = [kind if count == 1 else f"{count} {kind}s" for kind, count in sorted(counts.items())]
    functions = sorted(names.get("function", []))
    rows = [functions[start : start + 3] for start in range(0, len(functions), 3)]
    return [*told, *(f"<i>{', '.join(row)}</i>" for row in rows)]


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(), templates()))

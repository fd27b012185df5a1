"""`outcrop graders new`: a reward template becomes a folder of one's own."""

import json
import shlex
from pathlib import Path

import typer

from outcrop.cli.local import DEFAULT_MODEL
from outcrop.reward_templates import JUDGES, RULES, copy

_BEDROCK_JUDGE = "openai.gpt-oss-120b-1:0"


def run(template: str, folder: Path) -> None:
    """Exits with status 2 for a template that does not exist, or a folder that is not free."""
    if template not in (*RULES, *JUDGES):
        known = ", ".join((*RULES, *JUDGES))
        message = f"There is no template '{template}'; there are {known}."
        raise typer.BadParameter(message, param_hint="--template")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise typer.BadParameter(f"{folder} is there already, and is no empty folder.", param_hint="DIR")
    copy(template, folder)
    typer.echo(_next_steps(template, folder))


def _next_steps(template: str, folder: Path) -> str:
    asks_a_model = template in JUDGES
    variables = f"JUDGE_MODEL={DEFAULT_MODEL} " if asks_a_model else ""
    setting = {"folder": str(folder.resolve())} | ({"judge": _BEDROCK_JUDGE} if asks_a_model else {})
    handler, rows = (shlex.quote(str(folder / name)) for name in ("handler.py", "example.jsonl"))
    return f"""\
{folder} is yours: {folder / "README.md"} says what it rewards.

On this machine, with the example's rows:
  {variables}outcrop local --grader {template}={handler}
  outcrop graders test {rows} --grader {template} --model {DEFAULT_MODEL}

In your AWS account, as the function {template}: among the settings in cdk.json
  "graders": {json.dumps({template: setting})}
and then
  make deploy ARGS=OutcropGraders"""

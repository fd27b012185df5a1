"""`make deploy` hands what it is given to the CDK, which synthesizes with it."""

import subprocess
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]


def test_settings_on_the_command_line_reach_the_app() -> None:
    arguments = ["make", "--dry-run", "deploy", "ARGS=--all -c dev=true"]

    done = subprocess.run(arguments, cwd=REPOSITORY, capture_output=True, text=True, check=True)

    command = done.stdout.splitlines()[-1]
    assert " deploy --app '.venv/bin/python app.py' --all -c dev=true" in command
    assert "cdk.out" not in command

"""`make deploy` hands what it is given to the CDK, which synthesizes with it."""

import os
import subprocess
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]


def test_settings_on_the_command_line_reach_the_app() -> None:
    arguments = ["make", "--dry-run", "deploy", "ARGS=--all -c dev=true"]

    # As typed, and not as a part of the `make test` that may run this.
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))
    }
    done = subprocess.run(
        arguments, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=True
    )

    command = done.stdout.splitlines()[-1]
    assert " deploy --app '.venv/bin/python app.py' --all -c dev=true" in command
    assert "cdk.out" not in command

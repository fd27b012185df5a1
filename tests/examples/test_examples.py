"""Every example is run as its README says, against the whole local loop, with the tests' own small model."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.stack import LocalStack
from tests import tiny_model

ROOT = Path(__file__).parents[2]
REWARD = ROOT / "examples" / "five_steps" / "reward.py"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    tiny_model.ensure()
    stack = LocalStack(tmp_path_factory.mktemp("state"), 0, {"date-reward": (REWARD, None)}, ["tiny-caps"])
    stack.start()
    yield stack
    stack.stop()


@pytest.mark.slow
@pytest.mark.parametrize("form", ["custom_code", "lambda"])
def test_the_five_steps_run_in_both_spellings_of_the_grader(stack: LocalStack, form: str) -> None:
    environment = {**os.environ, "OPENAI_BASE_URL": stack.base_url, "OPENAI_API_KEY": stack.api_key}

    run = subprocess.run(
        [sys.executable, "examples/five_steps/main.py", "--model", "tiny-caps", "--form", form],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )

    assert run.returncode == 0, run.stdout + run.stderr
    assert "The job has successfully completed" in run.stdout
    assert "   ft:tiny-caps:default::" in run.stdout

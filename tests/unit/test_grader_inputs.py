"""What `--grader` and `--price` mean."""

from pathlib import Path

import pytest

from outcrop.cli.grader_inputs import WrongArgument, grader_definition, prices

LOCAL, DEPLOYED = "127.0.0.1", "abc.execute-api.us-west-2.amazonaws.com"


def test_an_arn_is_a_function_wherever_the_api_is() -> None:
    arn = "arn:aws:lambda:eu-west-1:210987654321:function:reward"

    assert grader_definition(arn, DEPLOYED) == {"type": "lambda", "lambda": {"function": arn}}


def test_a_name_is_a_function_of_local_mode_alone() -> None:
    assert grader_definition("reward", LOCAL) == {
        "type": "lambda",
        "lambda": {"function": "arn:aws:lambda:us-west-2:123456789012:function:reward"},
    }
    with pytest.raises(WrongArgument, match="give the function's ARN"):
        grader_definition("reward", DEPLOYED)


def test_python_with_grade_is_a_python_grader(tmp_path: Path) -> None:
    source = "import math\n\n\ndef grade(sample, item):\n    return 1.0\n"
    (tmp_path / "exact.py").write_text(source)

    assert grader_definition(str(tmp_path / "exact.py"), LOCAL) == {
        "type": "python",
        "name": "exact",
        "source": source,
    }


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("def lambda_handler(event, context): ...", r"--grader NAME=\S+reward\.py`"),
        ("def handler(event, context): ...", r"--grader NAME=\S+reward\.py:handler`"),
        ("def score(): ...", r"neither grade\(sample, item\) nor lambda_handler"),
        ("def grade(:", r"is not Python: .*line 1"),
    ],
)
def test_other_python_is_told_what_to_do(tmp_path: Path, source: str, message: str) -> None:
    (tmp_path / "reward.py").write_text(source)

    with pytest.raises(WrongArgument, match=message):
        grader_definition(str(tmp_path / "reward.py"), LOCAL)


@pytest.mark.parametrize("argument", ["grader.yaml", "no such thing", "", "x" * 65])
def test_what_cannot_be_a_grader_is_refused(argument: str) -> None:
    with pytest.raises(WrongArgument, match=r"neither a \.json file, nor a \.py file"):
        grader_definition(argument, LOCAL)


def test_prices_are_by_model() -> None:
    assert prices(("judge=0.15/0.60", "us.amazon.nova-lite-v1:0=1/2")) == {
        "judge": (0.15, 0.6),
        "us.amazon.nova-lite-v1:0": (1.0, 2.0),
    }


@pytest.mark.parametrize("given", ["judge", "judge=1", "=1/2", "judge=-1/2", "judge=a/b"])
def test_a_price_that_is_none_is_refused(given: str) -> None:
    with pytest.raises(WrongArgument, match="is not MODEL=INPUT/OUTPUT"):
        prices((given,))

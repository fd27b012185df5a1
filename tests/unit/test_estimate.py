"""`outcrop estimate`: what a job will cost, from its real rows, before it starts."""

import json
from pathlib import Path

import pytest
from pydantic import TypeAdapter
from typer.testing import CliRunner, Result

from outcrop import base_models, prices
from outcrop.cli.main import app
from outcrop.operations.estimate import START_HOURS, estimate
from outcrop.types.grader import Grader
from outcrop.types.judge_grader import ScoreModelGrader
from outcrop.types.method import ReinforcementHyperparameters

GPT_OSS = base_models.offered("openai.gpt-oss-20b", ["openai.gpt-oss-20b"])
LAMBDA = {"type": "lambda", "lambda": {"function": "arn:aws:lambda:us-west-2:123456789012:function:x"}}


def rows(folder: Path, count: int = 32, content: str = "x" * 400) -> Path:
    path = folder / "rows.jsonl"
    row = json.dumps({"messages": [{"role": "user", "content": content}]})
    path.write_text(f"{row}\n" * count)
    return path


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["estimate", *map(str, arguments)])


def test_hours_are_those_of_the_tokens_sampled_and_learned() -> None:
    asked = ReinforcementHyperparameters(
        n_epochs=2,
        batch_size=16,
        num_generations=4,
        max_completion_length=1000,
        dynamic_sampling_budget=0,
    )

    found = estimate(GPT_OSS, asked, rows=32, prompt_tokens=3200)

    assert found.trained_completions == 4 * 16 * 4
    assert found.completion_tokens == (64_000, 256_000)
    assert found.learned_tokens == (256 * 350, 256 * 1100)
    machine = found.machines[0]
    assert machine.instance_type == "ml.p5.4xlarge" and machine.hours and machine.usd
    assert machine.hours[1] == pytest.approx(START_HOURS + (256_000 / 2000 + 281_600 / 3000) / 3600)
    assert machine.usd[1] == pytest.approx(
        machine.hours[1] * (prices.hourly("training", "ml.p5.4xlarge") or 0)
    )


def test_evaluations_are_sampled_but_not_learned_from() -> None:
    asked = ReinforcementHyperparameters(
        n_epochs=1,
        batch_size=8,
        num_generations=2,
        eval_interval=2,
        eval_samples=3,
        dynamic_sampling_budget=0,
    )

    without = estimate(GPT_OSS, asked, rows=32, prompt_tokens=320)
    found = estimate(GPT_OSS, asked, rows=32, prompt_tokens=320, validation_rows=10)

    assert found.evaluated_completions == (1 + 2) * 10 * (1 + 3)
    assert found.learned_tokens == without.learned_tokens
    assert found.completion_tokens[1] - without.completion_tokens[1] == 120 * 2048


def test_the_second_figure_has_the_fresh_prompts_that_may_be_sampled_and_not_learned_from() -> None:
    asked = {"n_epochs": 2, "batch_size": 16, "num_generations": 4, "max_completion_length": 1000}
    grader = TypeAdapter[Grader](Grader).validate_python(LAMBDA)

    without, found, again = (
        estimate(
            GPT_OSS,
            ReinforcementHyperparameters.model_validate(asked | more),
            rows=32,
            prompt_tokens=3200,
            grader=grader,
        )
        for more in (
            {"dynamic_sampling_budget": 0},
            {"dynamic_sampling_budget": 0.5},
            {"dynamic_sampling_budget": 0.5, "num_iterations": 3},
        )
    )

    assert found.fresh_completions == 128 and without.fresh_completions == 0
    assert found.completion_tokens == (64_000, 1.5 * 256_000)
    assert found.learned_tokens == without.learned_tokens
    assert found.graders[0].calls == 1.5 * without.graders[0].calls
    assert found.graders[0].usd and without.graders[0].usd
    assert found.graders[0].usd[0] == without.graders[0].usd[0] == without.graders[0].usd[1]
    assert again.numbers.max_steps == 3 * found.numbers.max_steps
    assert again.completion_tokens == found.completion_tokens
    assert again.learned_tokens[1] == 3 * found.learned_tokens[1]


def test_a_judge_without_a_price_leaves_the_total_open() -> None:
    judge = ScoreModelGrader.model_validate(
        {
            "type": "score_model",
            "name": "j",
            "model": "gpt-5-mini",
            "input": [{"role": "user", "content": "?"}],
        }
    )

    open_, known = (
        estimate(
            GPT_OSS,
            ReinforcementHyperparameters(),
            rows=32,
            prompt_tokens=3200,
            grader=judge,
            judge_prices=given,
        )
        for given in ({}, {"gpt-5-mini": (0.25, 2.0)})
    )

    assert open_.total(open_.machines[0]) is None
    total, (grading,) = known.total(known.machines[0]), known.graders
    assert grading.usd and grading.judge_tokens and total and known.machines[0].usd
    assert grading.usd[1] == pytest.approx(
        (grading.judge_tokens[0] * 0.25 + grading.judge_tokens[1] * 2) / 1e6
    )
    assert total[1] == pytest.approx(known.machines[0].usd[1] + grading.usd[1] + known.other_usd)


def test_tokens_are_counted_by_characters_where_there_is_no_tokenizer(tmp_path: Path) -> None:
    told = run(rows(tmp_path), "--model", "gpt-oss-20b", "--json")

    found = json.loads(told.stdout)
    assert (found["rows"], found["prompt_tokens"]) == (32, 32 * (100 + 8))
    assert found["counted"].startswith("characters / 4, as no tokenizer of openai.gpt-oss-20b")


def test_the_page_of_words_says_what_is_assumed(tmp_path: Path) -> None:
    grader = tmp_path / "grader.json"
    grader.write_text(json.dumps(LAMBDA))

    told = run(
        rows(tmp_path), "--model", "gpt-oss-20b", "--grader", grader, "--instance-type", "ml.g7e.2xlarge"
    )

    assert told.exit_code == 0
    for said in (
        "16 prompts x 8 completions",
        "ml.g7e.2xlarge",
        "Grader lambda",
        "calls of 0.2 s",
        f"Prices of {prices.table()['as_of']}",
        "(assumed, not measured)",
        "--completion-tokens",
    ):
        assert said in told.stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (
            ["{rows}", "--model", "gpt-5"],
            "--model: 'gpt-5' is not a model that can be fine-tuned. Known: openai.",
        ),
        (
            ["{folder}/none.jsonl", "--model", "gpt-oss-20b"],
            "FILE: {folder}/none.jsonl: there is no such file.",
        ),
        (["{bad}", "--model", "gpt-oss-20b"], "{bad}: line 1 "),
        (
            ["{rows}", "--model", "gpt-oss-20b", "--epochs", "99"],
            "n_epochs: should be 'auto' or less than or equal",
        ),
        (["{rows}", "--model", "gpt-oss-20b", "--grader", "{bad}"], "--grader.type: this field is required"),
        (
            ["{rows}", "--model", "gpt-oss-20b", "--instance-type", "p5"],
            "--instance-type: 'p5' is no SageMaker type",
        ),
        (["{rows}", "--model", "gpt-oss-20b", "--price", "x"], "--price: 'x' is not MODEL=INPUT/OUTPUT"),
    ],
)
def test_a_wrong_argument_is_told_in_one_line(arguments: list[str], says: str, tmp_path: Path) -> None:
    bad = tmp_path / "bad.json"
    bad.write_text('{"x": 1}\n')
    names = {"rows": rows(tmp_path), "bad": bad, "folder": tmp_path}

    told = run(*(one.format(**names) for one in arguments))

    assert told.exit_code == 2
    assert told.stderr.startswith(f"outcrop: {says.format(**names)}")
    assert told.stderr.count("\n") == 1

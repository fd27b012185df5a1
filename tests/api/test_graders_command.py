"""`outcrop graders test`: the real command and the real SDK against the whole API, with a scripted model."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import openai
import pytest
from openai import OpenAI
from starlette.responses import JSONResponse
from typer.testing import CliRunner, Result

from outcrop.cli.main import app
from outcrop.stores.keys import KeyStore
from tests.account import emulated_account
from tests.factories import STRING_CHECK
from tests.graders.lambda_endpoint import LambdaEndpoint
from tests.inference import scripted_server
from tests.inference.scripted_server import ScriptedServer
from tests.whole_api import served, whole_api

GraderFile = Callable[[Any], Path]

CAPITALS = {
    "France": "Paris",
    "Italy": "Rome",
    "Spain": "Madrid",
    "Japan": "Tokyo",
    "Egypt": "Cairo",
    "Peru": "Lima",
}
LOOK_UP = {"type": "function", "function": {"name": "look_up", "parameters": {"type": "object"}}}


@dataclass(frozen=True)
class Whole:
    url: str
    key: str
    model: ScriptedServer


@pytest.fixture(scope="module")
def whole() -> Iterator[Whole]:
    model = ScriptedServer()
    with emulated_account(), served(model.app) as model_url, whole_api(f"{model_url}/v1") as url:
        yield Whole(f"{url}/v1", KeyStore("acme").create("test"), model)


@pytest.fixture
def api(whole: Whole, monkeypatch: pytest.MonkeyPatch) -> Whole:
    """The environment names it, and its model says nothing right."""
    monkeypatch.setenv("OPENAI_BASE_URL", whole.url)
    monkeypatch.setenv("OPENAI_API_KEY", whole.key)
    whole.model.asked.clear()
    whole.model.replies = [scripted_server.whole({"content": "I do not know."})]
    return whole


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[LambdaEndpoint]:
    server = LambdaEndpoint()
    monkeypatch.setenv("AWS_ENDPOINT_URL_LAMBDA", server.url)
    yield server
    server.stop()


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    file = tmp_path / "capitals.jsonl"
    lines = [
        {
            "messages": [{"role": "user", "content": f"The capital of {country}?"}],
            "reference_answer": capital,
        }
        for country, capital in CAPITALS.items()
    ]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return file


@pytest.fixture
def grader(tmp_path: Path) -> GraderFile:
    """`grader(definition)`: the file that has it."""

    def write(definition: Any) -> Path:
        path = tmp_path / "grader.json"
        path.write_text(json.dumps(definition))
        return path

    return write


def graders_test(
    file: object,
    grader: object,
    *options: object,
    model: str = "tiny-caps",
    env: Mapping[str, str | None] = MappingProxyType({}),
) -> Result:
    arguments = ["graders", "test", file, "--grader", grader, "--model", model, *options]
    environment = {"COLUMNS": "160", "NO_COLOR": "1", **env}
    return CliRunner().invoke(app, [*map(str, arguments)], env=environment)


def told(result: Result) -> str:
    """The report on one line: where lines break is the terminal's matter."""
    return " ".join(result.stdout.split())


def reported(result: Result) -> dict[str, Any]:
    return json.loads(result.stdout)


def probes(result: Result) -> dict[str, str]:
    return {probe["name"]: probe["verdict"] for probe in reported(result)["probes"]}


def test_a_sound_grader_is_reported_and_passes(api: Whole, rows: Path, grader: GraderFile) -> None:
    api.model.replies = [scripted_server.whole({"content": "Paris"})]

    result = graders_test(rows, grader(STRING_CHECK))

    assert result.exit_code == 0, result.output
    assert "exact (string_check) on 6 completions of tiny-caps, 6 of 6 rows" in told(result)
    assert "mean 0.167, from 0.000 to 1.000; 83% at 0 or less, 17% at the top (1)" in told(result)
    assert "The mean reward is 0.167, 17% of 1: there is room to learn." in told(result)
    assert "1,152 completions in 24 steps, about 2,304 tokens; each is graded once" in told(result)
    assert "Nothing cheats this grader here." in told(result)
    assert "Sampling: 6 requests ..." in result.stderr


def test_a_probe_that_pays_is_named_with_an_example_and_what_to_do(
    api: Whole, rows: Path, grader: GraderFile
) -> None:
    result = graders_test(rows, grader(STRING_CHECK | {"operation": "like"}))

    assert result.exit_code == 1
    assert 'The probe "every answer at once" earns 1.000 on average, against 0.000' in told(result)
    assert "Compare with the one final answer, not with whether the right one occurs" in told(result)
    assert "A probe cheats this grader." in told(result)


def test_the_json_is_the_report(api: Whole, rows: Path, grader: GraderFile) -> None:
    result = graders_test(rows, grader(STRING_CHECK | {"operation": "like"}), "-n", 4, "--json")

    report = reported(result)
    assert result.exit_code == report["exit_status"] == 1
    assert (report["rows"], report["rows_in_file"], report["reference_column"]) == (4, 6, "reference_answer")
    assert report["rewards"]["mean"] == 0
    assert sum(part["count"] for part in report["rewards"]["histogram"]) == 4
    assert [name for name, verdict in probes(result).items() if verdict == "pays"] == ["every answer at once"]
    assert report["reference_mean"] == 1
    assert report["cost"]["completions"] == 1152


def test_the_model_is_sampled_as_a_job_samples(
    api: Whole, tmp_path: Path, rows: Path, grader: GraderFile
) -> None:
    line = json.loads(rows.read_text().splitlines()[0]) | {"tools": [LOOK_UP]}
    rows.write_text(json.dumps(line))
    form = tmp_path / "form.json"
    form.write_text('{"type": "json_object"}')

    graders_test(rows, grader(STRING_CHECK), "--samples", 3, "--response-format", form)
    graders_test(rows, grader(STRING_CHECK), "--max-tokens", 7, "--temperature", 0.5)

    first, second = [body for _, body in api.model.asked]
    assert first["messages"] == line["messages"]
    assert [one["function"]["name"] for one in first["tools"]] == ["look_up"]
    assert (first["temperature"], first["n"], first["response_format"]) == (1, 3, {"type": "json_object"})
    assert first["max_completion_tokens"] == 20, "a job's default for the model"
    assert (second["temperature"], second["max_completion_tokens"]) == (0.5, 7)


def test_tool_calls_reach_the_grader(api: Whole, rows: Path, grader: GraderFile) -> None:
    rows.write_text(json.dumps(json.loads(rows.read_text().splitlines()[0]) | {"tools": [LOOK_UP]}))
    call = {"id": "call_1", "type": "function", "function": {"name": "look_up", "arguments": "{}"}}
    message = {"content": None, "tool_calls": [call]}
    api.model.replies = [scripted_server.whole(message, finish_reason="tool_calls")]
    called = {"input": "{{sample.output_tools[0].function.name}}", "reference": "look_up"}

    result = graders_test(rows, grader(STRING_CHECK | called), "--json")

    assert reported(result)["rewards"]["mean"] == 1
    assert probes(result)["empty"] == "cannot be graded"


def test_groups_whose_rewards_are_equal_are_counted(api: Whole, rows: Path, grader: GraderFile) -> None:
    answer = json.loads(bytes(scripted_server.whole().body))
    said = ["Paris", "Rome"]
    answer["choices"] = [
        answer["choices"][0] | {"index": index, "message": {"role": "assistant", "content": text}}
        for index, text in enumerate(said)
    ]
    api.model.replies = [JSONResponse(answer)]

    result = graders_test(rows, grader(STRING_CHECK), "--samples", 2, "--json")

    rewards = reported(result)["rewards"]
    assert (rewards["graded"], rewards["groups"], rewards["groups_without_variance"]) == (12, 6, 4)
    assert any("In 4 of 6 groups (67%) all rewards are equal" in one for one in reported(result)["findings"])


def test_the_same_seed_draws_the_same_rows(api: Whole, rows: Path, grader: GraderFile) -> None:
    drawn: list[set[str]] = []
    for seed in (1, 1, 2):
        api.model.asked.clear()
        graders_test(rows, grader(STRING_CHECK), "-n", 3, "--seed", seed)
        drawn.append({body["messages"][0]["content"] for _, body in api.model.asked})

    assert drawn[0] == drawn[1] != drawn[2]


def test_a_grader_that_fails_is_told_from_one_that_gives_nothing(
    api: Whole, rows: Path, grader: GraderFile
) -> None:
    result = graders_test(rows, grader(STRING_CHECK | {"input": "{{sample.output_json.city}}"}))

    assert result.exit_code == 1
    assert "Grading failed 6 times: sample_parse_error. The first:" in told(result)
    assert "The template reads sample.output_json, but the completion is not JSON." in told(result)
    assert "The grader failed on 6 of 6 completions: a training job fails" in told(result)
    assert "cannot be graded 6 failed: sample_parse_error" in told(result)
    assert "This grader does not work yet." in told(result)


def test_a_lambda_function_is_named_and_its_traceback_shown(
    api: Whole, rows: Path, endpoint: LambdaEndpoint
) -> None:
    def handler(event: list[dict[str, Any]], _: Any) -> list[dict[str, Any]]:
        raise KeyError("metadata.answer")

    endpoint.function(handler, name="my-reward")

    result = graders_test(rows, "my-reward", "-n", 2)

    assert result.exit_code == 1
    assert "python_grader_runtime_error" in told(result)
    assert "KeyError" in told(result) and "metadata.answer" in told(result)


def test_a_model_that_already_does_it_is_reported_as_such(api: Whole, rows: Path, grader: GraderFile) -> None:
    result = graders_test(rows, grader(STRING_CHECK | {"reference": "I do not know."}))

    assert result.exit_code == 1, "a completion of another row earns as much: the grader reads no row"
    assert "The mean reward is 1.000, 100% of 1: above 95 % reinforcement may be unnecessary." in told(result)
    assert "The rows' own reference answers earn 0.000 of 1" in told(result)


def test_a_completion_that_fails_is_counted(api: Whole, rows: Path, grader: GraderFile) -> None:
    api.model.replies = [
        scripted_server.error(400, "This model's maximum context length is 256 tokens."),
        scripted_server.whole({"content": "Paris"}, finish_reason="length"),
    ]

    result = graders_test(rows, grader(STRING_CHECK), "--json", "--concurrency", 1)

    sampling = reported(result)["sampling"]
    assert (sampling["completions"], sampling["cut_off"]) == (5, 5)
    assert [(one["kind"], one["count"]) for one in sampling["failures"]] == [("HTTP 400", 1)]
    assert "context length" in sampling["failures"][0]["message"]


def test_a_model_that_says_nothing_is_not_the_graders_fault(
    api: Whole, rows: Path, grader: GraderFile
) -> None:
    api.model.replies = [scripted_server.error(400, "No.")]

    result = graders_test(rows, grader(STRING_CHECK))

    assert result.exit_code == 1
    assert "Sampling failed 6 times: HTTP 400. The first: " in told(result)
    assert "The model gave no completion, so there is nothing to grade." in told(result)


def test_a_price_of_a_judge_that_was_not_asked_is_told(api: Whole, rows: Path, grader: GraderFile) -> None:
    result = graders_test(rows, grader(STRING_CHECK), "--price", "judge=1/2")

    assert "--price: this grader asked no judge called 'judge'." in result.stderr


def test_an_uploaded_file_is_read_by_its_id(api: Whole, rows: Path, grader: GraderFile) -> None:
    client = OpenAI(base_url=api.url, api_key=api.key)
    file = client.files.create(file=rows, purpose="fine-tune")

    result = graders_test(file.id, grader(STRING_CHECK), "--json")

    assert reported(result)["rows_in_file"] == 6


def refusal(result: Result) -> str:
    """What a wrong argument is answered with: one line, and status 2."""
    assert result.exit_code == 2, result.output
    assert isinstance(result.exception, SystemExit)
    (line,) = [one for one in result.stderr.splitlines() if not one.startswith(("Sampling", "Grading"))]
    return line


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "FILE: ROWS: there is no such file."),
        ("", "ROWS: the file is empty."),
        ("[1, 2]\n", "ROWS: line 1 is not a JSON object."),
        ("question,answer\n", "ROWS: line 1 is not JSON"),
        ('{"prompt": "hi"}\n', "ROWS: line 1 has no 'messages'."),
    ],
)
def test_a_file_that_is_none_of_rows_is_named(
    api: Whole, rows: Path, grader: GraderFile, content: str | None, message: str
) -> None:
    rows.unlink() if content is None else rows.write_text(content)

    assert message.replace("ROWS", str(rows)) in refusal(graders_test(rows, grader(STRING_CHECK)))


@pytest.mark.parametrize(
    ("definition", "message"),
    [
        ([STRING_CHECK], "does not hold a JSON object"),
        ({"grader": STRING_CHECK}, "has no 'type'"),
        (STRING_CHECK | {"type": "strong_check"}, "strong_check"),
        (STRING_CHECK | {"operation": "equals"}, "grader.operation"),
        (STRING_CHECK | {"input": "{{sample.output_txt}}"}, "output_txt"),
    ],
)
def test_a_grader_that_is_none_is_refused_in_the_apis_words(
    api: Whole, rows: Path, grader: GraderFile, definition: Any, message: str
) -> None:
    assert message in refusal(graders_test(rows, grader(definition)))


def test_a_function_that_does_not_exist_is_refused(api: Whole, rows: Path, endpoint: LambdaEndpoint) -> None:
    assert "no-such-reward" in refusal(graders_test(rows, "no-such-reward"))


def test_an_unknown_model_is_refused(api: Whole, rows: Path, grader: GraderFile) -> None:
    line = refusal(graders_test(rows, grader(STRING_CHECK), model="gpt-6-astra"))

    assert line.startswith("outcrop: --model: The model 'gpt-6-astra' does not exist")


def test_an_unknown_file_id_is_refused(api: Whole, grader: GraderFile) -> None:
    assert "FILE: " in refusal(graders_test("file-doesnotexist", grader(STRING_CHECK)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"OPENAI_API_KEY": None}, "OPENAI_API_KEY is not set"),
        ({"OPENAI_BASE_URL": None}, "OPENAI_BASE_URL is not set"),
        ({"OPENAI_API_KEY": "sk-outcrop-acme-wrong"}, "OPENAI_API_KEY is not a key of http://127.0.0.1:"),
        (
            {"OPENAI_BASE_URL": "http://127.0.0.1:9/v1"},
            "No server answers at OPENAI_BASE_URL=http://127.0.0.1:9/v1",
        ),
    ],
)
def test_an_api_that_cannot_be_asked_is_named(
    api: Whole,
    rows: Path,
    grader: GraderFile,
    change: dict[str, str | None],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(openai._base_client, "INITIAL_RETRY_DELAY", 0.01)

    assert message in refusal(graders_test(rows, grader(STRING_CHECK), env=change))


def test_ctrl_c_ends_it_at_once(whole: Whole, rows: Path, grader: GraderFile) -> None:
    whole.model.asked.clear()
    whole.model.replies = [lambda: scripted_server.streamed("never", pause_seconds=30)]
    environment = {**os.environ, "OPENAI_BASE_URL": whole.url, "OPENAI_API_KEY": whole.key}
    # As a terminal starts it: what runs in the background has the signal ignored, and so have its children.
    handled = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    program = f"{handled}; from outcrop.cli.main import app; app()"
    arguments = ["graders", "test", rows, "--grader", grader(STRING_CHECK), "--model", "tiny-caps"]
    running = subprocess.Popen(
        [sys.executable, "-c", program, *arguments], env=environment, stderr=subprocess.PIPE, text=True
    )
    while not whole.model.asked:
        assert running.poll() is None
        time.sleep(0.02)

    running.send_signal(signal.SIGINT)
    _, said = running.communicate(timeout=20)

    assert running.returncode == 130
    assert said.splitlines()[-1] == "Interrupted."
    assert "Traceback" not in said

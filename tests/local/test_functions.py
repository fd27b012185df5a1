"""Functions run from source in child processes behave as Lambda functions do."""

import json
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from local.errors import LocalError
from local.functions import Functions

Invoke = Callable[[Any], tuple[Any, bool]]


@pytest.fixture
def functions(tmp_path: Path) -> Iterator[Functions]:
    functions = Functions("http://127.0.0.1:1", tmp_path / "logs", "http://127.0.0.1:2/v1")
    yield functions
    functions.stop()


@pytest.fixture
def a_grader(functions: Functions, tmp_path: Path) -> Callable[..., Invoke]:
    def make(source: str, *, timeout_seconds: float = 30) -> Invoke:
        path = tmp_path / "my_grader.py"
        path.write_text(source)
        functions.register_grader("g", path, timeout_seconds=timeout_seconds)

        def invoke(event: Any) -> tuple[Any, bool]:
            answer, is_error = functions.invoke("g", json.dumps(event).encode())
            return json.loads(answer), is_error

        return invoke

    return make


def test_a_function_gets_its_event_and_context(a_grader: Callable[..., Invoke]) -> None:
    invoke = a_grader(
        "def lambda_handler(event, context):\n"
        "    return [event, context.function_name, context.invoked_function_arn, "
        "context.get_remaining_time_in_millis() > 0]"
    )

    answer, is_error = invoke({"text": "é"})

    assert answer == [{"text": "é"}, "g", "arn:aws:lambda:us-west-2:123456789012:function:g", True]
    assert not is_error


def test_a_grader_sees_which_judge_the_user_named_and_its_prompt_as_it_is_on_disk(
    monkeypatch: pytest.MonkeyPatch, a_grader: Callable[..., Invoke], tmp_path: Path
) -> None:
    monkeypatch.setenv("JUDGE_MODEL", "tiny")
    prompt = tmp_path / "prompt.txt"
    prompt.write_text("Be fair.")
    invoke = a_grader(
        "import os, pathlib\n"
        "PROMPT = pathlib.Path(__file__).with_name('prompt.txt').read_text()\n"
        "def lambda_handler(event, context):\n"
        "    return [PROMPT, os.environ['JUDGE_MODEL'], os.environ['JUDGE_BASE_URL']]"
    )
    first, _ = invoke({})

    prompt.write_text("Be strict.")

    assert first == ["Be fair.", "tiny", "http://127.0.0.1:2/v1"]
    assert invoke({})[0][0] == "Be strict."


def test_a_function_sees_the_emulated_account_and_no_credential_of_the_user(
    monkeypatch: pytest.MonkeyPatch, a_grader: Callable[..., Invoke]
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAREAL")
    monkeypatch.setenv("AWS_PROFILE", "production")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-real")
    invoke = a_grader("import os\ndef handler(event, context): return dict(os.environ)")

    environment, _ = invoke({})

    assert environment["AWS_ENDPOINT_URL"] == "http://127.0.0.1:1"
    assert environment["AWS_ACCESS_KEY_ID"] == "outcrop-local"
    assert environment["AWS_REGION"] == "us-west-2"
    assert environment["AWS_SHARED_CREDENTIALS_FILE"] == os.devnull
    assert not {"AWS_PROFILE", "OPENAI_API_KEY"} & environment.keys()


def test_a_file_edited_on_disk_is_used_by_the_next_event(
    a_grader: Callable[..., Invoke], tmp_path: Path
) -> None:
    invoke = a_grader("def lambda_handler(event, context): return 1")
    assert invoke({}) == (1, False)

    (tmp_path / "my_grader.py").write_text("def lambda_handler(event, context): return 2")

    assert invoke({}) == (2, False)


def test_a_module_beside_the_grader_is_importable_and_watched_too(
    a_grader: Callable[..., Invoke], tmp_path: Path
) -> None:
    (tmp_path / "rubric.py").write_text("WEIGHT = 1")
    invoke = a_grader("import rubric\ndef lambda_handler(event, context): return rubric.WEIGHT")
    assert invoke({}) == (1, False)

    (tmp_path / "rubric.py").write_text("WEIGHT = 5")

    assert invoke({}) == (5, False)


def test_a_file_edited_into_one_that_does_not_import_answers_with_the_reason(
    a_grader: Callable[..., Invoke], tmp_path: Path
) -> None:
    invoke = a_grader("def lambda_handler(event, context): return 1")

    (tmp_path / "my_grader.py").write_text("import no_such_module")
    answer, is_error = invoke({})

    assert is_error
    assert answer["errorType"] == "Runtime.ImportModuleError"
    assert "no_such_module" in answer["errorMessage"]


def test_an_exception_is_answered_in_lambdas_shape(a_grader: Callable[..., Invoke]) -> None:
    invoke = a_grader("def lambda_handler(event, context):\n    raise ValueError('no score')")

    answer, is_error = invoke({})

    assert is_error
    assert (answer["errorType"], answer["errorMessage"]) == ("ValueError", "no score")
    assert "lambda_handler" in answer["stackTrace"][-1]


def test_a_timeout_ends_the_event_and_the_next_one_is_served(a_grader: Callable[..., Invoke]) -> None:
    invoke = a_grader(
        "import time\ndef lambda_handler(event, context): time.sleep(event); return 'awake'",
        timeout_seconds=0.5,
    )

    answer, is_error = invoke(30)

    assert is_error
    assert answer["errorMessage"].endswith("Task timed out after 0.50 seconds")
    assert invoke(0) == ("awake", False)


def test_a_crash_fails_its_event_alone(a_grader: Callable[..., Invoke]) -> None:
    invoke = a_grader(
        "import os, signal\n"
        "def lambda_handler(event, context):\n"
        "    if event == 'exit': os._exit(3)\n"
        "    if event == 'kill': os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return 'alive'"
    )

    exited, exit_is_error = invoke("exit")
    killed, kill_is_error = invoke("kill")

    assert exit_is_error and kill_is_error
    assert exited["errorType"] == killed["errorType"] == "Runtime.ExitError"
    assert exited["errorMessage"].endswith("exit status 3")
    assert killed["errorMessage"].endswith("signal: SIGKILL")
    assert invoke("") == ("alive", False)


def test_events_run_side_by_side_one_to_a_process(a_grader: Callable[..., Invoke]) -> None:
    invoke = a_grader(
        "import os, time\n"
        "busy = False\n"
        "def lambda_handler(event, context):\n"
        "    global busy\n"
        "    assert not busy\n"
        "    busy = True; time.sleep(0.5); busy = False\n"
        "    return os.getpid()"
    )

    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(invoke, range(8)))

    assert not any(is_error for _, is_error in answers)
    assert len({pid for pid, _ in answers}) > 1


def test_an_answer_above_lambdas_limit_is_an_error(a_grader: Callable[..., Invoke]) -> None:
    invoke = a_grader("def lambda_handler(event, context): return 'x' * 7_000_000")

    answer, is_error = invoke({})

    assert is_error
    assert answer["errorType"] == "Function.ResponseSizeTooLarge"


def test_what_a_function_prints_is_in_its_log(a_grader: Callable[..., Invoke], tmp_path: Path) -> None:
    invoke = a_grader("def lambda_handler(event, context): print('graded one')")

    invoke({})

    assert "graded one" in (tmp_path / "logs" / "g.log").read_text()


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import no_such_module", r"does not import: .*No module named 'no_such_module'"),
        ("def lambda_handler(:", r"does not import: .*Syntax error.*line 1"),
        ("x = 1\nprint(undefined)", r"NameError: name 'undefined' is not defined File .*line 2"),
        ("x = 1", r"has no function 'lambda_handler' or 'handler'"),
        ("import os; os._exit(7)", r"does not import: .*exit status 7"),
    ],
)
def test_a_grader_that_cannot_run_is_refused_with_the_reason(
    functions: Functions, tmp_path: Path, source: str, reason: str
) -> None:
    path = tmp_path / "broken.py"
    path.write_text(source)

    with pytest.raises(LocalError, match=rf"Grader g: {path} .*{reason}|Grader g: {path} {reason}"):
        functions.register_grader("g", path)


def test_a_missing_grader_file_is_refused(functions: Functions, tmp_path: Path) -> None:
    with pytest.raises(LocalError, match=r"there is no file .*absent\.py"):
        functions.register_grader("g", tmp_path / "absent.py")


def test_a_named_function_that_the_file_lacks_is_refused(functions: Functions, tmp_path: Path) -> None:
    path = tmp_path / "two.py"
    path.write_text("def lambda_handler(event, context): return 1")

    with pytest.raises(LocalError, match="has no function 'score'"):
        functions.register_grader("g", path, "score")


def test_children_end_with_their_launcher(a_grader: Callable[..., Invoke], functions: Functions) -> None:
    invoke = a_grader("import os\ndef lambda_handler(event, context): return os.getpid()")
    pid, _ = invoke({})

    functions.stop()

    deadline = time.monotonic() + 10
    while Path(f"/proc/{pid}").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)

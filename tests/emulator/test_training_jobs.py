"""SageMaker's container contract, kept by processes."""

import io
import json
import tarfile
import time
from pathlib import Path
from typing import Any

import boto3
import pytest
import time_machine

from local.training_jobs import TrainingJobs
from tests.emulator.conftest import BUCKET, MakeRequest, ended, until

pytestmark = pytest.mark.usefixtures("emulator")

CHECKPOINTS = {"CheckpointConfig": {"S3Uri": f"s3://{BUCKET}/checkpoints/"}}


def test_exit_0_completes_the_job_and_archives_its_model(request_of: MakeRequest) -> None:
    _create(request_of("one", {"write": "model/adapter.txt:weights"}))

    job = ended("one")

    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Completed", "Completed")
    assert "FailureReason" not in job
    archive = _object(job["ModelArtifacts"]["S3ModelArtifacts"].removeprefix(f"s3://{BUCKET}/"))
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        assert tar.getnames() == ["adapter.txt"]
    assert [one["Status"] for one in job["SecondaryStatusTransitions"]] == [
        "Starting",
        "Downloading",
        "Training",
        "Uploading",
        "Completed",
    ]


def test_outputs_can_be_left_uncompressed(request_of: MakeRequest) -> None:
    output = {"S3OutputPath": f"s3://{BUCKET}/output/", "CompressionType": "NONE"}
    _create(request_of("one", {"write": "output/data/sub/log.txt:kept"}, OutputDataConfig=output))

    ended("one")

    assert _object("output/one/output/output/sub/log.txt") == b"kept"


def test_the_failure_file_becomes_the_reason(request_of: MakeRequest) -> None:
    _create(request_of("one", {"write": "output/failure:Out of ideas.", "exit": "3"}))

    job = ended("one")

    assert job["TrainingJobStatus"] == "Failed"
    assert job["FailureReason"] == "AlgorithmError: Out of ideas., exit code: 3"


def test_a_long_reason_is_cut_as_sagemaker_cuts_it(request_of: MakeRequest) -> None:
    _create(request_of("one", {"write": "output/failure:" + "x" * 2000, "exit": "1"}))

    reason = ended("one")["FailureReason"]

    assert len(reason) == 1024
    assert reason.endswith("x, exit code: 1")


def test_a_failure_without_a_reason_names_the_log(
    request_of: MakeRequest, training_jobs: TrainingJobs
) -> None:
    _create(request_of("one", {"exit": "1"}))

    assert str(training_jobs.root / "one" / "log.txt") in ended("one")["FailureReason"]


def test_a_killed_container_says_so(request_of: MakeRequest) -> None:
    _create(request_of("one", {"kill": "9"}))

    assert ended("one")["FailureReason"] == (
        "AlgorithmError: killed by signal 9 (out of memory?), exit code: 137"
    )


def test_a_command_that_does_not_exist_fails_the_job(
    request_of: MakeRequest, training_jobs: TrainingJobs
) -> None:
    training_jobs.command = ["/no/such/trainer"]

    _create(request_of("one"))

    assert ended("one")["TrainingJobStatus"] == "Failed"


def test_channels_are_copied_with_their_keys_below_the_prefix(
    request_of: MakeRequest, training_jobs: TrainingJobs
) -> None:
    _put("data/train/a.jsonl", "a")
    _put("data/train/deep/b.jsonl", "b")
    _put("data/training/c.jsonl", "not below data/train/")
    _put("data/spec.json", "one object")
    _create(
        request_of(
            "one", InputDataConfig=[_channel("training", "data/train/"), _channel("spec", "data/spec.json")]
        )
    )

    ended("one")

    data = training_jobs.root / "one" / "input" / "data"
    assert _files(data) == {
        "training/a.jsonl": "a",
        "training/deep/b.jsonl": "b",
        "spec/spec.json": "one object",
    }


def test_an_empty_channel_fails_the_job(request_of: MakeRequest) -> None:
    _create(request_of("one", InputDataConfig=[_channel("training", "nothing/")]))

    job = ended("one")

    assert job["TrainingJobStatus"] == "Failed"
    assert 'No S3 objects found under S3 URL "s3://training-bucket/nothing/"' in job["FailureReason"]


def test_a_linked_channel_is_the_folder_itself(
    request_of: MakeRequest, training_jobs: TrainingJobs, tmp_path: Path
) -> None:
    weights = tmp_path / "weights" / "tiny"
    weights.mkdir(parents=True)
    (weights / "config.json").write_text("{}")
    _create(request_of("one", InputDataConfig=[_channel("model", "models/tiny/")]))

    ended("one")

    assert (training_jobs.root / "one/input/data/model").resolve() == weights.resolve()


def test_a_linked_channel_that_is_not_there_fails_the_job(request_of: MakeRequest) -> None:
    _create(request_of("one", InputDataConfig=[_channel("model", "models/huge/")]))

    assert "weights/huge is not there" in ended("one")["FailureReason"]


def test_the_container_sees_the_environment_of_its_request_and_no_other(
    request_of: MakeRequest, training_jobs: TrainingJobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET", "the user's own")
    _create(request_of("one", {"print_environment": "OUTCROP_TABLE"}, Environment={"OUTCROP_TABLE": "jobs"}))
    _create(request_of("two", {"print_environment": "SECRET"}))

    ended("one")
    ended("two")

    assert (training_jobs.root / "one/log.txt").read_text() == "jobs\n"
    assert (training_jobs.root / "two/log.txt").read_text() == "None\n"


def test_the_configuration_lies_where_sagemaker_puts_it(
    request_of: MakeRequest, training_jobs: TrainingJobs
) -> None:
    _put("data/a", "a")
    _create(request_of("one", {"sleep": "0"}, InputDataConfig=[_channel("training", "data/")]))

    ended("one")

    config = training_jobs.root / "one/input/config"
    assert json.loads((config / "hyperparameters.json").read_text()) == {"sleep": "0"}
    assert json.loads((config / "resourceconfig.json").read_text())["hosts"] == ["algo-1"]
    assert (
        json.loads((config / "inputdataconfig.json").read_text())["training"]["TrainingInputMode"] == "File"
    )


def test_a_stopped_job_is_stopped_even_if_its_container_exits_0(
    request_of: MakeRequest, training_jobs: TrainingJobs
) -> None:
    _create(request_of("one", {"on_sigterm": "0", "sleep": "60"}))
    _sleeping(training_jobs, "one")

    boto3.client("sagemaker").stop_training_job(TrainingJobName="one")

    stopping = boto3.client("sagemaker").describe_training_job(TrainingJobName="one")
    assert stopping["TrainingJobStatus"] in ("Stopping", "Stopped")
    job = ended("one")
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "Stopped")
    assert "FailureReason" not in job


def test_a_container_that_ignores_sigterm_is_killed(
    request_of: MakeRequest, training_jobs: TrainingJobs
) -> None:
    _create(request_of("one", {"on_sigterm": "ignore", "sleep": "600"}))
    _sleeping(training_jobs, "one")

    boto3.client("sagemaker").stop_training_job(TrainingJobName="one")

    assert ended("one")["TrainingJobStatus"] == "Stopped"


def test_a_job_is_stopped_when_its_time_is_up(request_of: MakeRequest) -> None:
    _create(
        request_of("one", {"on_sigterm": "0", "sleep": "60"}, StoppingCondition={"MaxRuntimeInSeconds": 1})
    )

    job = ended("one")

    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "MaxRuntimeExceeded")


@pytest.mark.parametrize("jump", [-3600, 86_400])
def test_what_a_job_took_is_no_matter_of_the_wall_clock(
    request_of: MakeRequest, training_jobs: TrainingJobs, jump: int
) -> None:
    with time_machine.travel(time.time()) as clock:
        _create(request_of("one", {"sleep": "0.5"}))
        _sleeping(training_jobs, "one")
        clock.shift(jump)
        job = ended("one")

    assert 0 <= job["TrainingTimeInSeconds"] == job["BillableTimeInSeconds"] < 60


def test_complete_checkpoints_are_in_s3_while_the_job_runs(
    request_of: MakeRequest, training_jobs: TrainingJobs
) -> None:
    _create(request_of("one", {"write": "checkpoints/step-1/state:1", "sleep": "60"}, **CHECKPOINTS))
    half = training_jobs.root / "one/checkpoints/tmp-step-2/state"
    _sleeping(training_jobs, "one")
    half.parent.mkdir()
    half.write_text("half")

    until(lambda: _keys("checkpoints/") == ["checkpoints/step-1/state"])
    half.parent.rename(half.parent.with_name("step-2"))

    assert until(lambda: _keys("checkpoints/") == ["checkpoints/step-1/state", "checkpoints/step-2/state"])


def test_checkpoints_are_restored_and_those_removed_are_removed_from_s3(
    request_of: MakeRequest, training_jobs: TrainingJobs
) -> None:
    _put("checkpoints/step-1/state", "1")
    _put("checkpoints/step-2/state", "2")
    _create(request_of("one-2", {"remove": "checkpoints/step-1/state"}, **CHECKPOINTS))

    ended("one-2")

    assert _files(training_jobs.root / "one-2/checkpoints") == {"step-2/state": "2"}
    assert _keys("checkpoints/") == ["checkpoints/step-2/state"]


def test_closing_leaves_no_process_and_no_outcome(
    request_of: MakeRequest, training_jobs: TrainingJobs
) -> None:
    _create(request_of("one", {"write": "checkpoints/step-1/state:1", "sleep": "60"}, **CHECKPOINTS))
    _sleeping(training_jobs, "one")

    training_jobs.close()

    job = boto3.client("sagemaker").describe_training_job(TrainingJobName="one")
    assert job["TrainingJobStatus"] == "InProgress"
    assert _keys("checkpoints/") == ["checkpoints/step-1/state"]


def _create(request: dict[str, Any]) -> None:
    boto3.client("sagemaker").create_training_job(**request)


def _sleeping(training_jobs: TrainingJobs, name: str) -> None:
    """Wait until the container has done all that comes before its `sleep`."""
    until((training_jobs.root / name / "sleeps").exists)


def _channel(name: str, key: str) -> dict[str, Any]:
    source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/{key}"}
    return {"ChannelName": name, "DataSource": {"S3DataSource": source}}


def _put(key: str, text: str) -> None:
    boto3.client("s3").put_object(Bucket=BUCKET, Key=key, Body=text.encode())


def _object(key: str) -> bytes:
    return boto3.client("s3").get_object(Bucket=BUCKET, Key=key)["Body"].read()


def _keys(prefix: str) -> list[str]:
    found = boto3.client("s3").list_objects_v2(Bucket=BUCKET, Prefix=prefix).get("Contents", [])
    return [one.get("Key", "") for one in found]


def _files(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()
    }

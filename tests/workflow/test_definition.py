"""The state machine's definition and the requests of its Train state, against AWS's own rules for both."""

import copy
import itertools
import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from botocore.session import Session
from jsonschema import Draft202012Validator

from local.request_limits import violations
from outcrop import base_models, prices
from outcrop.operations import launches, machines, training, training_job
from outcrop.operations.launches import Launch, Refusal
from outcrop.operations.machines import Machine
from outcrop.settings import settings
from outcrop.types.fine_tuning_job import FineTuningJob
from stacks.constructs.training_workflow import TRAINING_JOB_FIELDS
from stacks.training_settings import MAX_INSTANCE_TYPES
from tests import factories
from tests.account import Account
from tests.workflow.conftest import definition
from tests.workflow.test_paths import EVENTS

KEY = "arn:aws:kms:us-west-2:123456789012:key/0a1b2c3d-0000-1111-2222-333344445555"
VPC = {"SecurityGroupIds": ["sg-0abc"], "Subnets": ["subnet-0abc"]}
ROLE = "arn:aws:iam::123456789012:role/training"
DAY = 24 * 3600
VALIDATOR = "asl-validator@4.0.0"
_SCHEMA = "data/schemas/other/step_functions/statemachine.json"


@pytest.fixture(scope="session")
def states(template: dict[str, Any]) -> dict[str, Any]:
    """The definition, with an ARN for each function."""
    names = [id for id, one in template["Resources"].items() if one["Type"] == "AWS::Lambda::Function"]
    return definition(template, {id: f"arn:aws:lambda:us-west-2:123456789012:function:{id}" for id in names})


def wrong(states: dict[str, Any]) -> list[str]:
    """What cfn-lint's schema of the Amazon States Language finds."""
    package = find_spec("cfnlint")  # whose import takes seconds
    assert package and package.origin
    schema = json.loads((Path(package.origin).parent / _SCHEMA).read_text())
    return [error.message for error in Draft202012Validator(schema).iter_errors(states)]


def test_the_definition_keeps_to_the_schema_of_the_language(states: dict[str, Any]) -> None:
    assert wrong(states) == []


@pytest.mark.parametrize(
    ("state", "change"),
    [
        ("Train", {"TimeoutSeconds": "soon"}),
        ("Wait", {"Secnds": 3}),
        ("IsStopped", {"Choices": None}),
        ("Broken", {"Type": "Failure"}),
    ],
)
def test_the_schema_finds_what_is_wrong(states: dict[str, Any], state: str, change: dict[str, Any]) -> None:
    states = copy.deepcopy(states)
    states["States"][state].update(change)

    assert wrong(states)


@pytest.mark.slow
def test_an_asl_validator_finds_nothing_in_it_and_does_find_seeded_mistakes(
    states: dict[str, Any], tmp_path: Path
) -> None:
    """Which also follows transitions and paths. It comes from npm."""
    scripts = Path(sys.executable).parent  # node and npm come with the `cdk` group
    environment = os.environ | {"PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}"}
    npm = shutil.which("npm", path=environment["PATH"])
    assert npm
    subprocess.run([npm, "install", "--silent", VALIDATOR], check=True, cwd=tmp_path, env=environment)

    def verdict(name: str, **changes: dict[str, Any]) -> int:
        changed = {name: {**states["States"].get(name, {}), **change} for name, change in changes.items()}
        path = tmp_path / f"{name}.json"
        path.write_text(json.dumps({**states, "States": {**states["States"], **changed}}))
        command = [str(tmp_path / "node_modules/.bin/asl-validator"), "--json-path", str(path)]
        return subprocess.run(command, env=environment, capture_output=True).returncode

    assert verdict("as-it-is") == 0
    assert verdict("target", Train={"Next": "Nowhere"}) == 1
    assert verdict("orphan", Orphan={"Type": "Succeed"}) == 1
    assert verdict("path", WaitForTurn={"SecondsPath": "step.wait"}) == 1


def test_nothing_goes_on_for_ever(states: dict[str, Any]) -> None:
    """Every task has a time limit, and whatever goes wrong there leads on."""
    tasks = {name: one for name, one in states["States"].items() if one["Type"] == "Task"}

    for name, task in tasks.items():
        assert task["TimeoutSeconds"] > 0, name
        caught = [error for catch in task.get("Catch", ()) for error in catch["ErrorEquals"]]
        assert caught == (["States.ALL"] if name != "Finish" else []), name
    longest = int(settings().max_runtime_seconds) + int(settings().max_wait_seconds)
    assert tasks["Train"]["TimeoutSeconds"] > longest


@pytest.fixture
def job(aws: Account) -> FineTuningJob:
    files = {param: factories.a_file().id for param in ("training_file", "validation_file")}
    return factories.a_job(status="queued", budget_usd=1000, **files)


@pytest.mark.parametrize("spot", [False, True], ids=["on-demand", "spot"])
@pytest.mark.parametrize("kms", ["", KEY], ids=["", "kms"])
@pytest.mark.parametrize("vpc", [{}, VPC], ids=["", "vpc"])
@pytest.mark.parametrize("warm", ["0", "3600"], ids=["", "warm"])
def test_sagemaker_takes_the_request_of_every_combination_of_settings(
    job: FineTuningJob, monkeypatch: pytest.MonkeyPatch, spot: bool, kms: str, vpc: dict[str, Any], warm: str
) -> None:
    monkeypatch.setenv("OUTCROP_TRAINING_IMAGE", "123456789012.dkr.ecr.us-west-2.amazonaws.com/outcrop:1")
    monkeypatch.setenv("OUTCROP_KMS_KEY", kms)
    monkeypatch.setenv("OUTCROP_TRAINING_VPC", json.dumps(vpc))
    monkeypatch.setenv("OUTCROP_WARM_POOL_SECONDS", warm)
    settings.cache_clear()
    fields = (*TRAINING_JOB_FIELDS, *(["VpcConfig"] if vpc else []))
    create = Session().get_service_model("sagemaker").operation_model("CreateTrainingJob")

    for type in ("ml.m5.large", "ml.p5.4xlarge"):
        answered = training_job.parameters(job, 3, 12, Machine(type, is_spot=spot))
        request = {"RoleArn": ROLE, **{field: answered[field] for field in fields}}

        assert violations(create, request) == []
        assert answered.keys() == set(fields)
        stopping, resources = request["StoppingCondition"], request["ResourceConfig"]
        assert ("MaxWaitTimeInSeconds" in stopping) == request["EnableManagedSpotTraining"] == spot
        assert stopping.get("MaxWaitTimeInSeconds", DAY) >= stopping["MaxRuntimeInSeconds"]
        assert ("KeepAlivePeriodInSeconds" in resources) == (warm != "0" and not spot)
        assert resources.get("VolumeKmsKeyId", "") == (kms if type == "ml.m5.large" else "")
        assert request["OutputDataConfig"].get("KmsKeyId", "") == kms


def test_a_job_keeps_the_weights_that_it_was_made_for(
    job: FineTuningJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    began = job.model_copy(update={"base_revision": "0a1b2c"})
    pinned = replace(training_job.base_model(job), revision="3d4e5f")
    monkeypatch.setattr(base_models, "CATALOGUE", (pinned,))

    asked = [training_job.parameters(one, 1, 1, Machine("ml.m5.large")) for one in (began, job)]

    uris = [one["InputDataConfig"][1]["DataSource"]["S3DataSource"]["S3Uri"] for one in asked]
    folder = f"s3://outcrop-bucket/models/{job.model}/"
    assert uris == [f"{folder}0a1b2c/", f"{folder}3d4e5f/"]


def test_several_machines_train_by_the_image_for_several(
    job: FineTuningJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OUTCROP_TRAINING_IMAGE", "one")
    monkeypatch.setenv("OUTCROP_VERL_IMAGE", "several")
    monkeypatch.setenv("OUTCROP_INSTANCE_COUNT", json.dumps({job.model: 3}))
    settings.cache_clear()
    model = training_job.base_model(job)

    for machine in (*machines.suited_to(model), Machine("ml.m5.large")):
        asked = training_job.parameters(job, 1, 1, machine)

        count = asked["ResourceConfig"]["InstanceCount"]
        image = asked["AlgorithmSpecification"]["TrainingImage"]
        assert (count, image) == ((1, "one") if machine.count == 1 else (3, "several"))
    assert str(machines.suited_to(model)[0]).startswith("3 x ml.")


def test_the_template_hands_on_what_the_step_answers(states: dict[str, Any]) -> None:
    asked = states["States"]["Train"]["Parameters"]

    assert asked == {"RoleArn": ROLE, **{f"{field}.$": f"$.{field}" for field in TRAINING_JOB_FIELDS}}


def test_sagemaker_knows_every_machine_and_its_price_is_known() -> None:
    shapes = Session().get_service_model("sagemaker")
    trains = set(shapes.shape_for("TrainingInstanceType").enum)  # pyright: ignore[reportAttributeAccessIssue]
    hosts = set(shapes.shape_for("ProductionVariantInstanceType").enum)  # pyright: ignore[reportAttributeAccessIssue]

    assert set(prices.table()["training"]) <= trains
    assert set(prices.table()["hosting"]) <= hosts
    for model in base_models.CATALOGUE:
        assert all(prices.hourly("training", type) for type in model.instance_types), model.id


def test_an_execution_stays_below_its_25_000_events() -> None:
    """Whatever can be long is: a month in line, every machine refused in every round of every attempt, and
    every attempt's start lost and its training looked at for as long as it may take."""
    step, look = EVENTS["Task"] + EVENTS["Choice"], EVENTS["Task"] + EVENTS["Choice"] + EVENTS["Wait"]

    waited = in_line = 0
    while waited < 3600:  # for parts of a file
        waited += training.seconds_to_wait(waited)
        in_line += look
    waited = 0
    while waited < 30 * DAY:
        waited += training.seconds_to_wait(waited)
        in_line += look
    rounds = launches.MAX_ROUNDS * (2 * MAX_INSTANCE_TYPES * (step + EVENTS["Train"] + step) + EVENTS["Wait"])
    waited = unseen = 0
    while waited < 432_000 + 2 * 3600:  # the longest max_runtime_seconds
        waited += max(60, min(1800, waited // 20))
        unseen += look

    retries = 200 * 3
    assert in_line + 3 * (rounds + unseen) + retries < 25_000


def test_the_pauses_between_rounds_grow_and_end_when_the_time_for_waiting_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    none_free = (Refusal("ml.p5.4xlarge", is_spot=False, said="none is free"),)
    for longest in (60, 6 * 3600, 7 * DAY):
        monkeypatch.setenv("OUTCROP_MAX_WAIT_SECONDS", str(longest))
        settings.cache_clear()
        launch, now, pauses = Launch(since=1000, refused=none_free), 1000, []
        while pause := launch.pause_seconds(now):
            pauses.append(pause)
            now += pause
            launch = Launch(round=launch.round + 1, since=1000, refused=none_free)

        assert 1 <= len(pauses) < launches.MAX_ROUNDS
        assert all(before <= after for before, after in itertools.pairwise(pauses[:-1]))
        assert longest - 200 <= sum(pauses) <= longest
    settings.cache_clear()


def test_a_quota_of_zero_is_not_waited_for() -> None:
    zero = Refusal("ml.p5.4xlarge", is_spot=False, said="it is 0", is_quota=True, passes=False)
    busy = Refusal("ml.p5en.48xlarge", is_spot=False, said="it is in use", is_quota=True)

    assert Launch(since=1000, refused=(zero,)).pause_seconds(1000) == 0
    assert Launch(since=1000, refused=(zero, busy)).pause_seconds(1000) > 0

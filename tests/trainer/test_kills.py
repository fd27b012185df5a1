"""A run that is killed, at whatever moment, and started again leaves what the run leaves that was not: the
same completions, rewards, losses and weights, and every event, checkpoint and file once.
"""

import random
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from outcrop import s3_keys
from outcrop.stores.checkpoints import CheckpointStore
from outcrop.stores.models import ModelStore
from outcrop.stores.objects import ObjectStore
from tests.account import emulated_account
from tests.trainer import killed
from tests.trainer.conftest import MakeRun, Run, maker, served_account
from tests.trainer.killed import Moment
from tests.trainer.outcome import differences, outcome
from training_image.trainer.publish import ADAPTER_FILES

_TRAINER = "training_image.trainer"
_GRPO = f"{_TRAINER}.grpo:GroupTrainer"
_REPORTER = f"{_TRAINER}.reporter:Reporter"
_PUBLISHER = f"{_TRAINER}.publish:Publisher"
_CHECKPOINTS = f"{_TRAINER}.checkpoints"
_EVENTS = "outcrop.stores.events:EventStore"
_MODELS = "outcrop.stores.models:ModelStore"
_OBJECTS = "outcrop.stores.objects:ObjectStore"

PHASES = {
    "evaluating the base model": [
        Moment(f"{_TRAINER}.evaluate:Evaluator.evaluate"),
        Moment(f"{_TRAINER}.rewards:GradingRound.submit", 9),
        Moment(f"{_PUBLISHER}.evaluation", 1, "after"),
        Moment(f"{_REPORTER}.evaluate", 1, "after"),
    ],
    "sampling": [
        Moment(f"{_GRPO}._prepare_inputs", 9),
        Moment(f"{_TRAINER}.prompts:PromptQueue.take", 1, "after"),
        Moment(f"{_TRAINER}.rewards:GradingRound.submit", 9, "after"),
    ],
    "grading": [
        Moment(f"{_TRAINER}.rewards:Rewards.rewards", 3),
        Moment(f"{_TRAINER}.rewards:GradingRound.grade"),
        Moment(f"{_TRAINER}.rewards:GradingRound.grade", 1, "after"),
        Moment(f"{_TRAINER}.rewards:Rewards.rewards", 1, "after"),
    ],
    "forward and backward": [
        Moment(f"{_GRPO}._compute_loss", 10),
        Moment(f"{_GRPO}._compute_loss", 2, "after"),
        Moment("accelerate:Accelerator.backward", 2),
        Moment("accelerate:Accelerator.backward", 3, "after"),
    ],
    "the optimizer's step": [
        Moment(f"{_REPORTER}.on_pre_optimizer_step", 3),
        Moment("torch.optim:AdamW.step"),
        Moment("torch.optim:AdamW.step", 1, "after"),
        Moment("torch.optim.lr_scheduler:LambdaLR.step", 1, "after"),
    ],
    "publishing rollouts": [
        Moment(f"{_PUBLISHER}.rollouts", 3),
        Moment(f"{_PUBLISHER}.rollouts", 1, "after"),
    ],
    "evaluation": [
        Moment(f"{_TRAINER}.evaluate:Evaluator.evaluate", 2),
        Moment(f"{_TRAINER}.rewards:GradingRound.submit", 20),
        Moment(f"{_PUBLISHER}.evaluation", 1, "after"),
        Moment(f"{_REPORTER}.evaluate", 1, "after"),
    ],
    "telling progress": [
        Moment("outcrop.stores.jobs:JobStore.progress", 3),
        Moment("outcrop.stores.jobs:JobStore.progress", 1, "after"),
    ],
    "telling events": [
        Moment(f"{_EVENTS}.put"),
        Moment(f"{_EVENTS}.put", 1, "after"),
        *(Moment(f"{_EVENTS}.put", call, when) for call in (2, 3) for when in ("before", "after")),
        Moment(f"{_EVENTS}.put", 5, "after"),
        Moment(f"{_EVENTS}.put", 5),
    ],
    "publishing the adapter": [
        Moment(f"{_PUBLISHER}.checkpoint", 2),
        Moment(f"{_OBJECTS}.upload_folder"),
        Moment("boto3.s3.inject:upload_file", 1, "after"),
        Moment("boto3.s3.inject:upload_file", 2),
        Moment(f"{_OBJECTS}.upload_folder", 1, "after"),
        Moment(f"{_MODELS}.put"),
        Moment(f"{_MODELS}.put", 1, "after"),
        Moment("outcrop.stores.checkpoints:CheckpointStore.put", 1, "after"),
        Moment(f"{_PUBLISHER}.checkpoint", 1, "after"),
    ],
    "writing the resume state": [
        Moment(f"{_CHECKPOINTS}:save", 2),
        Moment(f"{_GRPO}.write_state"),
        *(
            Moment(f"{_GRPO}.{file}", 1, when)
            for file in ("_save_optimizer_and_scheduler", "_save_rng_state")
            for when in ("before", "after")
        ),
        Moment(f"{_GRPO}.write_state", 1, "after"),
        Moment(f"{_REPORTER}._write_state", 1, "after"),
    ],
    "making the resume state last": [
        *(Moment(f"{_CHECKPOINTS}:_sum", call) for call in (5 + 8 + 1, 5 + 4)),
        *(Moment(f"{_CHECKPOINTS}:_sync", call) for call in (1, 5, 9)),
        Moment("pathlib:Path.rename"),
        Moment("pathlib:Path.rename", 1, "after"),
        Moment(f"{_CHECKPOINTS}:save", 1, "after"),
    ],
    "finishing": [
        Moment(f"{_PUBLISHER}.fetch"),
        Moment(f"{_PUBLISHER}.fetch", 1, "after"),
        Moment(f"{_TRAINER}.validation:Validation.compare"),
        Moment(f"{_PUBLISHER}.comparison", 1, "after"),
        Moment(f"{_TRAINER}.validation:Validation.compare", 1, "after"),
        Moment(f"{_PUBLISHER}.result"),
        Moment(f"{_PUBLISHER}.result", 1, "after"),
    ],
}
"""Each is one run, killed at these moments in turn. A process counts its own calls, mostly from step 3 on."""


@pytest.fixture(scope="module")
def runs(tiny_caps: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MakeRun]:
    """As `a_run`, in one account for all tests here."""
    with emulated_account(), served_account() as url:
        make = maker(tmp_path_factory.mktemp("never"), url, tiny_caps)

        def a_run(**arguments: Any) -> Run:
            return make(root=tmp_path_factory.mktemp("run"), **arguments)

        yield a_run


@pytest.fixture(scope="module")
def straight(runs: MakeRun) -> dict[str, Any]:
    """What a run leaves that nothing happened to."""
    run = runs()
    assert killed.run(run.environment) == 0
    return outcome(run)


def replace_container(run: Run) -> None:
    """SageMaker's next one has the checkpoints of the last, and nothing else of it."""
    for folder in ("output", "model"):
        shutil.rmtree(run.root / folder, ignore_errors=True)


def assert_all_that_is_listed_can_be_used(run: Run) -> None:
    spec, objects = run.spec, ObjectStore()
    listed = CheckpointStore(spec.project, spec.job_id).list(limit=100).data
    for one in listed:
        served = ModelStore(spec.project).get(one.fine_tuned_model_checkpoint)
        assert served is not None and served.adapter_key is not None
        assert served.adapter_key == s3_keys.adapter(spec.project, spec.job_id, one.step_number)
        for file in ADAPTER_FILES:
            assert objects.exists(f"{served.adapter_key}{file}")
        assert objects.exists(s3_keys.adapter_archive(served.adapter_key))


@pytest.mark.slow
@pytest.mark.parametrize("phase", PHASES)
def test_a_run_killed_in_any_phase_ends_as_if_it_had_not_been(
    runs: MakeRun, straight: dict[str, Any], phase: str
) -> None:
    run = runs()

    for moment in PHASES[phase]:
        assert killed.run(run.environment, moment) == -9, f"never: {moment}"
        assert_all_that_is_listed_can_be_used(run)
        replace_container(run)
    assert killed.run(run.environment) == 0

    assert differences(straight, outcome(run)) == {}


@pytest.mark.slow
def test_runs_killed_at_random_moments_end_as_if_they_had_not_been(
    runs: MakeRun, straight: dict[str, Any], tmp_path: Path
) -> None:
    calls = killed.count_calls(runs().environment, tmp_path / "calls")
    chance, kills = random.Random(1), 0

    while kills < 20:
        run = runs()
        while killed.run(run.environment, Moment("*", chance.randint(1, calls))) == -9:
            kills += 1
            assert_all_that_is_listed_can_be_used(run)
            replace_container(run)
        assert differences(straight, outcome(run)) == {}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("numbers", "optimizer_step"),
    [({"dynamic_sampling_budget": 1.0}, 2), ({"num_iterations": 2}, 4)],
    ids=["fresh prompts", "two updates a step"],
)
def test_steps_that_sample_anew_or_learn_twice_are_taken_up_as_exactly(
    runs: MakeRun, numbers: dict[str, float], optimizer_step: int
) -> None:
    """The model solves few of the rows, and some never: groups of those are replaced."""
    uninterrupted, run = runs(**numbers), runs(**numbers)
    assert killed.run(uninterrupted.environment) == 0

    for moment in (Moment("torch.optim:AdamW.step", optimizer_step), Moment(f"{_GRPO}._compute_loss", 5)):
        assert killed.run(run.environment, moment, _MOST_SECONDS=0.0) == -9
        replace_container(run)
    assert killed.run(run.environment, _MOST_SECONDS=0.0) == 0

    assert any(message.startswith("Training resumed from") for message in run.messages())
    if "dynamic_sampling_budget" in numbers:
        assert any(one["replaced_groups"] for one in run.metrics())
    assert differences(outcome(uninterrupted), outcome(run)) == {}


@pytest.mark.slow
def test_a_step_that_takes_longer_than_the_grace_before_sigkill_costs_no_step_but_itself(
    runs: MakeRun, straight: dict[str, Any]
) -> None:
    run = runs()
    learning_from_step_4 = Moment(f"{_GRPO}._compute_loss", 3 * 4 + 1, "told to stop")

    process = killed.start(run.environment, learning_from_step_4, _MOST_SECONDS=0.0)
    while not (run.root / "checkpoints/step-000003").exists():
        assert process.is_alive()
        time.sleep(0.1)
    process.join(timeout=3)
    process.kill()
    process.join()
    replace_container(run)
    assert killed.run(run.environment) == 0

    assert process.exitcode == -9
    assert "Training resumed from the checkpoint of step 3." in run.messages()
    assert differences(straight, outcome(run)) == {}


@pytest.mark.slow
@pytest.mark.parametrize(
    "in_step_3", [f"{_TRAINER}.rollouts:Rollouts._text", f"{_TRAINER}.rewards:Rewards.rewards"]
)
def test_sigterm_gives_up_a_step_that_is_waited_for_and_keeps_those_before_it(
    runs: MakeRun, in_step_3: str
) -> None:
    """What such a stop publishes, the other run publishes in any case: step 4 not before its metrics."""
    straight, run = runs(eval_interval=4, save_steps=2), runs(eval_interval=4, save_steps=4)
    a_step = 2 * 16 if "_text" in in_step_3 else 1  # a completion's text is asked for twice
    rarely = {"_MOST_SECONDS": 1000.0, "_TIMES_ITS_COST": 1e9}
    assert killed.run(straight.environment) == 0

    for moment, published in (
        (Moment(f"{_TRAINER}.evaluate:Evaluator._text", 5, "told to stop"), []),
        (Moment(in_step_3, 2 * a_step + 1, "told to stop"), [2]),
        (Moment(f"{_TRAINER}.evaluate:Evaluator._text", 5, "told to stop"), [4, 2]),
    ):
        assert killed.run(run.environment, moment, **rarely) == 0
        listed = CheckpointStore(run.spec.project, run.spec.job_id).list().data
        assert [one.step_number for one in listed] == published
        assert_all_that_is_listed_can_be_used(run)
        replace_container(run)
    assert killed.run(run.environment) == 0

    assert [told for told in run.messages() if told.startswith("Training resumed")] == [
        f"Training resumed from the checkpoint of step {step}." for step in (2, 3)
    ]
    found = differences(outcome(straight), outcome(run))
    assert all(name.startswith("event ") for name in found)
    assert sorted(one for one, _ in found.values()) == sorted(other for _, other in found.values())


@pytest.mark.slow
@pytest.mark.parametrize("damaged", [1, 2])
def test_a_run_whose_state_arrived_in_part_goes_on_from_the_one_before_or_begins_anew(
    runs: MakeRun, straight: dict[str, Any], damaged: int
) -> None:
    run = runs()
    in_step_4 = Moment(f"{_TRAINER}.rewards:Rewards.rewards", 4)
    assert killed.run(run.environment, in_step_4, _MOST_SECONDS=0.0) == -9

    for step in (3, 2)[:damaged]:
        optimizer = run.root / f"checkpoints/step-{step:06d}/optimizer.pt"
        optimizer.write_bytes(optimizer.read_bytes()[:-1])
    replace_container(run)
    assert killed.run(run.environment) == 0

    told = run.messages()
    assert "Checkpoint step-000003 was passed over: optimizer.pt is not what was written." in told
    anew = "No checkpoint of the interrupted training is whole: it begins anew."
    assert ("Training resumed from the checkpoint of step 2." if damaged == 1 else anew) in told
    assert differences(straight, outcome(run)) == {}

"""What must always hold of a job, whatever is done to it in whichever order, and whichever calls get lost.

The operations and the steps are the real ones, on an emulated table. Step Functions and SageMaker are played
here, so that each of them can be slow, fail, or act twice at any moment.
"""

import itertools
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, get_args

import orjson
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from outcrop import s3_keys
from outcrop.errors import APIError, StateError
from outcrop.ids import tuned_model_id
from outcrop.lifecycle import JobStatus, is_terminal, may_enter
from outcrop.operations import jobs, training, training_end, training_stop
from outcrop.operations.launches import Launch
from outcrop.settings import settings as outcrop_settings
from outcrop.stores import training_jobs
from outcrop.stores.jobs import JobStore
from outcrop.stores.models import ModelStore
from outcrop.stores.objects import ObjectStore
from outcrop.training_spec import TrainingResult
from outcrop.types.call import Call
from outcrop.types.fine_tuning_job import CreateFineTuningJob, FineTuningJob
from tests import factories
from tests.account import Account, make_clients_anew

MAY_TRAIN = 2
MOST_JOBS = 4
LONGEST_WAY = 400
"""Steps after which whatever was going on has come to its end."""


class Lost(Exception):
    """A call that never arrived."""


@dataclass
class Execution:
    """One of the state machine, and the state that it enters next."""

    job_id: str
    attempt: int
    state: str = "validate"
    launch: Launch = Launch()  # noqa: RUF009 - frozen

    @property
    def training_job(self) -> str:
        return training_jobs.name(self.job_id, self.attempt, self.launch.number)


@dataclass
class Trainer:
    job_id: str
    attempt: int
    status: str = "Starting"
    """Then `Training`, and in the end one of SageMaker's."""
    reason: str = "InternalServerError: it failed"
    is_told_to_stop: bool = False

    @property
    def is_over(self) -> bool:
        return self.status in ("Completed", "Stopped", "Failed")


class World:
    """Step Functions and SageMaker, as far as a job has to do with them."""

    def __init__(self) -> None:
        self.executions: dict[str, Execution] = {}
        self.trainers: dict[str, Trainer] = {}
        self.loses_calls = False

    def start_execution(self, params: dict[str, Any], **_: Any) -> Any:
        self._arrive()
        asked = orjson.loads(params["body"])
        given = orjson.loads(asked["input"])
        self.executions.setdefault(asked["name"], Execution(given["job_id"], given["attempt"]))
        return SimpleNamespace(status_code=200), {"executionArn": "arn"}

    def stop_training_job(self, params: dict[str, Any], **_: Any) -> Any:
        self._arrive()
        trainer = self.trainers.get(orjson.loads(params["body"])["TrainingJobName"])
        if trainer is None or trainer.is_over:
            error = {"Code": "ValidationException", "Message": "Requested resource not found."}
            return SimpleNamespace(status_code=400), {"Error": error}
        trainer.is_told_to_stop = True
        return SimpleNamespace(status_code=200), {}

    def describe_training_job(self, params: dict[str, Any], **_: Any) -> Any:
        trainer = self.trainers.get(orjson.loads(params["body"])["TrainingJobName"])
        if trainer is None:
            error = {"Code": "ValidationException", "Message": "Requested resource not found."}
            return SimpleNamespace(status_code=400), {"Error": error}
        status = trainer.status if trainer.is_over else "InProgress"
        reason = {"FailureReason": trainer.reason} if status == "Failed" else {}
        described = {"TrainingJobStatus": status, "CreationTime": datetime.now(UTC), **reason}
        return SimpleNamespace(status_code=200), described

    def _arrive(self) -> None:
        if self.loses_calls:
            raise Lost


_projects = itertools.count()
_world = World()


@pytest.fixture
def _played_aws(aws: Account, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("OUTCROP_TRAINING_IMAGE", "123456789012.dkr.ecr.us-west-2.amazonaws.com/outcrop:test")
    monkeypatch.setenv("OUTCROP_MAX_CONCURRENT_JOBS", str(MAY_TRAIN))
    monkeypatch.setenv("OUTCROP_INSTANCE_TYPES", '{"*": ["ml.m5.large", "ml.m5.xlarge"]}')
    outcrop_settings.cache_clear()
    played = {
        "sfn.StartExecution": lambda **given: _world.start_execution(**given),
        "sagemaker.StopTrainingJob": lambda **given: _world.stop_training_job(**given),
        "sagemaker.DescribeTrainingJob": lambda **given: _world.describe_training_job(**given),
    }
    for call, answer in played.items():
        aws.session.events.register_first(f"before-call.{call}", answer)
    make_clients_anew()
    yield
    for call, answer in played.items():
        aws.session.events.unregister(f"before-call.{call}", answer)
    make_clients_anew()


class JobMachine(RuleBasedStateMachine):
    made = Bundle("made")

    @initialize()
    def begin(self) -> None:
        global _world
        self.world = _world = World()
        self.project = f"project-{next(_projects)}"
        self.file = factories.a_file(project=self.project).id
        self.store = JobStore(self.project)
        self.ids: list[str] = []
        self.seen: dict[str, FineTuningJob] = {}

    # What callers do.

    @rule(target=made, loses_calls=st.booleans())
    @precondition(lambda self: len(self.ids) < MOST_JOBS)
    def create(self, loses_calls: bool) -> str:
        request = CreateFineTuningJob(model="tiny-caps", training_file=self.file, method=factories.METHOD)
        with self._calls(loses_calls):
            jobs.create(request, self._call())
        self.ids.append(self.store.list(limit=1).data[0].id)
        return self.ids[-1]

    @rule(job_id=made, loses_calls=st.booleans())
    def pause(self, job_id: str, loses_calls: bool) -> None:
        with self._calls(loses_calls):
            jobs.pause(job_id, self.project)

    @rule(job_id=made, loses_calls=st.booleans(), retry=st.integers(0, 1))
    def resume(self, job_id: str, loses_calls: bool, retry: int) -> None:
        with self._calls(loses_calls):
            jobs.resume(job_id, self._call(retry))

    @rule(job_id=made, loses_calls=st.booleans())
    def cancel(self, job_id: str, loses_calls: bool) -> None:
        with self._calls(loses_calls):
            jobs.cancel(job_id, self.project)

    @rule(job_id=made)
    def retrieve(self, job_id: str) -> None:
        jobs.retrieve(job_id, self.project)

    # What the workflow does.

    @rule(data=st.data(), twice=st.booleans())
    def take_a_step(self, data: st.DataObject, twice: bool) -> None:
        going = [one for one in self.world.executions.values() if one.state != "over"]
        if going:
            self._step(data.draw(st.sampled_from(going)), twice=twice)

    @rule(data=st.data())
    def give_up(self, data: st.DataObject) -> None:
        """As when a step fails again and again."""
        going = [one for one in self.world.executions.values() if one.state not in ("over", "train")]
        if going and data.draw(st.integers(0, 9)) == 0:
            execution = data.draw(st.sampled_from(going))
            training_end.abandon(self.project, execution.job_id, execution.attempt, "it failed")
            execution.state = "over"

    # What trainers do.

    @rule(data=st.data())
    def train(self, data: st.DataObject) -> None:
        active = [one for one in self.world.trainers.values() if not one.is_over]
        if active:
            ways = ["goes on", "finishes", "machine fails", "no machine is free"]
            self._train(data.draw(st.sampled_from(active)), data.draw(st.sampled_from(ways)))

    # What always holds.

    @invariant()
    def the_promises_hold(self) -> None:
        found = self.store.find_many(self.ids)
        assert len(found) == len(self.ids)
        for job in found.values():
            before = self.seen.get(job.id)
            if before:
                assert job.status in _reachable(before.status)
                assert job.attempt >= before.attempt
            if before and is_terminal(before.status):
                assert _lasting(job) == before
            assert (job.fine_tuned_model is not None) == (job.status == "succeeded")
            assert (job.finished_at is not None) == is_terminal(job.status)
            assert (job.error is not None) == (job.status == "failed")
            assert not job.pause_requested or job.status == "running"
            live = [
                one
                for one in self.world.executions.values()
                if one.job_id == job.id and one.state != "over" and one.attempt >= job.attempt
            ]
            assert len(live) <= 1
            at_work = [
                one
                for one in self.world.trainers.values()
                if one.job_id == job.id and one.status == "Training"
            ]
            assert len(at_work) <= 1
            assert not (at_work and job.status == "paused")
        assert sum(job.status == "running" for job in found.values()) <= MAY_TRAIN
        self.seen = {id: _lasting(job) for id, job in found.items()}

    def teardown(self) -> None:
        """Left alone, every job comes to an end; a paused one does when it is resumed."""
        self._run_to_the_end()
        for job in self.store.find_many(self.ids).values():
            assert is_terminal(job.status) or job.status == "paused", job
            if job.status == "paused":
                jobs.resume(job.id, self._call())
        self._run_to_the_end()
        for job in self.store.find_many(self.ids).values():
            assert is_terminal(job.status), job
            model = tuned_model_id(job.model, self.project, None, job.id)
            assert (ModelStore(self.project).get(model) is not None) == (job.status == "succeeded")

    def _run_to_the_end(self) -> None:
        for job_id in self.ids:
            jobs.retrieve(job_id, self.project)  # as those do who wait for it
        for _ in range(LONGEST_WAY):
            going = [one for one in self.world.executions.values() if one.state != "over"]
            training_now = [one for one in self.world.trainers.values() if not one.is_over]
            if not going and not training_now:
                self.the_promises_hold()
                return
            for trainer in training_now:
                self._train(trainer, "finishes")
            for execution in going:
                self._step(execution, twice=False)
        raise AssertionError(f"This never ends: {self.world.executions}")

    def _step(self, execution: Execution, *, twice: bool) -> None:
        """The state machine of `stacks/constructs/training_workflow.py`."""
        who = self.project, execution.job_id, execution.attempt
        after, attempt, launch = execution.state, execution.attempt, execution.launch
        for _ in range(2 if twice else 1):
            match execution.state:
                case "validate":
                    step = training.validate_files(*who)
                    after = "over" if step.done else "validate" if step.wait else "prepare"
                case "prepare":
                    step = training.prepare(*who, execution.launch)
                    launch = step.launch
                    after = "over" if step.done else "prepare" if step.wait else "start"
                case "start":
                    name = execution.training_job
                    after = "classify" if name in self.world.trainers else "train"
                    self.world.trainers.setdefault(name, Trainer(execution.job_id, execution.attempt))
                    execution.state = after
                    return
                case "train":
                    trainer = self.world.trainers[execution.training_job]
                    after = "train" if not trainer.is_over else "classify"
                    after = "register" if trainer.status == "Completed" else after
                case "classify":
                    given = execution.launch
                    error = "SageMaker.AmazonSageMakerException"
                    verdict = training_stop.classify(*who, given, error, "it failed")
                    then = {"wait": "classify", "resume": "prepare", "launch": "prepare"}
                    after, attempt = then.get(verdict.next, verdict.next), verdict.attempt
                    launch = verdict.launch
                case _:
                    training_end.register_model(*who)
                    after = "over"
        execution.state, execution.attempt, execution.launch = after, attempt, launch

    def _train(self, trainer: Trainer, way: str) -> None:
        if trainer.status == "Starting" and way == "no machine is free":
            trainer.status, trainer.reason = "Failed", "CapacityError: there is none"
            return
        if trainer.status == "Starting":
            trainer.status = self._entered(trainer)
            return
        if way == "machine fails":
            trainer.status = "Failed"
            return
        try:
            job = self.store.progress(trainer.job_id, trainer.attempt, trained_tokens=1)
            is_wanted = not (job.pause_requested or trainer.is_told_to_stop)
        except StateError:
            is_wanted = False
        if is_wanted and way == "goes on":
            return
        if is_wanted or way == "finishes":  # it was the last step: it is done all the same
            self._leave_result(trainer)
        trainer.status = "Stopped" if trainer.is_told_to_stop else "Completed"

    def _entered(self, trainer: Trainer) -> str:
        """As `training_image.train` begins."""
        if trainer.is_told_to_stop:
            return "Stopped"
        try:
            self.store.transition(trainer.job_id, "running", of_attempt=trainer.attempt)
        except StateError:
            return "Completed"
        return "Training"

    def _leave_result(self, trainer: Trainer) -> None:
        key = s3_keys.result(self.project, trainer.job_id, trainer.attempt)
        result = TrainingResult(step=1, adapter_key="adapter/", trained_tokens=1, metrics={})
        ObjectStore().put(key, result.model_dump_json().encode())

    def _call(self, retry: int = 0) -> Call:
        return Call(self.project, "key", "/fine_tuning/jobs", "fingerprint", retry=retry)

    def _calls(self, lost: bool) -> suppress:
        self.world.loses_calls = lost
        return _Calls(self.world)


class _Calls(suppress):
    """What a caller may hear: that the state does not allow it, or nothing, since a call got lost."""

    def __init__(self, world: World) -> None:
        super().__init__(APIError, Lost)
        self._world = world

    def __exit__(self, *raised: Any) -> bool:
        self._world.loses_calls = False
        return bool(super().__exit__(*raised))


def _lasting(job: FineTuningJob) -> FineTuningJob:
    """Without what is written after a job's end: its result file, its last bill, and that its end is told."""
    return job.model_copy(update={"result_files": [], "billed": [], "end_told": None})


def _reachable(status: JobStatus) -> set[JobStatus]:
    """A rule may take a job several ways at once, but never against the lifecycle."""
    found: set[JobStatus] = {status}
    while True:
        more: list[JobStatus] = [one for one in _STATUSES if set(may_enter(one)) & found]
        if found.issuperset(more):
            return found
        found.update(more)


_STATUSES: tuple[JobStatus, ...] = get_args(JobStatus)


@pytest.mark.usefixtures("_played_aws")
def test_whatever_happens_to_jobs_the_promises_hold() -> None:
    run_state_machine_as_test(
        JobMachine,
        settings=settings(
            max_examples=8,
            stateful_step_count=30,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        ),
    )

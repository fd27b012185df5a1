"""What the sweeper may do is what there is to sweep."""

import time_machine

from lambdas.workflow import sweep
from outcrop import s3_keys
from outcrop.ids import now
from outcrop.operations.reconcile.finding import GRACE_SECONDS
from outcrop.settings import settings
from outcrop.stores import training_jobs
from outcrop.stores.events import EventStore
from outcrop.stores.jobs import JobStore
from outcrop.stores.line import Line
from outcrop.stores.objects import ObjectStore
from outcrop.training_spec import TrainingResult
from tests import factories
from tests.account import Account as EmulatedAccount
from tests.factories import PROJECT
from tests.in_process import a_context
from tests.operations.test_reconcile import (
    a_started_job,
    a_training_job,
    an_ended_job,
    clock,
    motos_own_training_jobs,
)
from tests.stacks.iam import Account, Policy
from tests.stacks.role_calls import Recorder
from tests.stacks.test_used_by_jobs import cancelled_before_its_end_is_written
from tests.stacks.used import BY_LAMBDA, machines, refused, unused

__all__ = ["clock", "motos_own_training_jobs"]  # fixtures


def a_trained_job_whose_workflow_was_lost() -> str:
    job = a_started_job("running", "ABORTED")
    adapter = s3_keys.adapter(PROJECT, job.id, 10)
    result = TrainingResult(adapter_key=adapter, trained_tokens=100, step=10, metrics={})
    ObjectStore().put(s3_keys.result(PROJECT, job.id, 1), result.model_dump_json().encode())
    ObjectStore().put(s3_keys.held_out(PROJECT, job.id), b"{}\n")
    ObjectStore().put(s3_keys.comparison(PROJECT, job.id), b"# Base model and tuned model\n")
    for step in (4, 6, 8, 10):
        factories.a_checkpoint(job, step=step)
    ObjectStore().put(f"{s3_keys.weights(PROJECT, job.id, 4)}model.safetensors", b"weights")
    data = {"step": 1, "train_mean_reward": 0.5}
    EventStore(PROJECT, job.id).append("info", "Step 1", type="metrics", data=data)
    return job.id


def test_the_sweeper_needs_what_it_may_and_no_more(
    aws: EmulatedAccount,
    clock: time_machine.Traveller,
    account: Account,
    policies: dict[str, Policy],
) -> None:
    recorder, role = Recorder(), "OutcropWorkflow Sweep"
    factories.a_file(status="uploaded")
    factories.a_job(status="validating_files")
    a_training_job(f"{an_ended_job('failed').id}-1")
    gone = factories.a_job(status="queued")
    training_jobs.start_execution(PROJECT, gone.id, 1)
    Line(PROJECT).place(gone.id, may_train=2)
    JobStore(PROJECT).transition(gone.id, "cancelled", finished_at=now())
    lost = a_trained_job_whose_workflow_was_lost()
    clock.shift(GRACE_SECONDS)

    with recorder.listening():
        with recorder.acting_as(role):
            sweep.handler({}, a_context())
        late = a_trained_job_whose_workflow_was_lost()
        clock.shift(GRACE_SECONDS)
        with recorder.acting_as(role), cancelled_before_its_end_is_written():
            sweep.handler({}, a_context())

    assert [JobStore(PROJECT).get(id).status for id in (lost, late)] == ["succeeded", "cancelled"]
    names, emulated = machines(account), settings().state_machine_arn
    execution = emulated.replace(":stateMachine:", ":execution:")
    names |= {
        one.resource: one.resource.replace(
            execution, names[emulated].replace(":stateMachine:", ":execution:")
        )
        for one in recorder.made[role]
        if one.resource.startswith(execution)
    }
    assert refused(policies[role], recorder.made[role], names) == []
    assert unused(policies[role], recorder.made[role], BY_LAMBDA, names) == []

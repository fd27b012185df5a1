"""What a training job may do is what the trainer does, and what SageMaker does with its role."""

import io
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import TypeAdapter

from outcrop import s3_keys
from outcrop.graders.pipeline import GraderPipeline
from outcrop.graders.reward import GradedCompletion
from outcrop.ids import now
from outcrop.settings import settings
from outcrop.stores import clients
from outcrop.stores.jobs import JobStore
from outcrop.stores.objects import ObjectStore
from outcrop.training_spec import TrainingSpec
from outcrop.types.grader import Grader
from tests import tiny_model
from tests.account import BUCKET
from tests.account import Account as EmulatedAccount
from tests.stacks.iam import Account
from tests.stacks.role_calls import Recorder, Request
from tests.stacks.test_used_permissions import TheirService, theirs
from tests.stacks.used import BY_SAGEMAKER, refused, unused
from tests.trainer.conftest import maker
from training_image import train

__all__ = ["theirs"]  # a fixture
ROLE = "OutcropTraining"
KEEPING_IN_STEP = {"s3:DeleteObject": "SageMaker, for a checkpoint removed from /opt/ml/checkpoints"}


def brought_by_sagemaker(project: str) -> set[Request]:
    """What `InputDataConfig` names: weights, files and the spec, for which SageMaker takes the job's role."""
    keys = ("models/tiny-caps/unpinned/config.json", s3_keys.file(project, "file-1"))
    return {Request("s3:GetObject", f"arn:aws:s3:::{BUCKET}/{key}") for key in keys} | {
        Request("s3:ListBucket", f"arn:aws:s3:::{BUCKET}")
    }


def grade_with_each_kind(spec: TrainingSpec, theirs: TheirService) -> None:
    judge = {
        "type": "score_model",
        "name": "judge",
        "model": "openai.gpt-oss-120b-1:0",
        "input": [{"role": "user", "content": "Score {{sample.output_text}}"}],
    }
    graders: list[dict[str, Any]] = [
        {"type": "lambda", "lambda": {"function": theirs.grader}},
        {"type": "python", "name": "ours", "source": "def grade(sample, item):\n    return 1.0"},
        judge,
    ]
    for grader in graders:
        pipeline = GraderPipeline(TypeAdapter(Grader).validate_python(grader), project=spec.project)
        pipeline.grade([GradedCompletion({}, "an answer")])
        pipeline.close()


def lose_an_upload(key: str) -> None:
    def lose(**_: Any) -> None:
        raise ConnectionError("lost")

    events = clients.s3().meta.events
    events.register("before-call.s3.UploadPart", lose)
    with pytest.raises(ConnectionError):
        ObjectStore().put(key, io.BytesIO(bytes(9 * 2**20)))
    events.unregister("before-call.s3.UploadPart", lose)


@pytest.fixture
def a_main_thread() -> Iterator[None]:
    """As it was before: the trainer has its own handler of SIGTERM, and all the machine's processors."""
    handler, threads = signal.getsignal(signal.SIGTERM), torch.get_num_threads()
    yield
    signal.signal(signal.SIGTERM, handler)
    torch.set_num_threads(threads)


@pytest.mark.slow
@pytest.mark.usefixtures("a_main_thread")
def test_the_trainer_needs_what_its_role_may_and_no_more(
    aws: EmulatedAccount,
    tmp_path: Path,
    theirs: TheirService,
    default_account: Account,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    recorder = Recorder()
    run = maker(tmp_path, "", tiny_model.ensure())(max_steps=2, eval_interval=1)
    monkeypatch.setenv("OUTCROP_ML_ROOT", str(run.root))
    settings.cache_clear()

    with recorder.listening(), recorder.acting_as(ROLE):
        train.main()
        with recorder.acting_as_nobody():
            JobStore(run.spec.project).transition(run.spec.job_id, "cancelled", finished_at=now())
        train.main()
        grade_with_each_kind(run.spec, theirs)
        lose_an_upload(s3_keys.adapter_archive(s3_keys.adapter(run.spec.project, run.spec.job_id, 2)))

    policy = default_account.policies()[ROLE]
    made = recorder.made[ROLE] | brought_by_sagemaker(run.spec.project)
    assert refused(policy, made) == []
    assert unused(policy, made, BY_SAGEMAKER | KEEPING_IN_STEP) == []

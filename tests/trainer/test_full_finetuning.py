"""All weights learn: what a run without an adapter leaves, and how it goes on after it was killed."""

from pathlib import Path
from typing import Any

import pytest

from outcrop import s3_keys
from outcrop.stores.checkpoints import CheckpointStore
from outcrop.stores.models import ModelStore
from outcrop.stores.objects import ObjectStore
from outcrop.training_spec import TrainingResult
from tests.trainer import killed
from tests.trainer.conftest import MakeRun
from tests.trainer.killed import Moment
from tests.trainer.outcome import differences, outcome

pytestmark = pytest.mark.slow

FULL: dict[str, Any] = {"lora_r": 0, "learning_rate": 1e-4}
_TRAINER = "training_image.trainer"


def test_every_weight_learns_and_each_checkpoint_is_a_model_that_transformers_loads(
    a_run: MakeRun, tiny_caps: Path, tmp_path: Path
) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    run = a_run(**FULL, beta=0.05, merge=True)

    status = run.train()

    assert status == 0, run.failure
    project, job_id = run.spec.project, run.spec.job_id
    result_key = s3_keys.result(project, job_id, 1)
    result = TrainingResult.model_validate_json(ObjectStore().get(result_key))
    assert result.adapter_key is None
    assert result.weights_key == s3_keys.weights(project, job_id, result.step)
    for one in CheckpointStore(project, job_id).list().data:
        served = ModelStore(project).get(one.fine_tuned_model_checkpoint)
        assert served is not None and served.adapter_key is None
        assert served.weights_key == s3_keys.weights(project, job_id, one.step_number)
        assert ObjectStore().exists(f"{served.weights_key}model.safetensors")
    assert not ObjectStore().list(f"{s3_keys.job(project, job_id)}adapters/")

    base: Any = AutoModelForCausalLM.from_pretrained(tiny_caps)
    tuned: Any = AutoModelForCausalLM.from_pretrained(run.root / "model")
    ObjectStore().download_folder(result.merged_key or "", tmp_path / "merged")
    merged: Any = AutoModelForCausalLM.from_pretrained(tmp_path / "merged")
    before = dict(base.named_parameters())
    unchanged = [name for name, one in tuned.named_parameters() if torch.equal(one, before[name])]
    assert unchanged == [] and tuned.dtype == torch.float32
    ids = AutoTokenizer.from_pretrained(run.root / "model")("Q:capital of peru?\nA:", return_tensors="pt")
    with torch.no_grad():
        logits = tuned(**ids).logits
        torch.testing.assert_close(merged(**ids).logits.float(), logits, atol=0.1, rtol=0.05)
    kl = [metrics["kl"] for metrics in run.metrics()]
    assert kl[0] == pytest.approx(0, abs=1e-6) and kl[-1] > 1e-6
    assert any(", optimizer " in message for message in run.messages())


@pytest.mark.parametrize(
    "moments",
    [
        [Moment("torch.optim:AdamW.step", 3, "after")],
        [Moment("safetensors.torch:save_file", 2), Moment(f"{_TRAINER}.checkpoints:_sync", 9)],
        [Moment("boto3.s3.inject:upload_file", 2), Moment(f"{_TRAINER}.publish:Publisher.fetch")],
    ],
    ids=["learning", "writing its state", "publishing"],
)
def test_a_run_killed_on_the_way_leaves_the_very_same_weights(
    a_run: MakeRun, tmp_path: Path, moments: list[Moment]
) -> None:
    straight = a_run(root=tmp_path / "straight", **FULL)
    run = a_run(root=tmp_path / "killed", **FULL)

    assert killed.run(straight.environment, _MOST_SECONDS=0.0) == 0
    for moment in moments:
        assert killed.run(run.environment, moment, _MOST_SECONDS=0.0) == -9, f"never: {moment}"
    assert killed.run(run.environment, _MOST_SECONDS=0.0) == 0

    told = run.messages()
    assert any(one.startswith("Training resumed from the checkpoint of step ") for one in told)
    assert differences(outcome(straight), outcome(run)) == {}

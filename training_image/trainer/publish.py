"""What a run leaves for others: adapters or whole weights, checkpoints that answer as models, rollouts, the
result."""

import gzip
import json
import tarfile
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

import orjson

from outcrop import ids, s3_keys
from outcrop.stores.checkpoints import CheckpointStore
from outcrop.stores.models import ModelStore
from outcrop.stores.objects import ObjectStore
from outcrop.training_spec import TrainingResult, TrainingSpec
from outcrop.types.checkpoint import FineTuningJobCheckpoint
from outcrop.types.model import TunedModel
from training_image.trainer import merged_weights, policy_files
from training_image.trainer.errors import failed_writes_as_os_errors
from training_image.trainer.evaluate import Evaluation
from training_image.trainer.rewards import Graded

ADAPTER_FILES = ("adapter_config.json", "adapter_model.safetensors")


class Publisher:
    def __init__(self, spec: TrainingSpec, base: Path) -> None:
        """`base`: the base model's folder."""
        self._spec = spec
        self._base = base
        self._objects = ObjectStore()

    def checkpoint(self, model: Any, step: int, metrics: dict[str, float]) -> str:
        """Upload what was trained, then name it as a model, then list it: what is listed can be used. Returns
        the model id.

        Raises: OSError if there is no room to write it to.
        """
        spec = self._spec
        with tempfile.TemporaryDirectory() as folder:
            if spec.hyperparameters.learns_all_weights:
                self._upload_weights(model, Path(folder), self.trained(step))
            else:
                self._upload_adapter(model, Path(folder), self.trained(step))
        served = TunedModel(
            id=ids.checkpoint_model_id(spec.fine_tuned_model, step),
            created=ids.now(),
            base_model=spec.base_model,
            **self.keys(step),
            job_id=spec.job_id,
            kind="checkpoint",
        )
        ModelStore(spec.project).put(served)
        CheckpointStore(spec.project, spec.job_id).put(
            FineTuningJobCheckpoint(
                id=ids.checkpoint_id(spec.job_id, step),
                created_at=ids.now(),
                fine_tuned_model_checkpoint=served.id,
                fine_tuning_job_id=spec.job_id,
                step_number=step,
                metrics=metrics,
            )
        )
        return served.id

    def trained(self, step: int) -> str:
        """Key of what was trained by then."""
        key = s3_keys.weights if self._spec.hyperparameters.learns_all_weights else s3_keys.adapter
        return key(self._spec.project, self._spec.job_id, step)

    def keys(self, step: int) -> dict[str, Any]:
        """The same, by the name that models have for it."""
        name = "weights_key" if self._spec.hyperparameters.learns_all_weights else "adapter_key"
        return {name: self.trained(step)}

    def _upload_adapter(self, model: Any, folder: Path, key: str) -> None:
        with failed_writes_as_os_errors():
            save_adapter(model, folder, self._spec.base_model)
        self._objects.upload_folder(folder, key)
        with tempfile.TemporaryFile() as archive:
            with failed_writes_as_os_errors():
                pack_adapter(folder, archive)
            self._objects.put(s3_keys.adapter_archive(key), archive)

    def _upload_weights(self, model: Any, folder: Path, key: str) -> None:
        with failed_writes_as_os_errors():
            policy_files.write_merged(model, self._base, folder)
        self._objects.upload_folder(folder, key)

    def rollouts(self, step: int, graded: Sequence[Graded], advantages: Sequence[float | None]) -> None:
        key = s3_keys.rollouts(self._spec.project, self._spec.job_id, step)
        lines = [
            _line(step, one) | {"advantage": None if one.reward.error else advantage}
            for one, advantage in zip(graded, advantages, strict=True)
        ]
        self._put_lines(key, lines)

    def evaluation(self, step: int, made: Evaluation) -> None:
        """Beside the rollouts, as `eval-step-NNNNNN.jsonl`: the likeliest completions, then those drawn."""
        lines = [
            _line(step, one) | {"temperature": temperature}
            for graded, temperature in ((made.greedy, 0.0), (made.drawn, made.temperature))
            for one in graded
        ]
        self._put_lines(self._evaluation_key(step), lines)

    def read_evaluation(self, step: int) -> list[dict[str, Any]]:
        """The lines of an evaluation, maybe of an earlier attempt; none if there is none."""
        try:
            return [orjson.loads(line) for line in self._objects.lines(self._evaluation_key(step))]
        except FileNotFoundError:
            return []

    def comparison(self, rows: Sequence[dict[str, Any]], page: str) -> None:
        """What base and tuned model said on each validation row, and a page about it, as files of the job."""
        project, job_id = self._spec.project, self._spec.job_id
        self._put_lines(s3_keys.held_out(project, job_id), rows)
        self._objects.put(s3_keys.comparison(project, job_id), page.encode())

    def result(self, result: TrainingResult) -> None:
        key = s3_keys.result(self._spec.project, self._spec.job_id, self._spec.attempt)
        self._objects.put(key, result.model_dump_json().encode())

    def fetch(self, step: int, folder: Path) -> None:
        """What was trained by then, to `folder`."""
        self._objects.download_folder(self.trained(step), folder)

    def merged(self, trained: Path) -> str:
        """Upload what was trained as one model that Amazon Bedrock imports; its key.

        Raises: TrainingError if it does not fit the base model, OSError for a full disk.
        """
        key = s3_keys.merged(self._spec.project, self._spec.job_id)
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)

            def upload() -> None:
                self._objects.upload_folder(folder, key)
                for file in folder.iterdir():
                    file.unlink()

            merged_weights.write(self._base, trained, folder, upload)
        return key

    def _evaluation_key(self, step: int) -> str:
        folder, _, name = s3_keys.rollouts(self._spec.project, self._spec.job_id, step).rpartition("/")
        return f"{folder}/eval-{name}"

    def _put_lines(self, key: str, lines: Sequence[dict[str, Any]]) -> None:
        self._objects.put(
            key, b"".join(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE) for line in lines)
        )


def save_adapter(model: Any, folder: Path, base_model: str) -> None:
    """The adapter alone, on top of `base_model` by name, and the same bytes for the same adapter: PEFT adds a
    model card, names this machine's path, and lists the layers in the order of a set.
    """
    model.save_pretrained(folder)
    for file in folder.iterdir():
        if file.name not in ADAPTER_FILES:
            file.unlink()
    config = folder / "adapter_config.json"
    described = json.loads(config.read_bytes()) | {"base_model_name_or_path": base_model}
    if isinstance(described.get("target_modules"), list):
        described["target_modules"].sort()
    config.write_text(json.dumps(described, indent=2))


def pack_adapter(folder: Path, archive: IO[bytes]) -> None:
    """The adapter's files at the top of a `.tar.gz`, as SageMaker wants them; the same bytes at every try.
    Weights hardly get smaller, so next to no time is spent on it."""
    with (
        gzip.GzipFile(fileobj=archive, mode="wb", compresslevel=1, mtime=0) as compressed,
        tarfile.open(fileobj=compressed, mode="w") as packed,
    ):
        for name in ADAPTER_FILES:
            file = folder / name
            entry = tarfile.TarInfo(name)
            entry.size = file.stat().st_size
            with file.open("rb") as content:
                packed.addfile(entry, content)
    archive.seek(0)


def _line(step: int, graded: Graded) -> dict[str, Any]:
    return {
        "step": step,
        "index": graded.index,
        "prompt": graded.prompt,
        "completion": graded.completion,
        "reward": graded.reward.reward,
        "metrics": graded.reward.metrics,
        "error": graded.reward.error,
        "error_message": graded.reward.message,
        "explanation": graded.reward.explanation,
        "latency_seconds": round(graded.reward.latency_seconds, 3),
        "tokens": {model: asdict(used) for model, used in graded.reward.tokens.items()},
    }

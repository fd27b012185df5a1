"""The archive of an adapter, as SageMaker unpacks it for vLLM."""

import io
import tarfile
from pathlib import Path

from outcrop import s3_keys
from outcrop.stores.objects import ObjectStore
from outcrop.training_spec import TrainingSpec
from tests import factories
from tests.account import Account
from tests.trainer.conftest import HYPERPARAMETERS
from training_image.trainer.publish import ADAPTER_FILES, Publisher, pack_adapter


def packed(folder: Path) -> bytes:
    archive = io.BytesIO()
    pack_adapter(folder, archive)
    return archive.read()


def test_an_adapters_files_lie_at_the_top_and_are_the_same_bytes_at_every_try(tmp_path: Path) -> None:
    for name in (*ADAPTER_FILES, "README.md"):
        (tmp_path / name).write_text(f"the content of {name}")

    first, second = packed(tmp_path), packed(tmp_path)

    with tarfile.open(fileobj=io.BytesIO(first), mode="r:gz") as archive:
        contents = {one.name: (archive.extractfile(one) or io.BytesIO()).read() for one in archive}
    assert contents == {name: f"the content of {name}".encode() for name in ADAPTER_FILES}
    assert first == second


class APolicy:
    """As PEFT saves one."""

    def save_pretrained(self, folder: Path) -> None:
        for name in ADAPTER_FILES:
            (folder / name).write_text("{}")


def test_a_checkpoint_is_there_as_files_and_as_an_archive(aws: Account, tmp_path: Path) -> None:
    spec = TrainingSpec.model_validate(
        {
            "project": "acme",
            "job_id": "ftjob-1",
            "attempt": 1,
            "base_model": "tiny-caps",
            "fine_tuned_model": "ft:tiny-caps:acme::1",
            "grader": factories.STRING_CHECK,
            "hyperparameters": HYPERPARAMETERS,
            "seed": 1,
        }
    )
    key = s3_keys.adapter("acme", "ftjob-1", 5)

    Publisher(spec, tmp_path).checkpoint(APolicy(), 5, {})

    assert ObjectStore().list(key) == [f"{key}{name}" for name in ADAPTER_FILES]
    assert ObjectStore().exists("projects/acme/jobs/ftjob-1/adapters/step-000005.tar.gz")

"""A channel's file: SageMaker brings every object whose key begins as its key does."""

from pathlib import Path

import orjson
import pytest

from tests.factories import ROWS
from training_image.trainer import dataset
from training_image.trainer.errors import TrainingError


def test_of_objects_whose_keys_begin_alike_the_named_one_is_read(tmp_path: Path) -> None:
    (tmp_path / "train.jsonl.gz").write_bytes(b"\x1f\x8b")
    (tmp_path / "train.jsonl").write_bytes(ROWS)
    (tmp_path / "train.jsonl.old").write_bytes(b"old")

    assert len(dataset.rows(tmp_path)) == 4


def test_a_channel_of_two_files_that_are_not_one_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(ROWS)
    (tmp_path / "b.jsonl").write_bytes(ROWS)

    with pytest.raises(TrainingError, match="should hold one file; it holds 2"):
        dataset.rows(tmp_path)


@pytest.mark.parametrize(
    ("last", "problem"),
    [
        (
            {"role": "assistant", "content": "A"},
            "ends with a message of role 'assistant'; the last one must be from",
        ),
        ({"role": "robot", "content": "A"}, "has messages[1].role that is none of system, developer, user, "),
    ],
)
def test_rows_that_no_model_can_answer_are_named_with_their_file(
    tmp_path: Path, last: dict[str, str], problem: str
) -> None:
    """A file in the user's own bucket may change after it was checked."""
    good = {"messages": [{"role": "user", "content": "a"}]}
    bad = {"messages": [*good["messages"], last]}
    channel = tmp_path / "validation"
    channel.mkdir()
    (channel / "rows.jsonl").write_bytes(b"\n".join(map(orjson.dumps, (good, bad))))

    with pytest.raises(TrainingError) as refused:
        dataset.rows(channel)

    assert str(refused.value).startswith(f"The validation file cannot be used: line 2 {problem}")

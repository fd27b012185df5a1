"""A judge template as its owner runs it on a laptop: a grader of `outcrop local`, tried by `graders/run`."""

from pathlib import Path

import pytest

from outcrop import reward_templates
from tests import tiny_model
from tests.converse_server import Asked, ConverseServer, Said
from tests.local.running import RunningLocal
from tests.reward_templates.judges import block, criteria, rows, said_on

pytestmark = pytest.mark.slow

GRADER = {
    "type": "lambda",
    "lambda": {"function": "arn:aws:lambda:us-west-2:123456789012:function:summaries"},
}


def test_a_template_grades_by_the_judge_that_its_owner_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def judge(asked: Asked) -> Said:
        if "Lena" not in block(asked, "completion"):
            return Said("I would rather not say.")
        return said_on(asked, {"reasoning": "It names her.", **dict.fromkeys(criteria(asked), 4)})

    tiny_model.ensure()
    reward_templates.copy("summarization", tmp_path / "mine")
    server = ConverseServer(judge)
    monkeypatch.setenv("JUDGE_BASE_URL", f"{server.url}/v1")
    monkeypatch.setenv("JUDGE_MODEL", "scripted")
    [item, _] = rows("summarization", "example.jsonl")

    with RunningLocal(tmp_path / "state", f"--grader=summaries={tmp_path / 'mine' / 'handler.py'}") as local:
        graders = local.client().fine_tuning.alpha.graders
        good = graders.run(grader=GRADER, item=item, model_sample="Lena orders.")  # pyright: ignore[reportArgumentType]
        none = graders.run(grader=GRADER, item=item, model_sample="He orders.")  # pyright: ignore[reportArgumentType]
        empty = graders.run(grader=GRADER, item=item, model_sample="")  # pyright: ignore[reportArgumentType]
    server.stop()

    assert good.reward == pytest.approx(0.75)
    assert good.metadata.scores["faithfulness"] == 0.75
    assert none.metadata.errors.unresponsive_reward_error
    assert empty.reward == 0.0 and not empty.metadata.errors.unresponsive_reward_error
    assert {asked.model for asked in server.asked} == {"scripted"}
    assert "kind=unreadable" in (tmp_path / "state" / "logs" / "summaries.log").read_text()

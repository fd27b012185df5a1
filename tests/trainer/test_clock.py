"""A wall clock that jumps while a run goes on, and is set back, is not seen in what the run leaves."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import time_machine

from outcrop.ids import is_id
from tests.trainer import killed
from tests.trainer.conftest import MakeRun, Run
from tests.trainer.killed import Moment
from tests.trainer.outcome import differences, outcome

_HOUR, _DAY = 3600, 86_400
_OFFSETS = {0: -_HOUR, 1: _DAY}
"""Of the clock, by how many steps there have been."""


def _train(environment: Mapping[str, str], moment: Moment | None, jumps: Mapping[int, int]) -> None:
    from training_image.trainer.reporter import Reporter

    with time_machine.travel(time.time()) as clock:
        begin, offset = Reporter.on_step_begin, 0

        def jumping(self: Reporter, args: Any, state: Any, control: Any, **others: Any) -> None:
            nonlocal offset
            wanted = jumps.get(state.global_step, offset)
            clock.shift(wanted - offset)
            offset = wanted
            begin(self, args, state, control, **others)

        Reporter.on_step_begin = jumping
        killed.train(dict(environment), moment)


def _run(run: Run, moment: Moment | None, jumps: Mapping[int, int]) -> None:
    process = killed.processes.Process(target=_train, args=(run.environment, moment, jumps))
    process.start()
    process.join(timeout=600)
    assert process.exitcode == 0


@pytest.mark.slow
def test_a_run_whose_clock_jumps_back_and_forth_and_is_set_right_tells_and_leaves_the_same(
    a_run: MakeRun, tmp_path: Path
) -> None:
    straight, run = a_run(root=tmp_path / "straight"), a_run(root=tmp_path / "jumping")
    in_step_3 = Moment("training_image.trainer.rewards:Rewards.rewards", 3, "told to stop")

    killed.run(straight.environment)
    _run(run, in_step_3, _OFFSETS)
    estimated = run.job.estimated_finish or 0
    _run(run, None, {})  # by a clock that is right again
    ended = run.job.estimated_finish or 0

    assert abs(estimated - (time.time() + _DAY)) < 600  # step 2 ended while the clock was a day ahead
    assert abs(ended - time.time()) < 600
    assert "Training resumed from the checkpoint of step 2." in run.messages()
    assert differences(outcome(straight), outcome(run)) == {}
    ids = [event.id for event in run.events()]
    assert ids == sorted({*ids}) and all(is_id(one, "ftevent-") for one in ids)
    assert all(0 < metrics["step_time"] < 600 for metrics in run.metrics())
    assert all(
        0 <= seconds < 600 for metrics in run.metrics() for seconds in metrics["timing"]["step"].values()
    )

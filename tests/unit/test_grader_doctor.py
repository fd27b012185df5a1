"""Graders that can be cheated are found, whatever the model; a sound one is left in peace."""

import pytest

from benchmarks.cheatable_graders import CHEATABLE, an_exercise
from benchmarks.grader_doctor import MODELS, Task, examine

SIZE = 20


@pytest.mark.parametrize("model", ["p = 0.3", "p = 0", "never answers"])
@pytest.mark.parametrize("name", CHEATABLE)
def test_a_grader_that_can_be_cheated_is_found(name: str, model: str) -> None:
    assert examine(Task(name, an_exercise(SIZE), CHEATABLE[name]), MODELS[model]).paying


@pytest.mark.parametrize("name", CHEATABLE)
def test_a_model_that_does_well_hides_no_cheat(name: str) -> None:
    found = examine(Task(name, an_exercise(SIZE), CHEATABLE[name]), MODELS["p = 0.7"])

    assert {probe.verdict for probe in found.probes} & {"pays", "pays in part"}


@pytest.mark.parametrize("model", MODELS)
def test_a_sound_grader_is_left_in_peace(model: str) -> None:
    exact = Task("exact", an_exercise(SIZE), lambda text, row: float(text.strip() == row["answer"]))

    assert {probe.verdict for probe in examine(exact, MODELS[model]).probes} <= {
        "earns nothing",
        "no such text",
    }

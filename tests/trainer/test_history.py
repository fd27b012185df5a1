"""What in a run should worry its owner: each kind of trouble is told, once, and a sound run tells of none."""

import json
from typing import Any

import pytest

from training_image.trainer.history import History


def a_sound_run(**trouble: Any) -> History:
    sound: dict[str, Any] = {
        "train_rewards": [0.3, 0.4, 0.5, 0.6, 0.6, 0.6],
        "entropies": [1.0, 0.9, 0.8, 0.6, 0.5, 0.4],
        "zero_variance": [0.1, 0.1, 0.2, 0.2, 0.3, 0.3],
        "lengths": [20.0, 21.0, 20.0, 18.0, 16.0, 15.0],
        "cut_off": [0.2, 0.1, 0.1, 0.0, 0.0, 0.0],
        "evaluations": {0: 0.3, 3: 0.5, 6: 0.6},
        "sampled_evaluations": {0: 0.2, 3: 0.4, 6: 0.5},
        "commonest_answer": {0: 0.1, 3: 0.1, 6: 0.1},
    }
    return History(**sound | trouble)


def test_a_sound_run_tells_of_nothing() -> None:
    assert a_sound_run().new_warnings() == []


@pytest.mark.parametrize(
    ("trouble", "told"),
    [
        ({"evaluations": {0: 0.0, 6: 0.58}}, "with no success to reinforce"),
        ({"evaluations": {0: 0.97, 6: 0.98}}, "fine-tuning may be unnecessary"),
        ({"zero_variance": [0.1, 0.9, 0.9, 1.0]}, "80% of the groups had equal rewards"),
        ({"entropies": [1.0, 0.5, 0.04]}, "hardly varies its answers"),
        ({"lengths": [20.0] * 3 + [50.0] * 3}, "much longer: 20 tokens in the first three steps, 50"),
        ({"lengths": [20.0] * 3 + [5.0] * 3}, "much shorter"),
        ({"cut_off": [0.1, 0.6, 0.7, 0.8]}, "(70%) were cut off at max_completion_length"),
        ({"commonest_answer": {0: 0.2, 6: 0.95}}, "95% of the validation rows get one and the same answer"),
        ({"evaluations": {0: 0.3, 6: 0.53}}, "more than 0.05 above the validation reward"),
        ({"evaluations": {0: 0.3, 6: 0.45}}, "more than 0.10 above the validation reward"),
    ],
)
def test_trouble_is_told_once(trouble: dict[str, Any], told: str) -> None:
    history = a_sound_run(**trouble)

    [warning] = history.new_warnings()

    assert told in warning
    assert history.new_warnings() == []


@pytest.mark.parametrize(
    ("evaluations", "drawn", "best"),
    [
        ({0: 0.9, 2: 0.5, 4: 0.7, 6: 0.6}, {2: 0.9}, 4),
        ({2: 0.7, 4: 0.7, 6: 0.7}, {2: 0.4, 4: 0.6, 6: 0.5}, 4),
        ({2: 0.7, 4: 0.7}, {}, 4),
        ({}, {}, 6),
    ],
)
def test_the_best_step_is_that_of_the_likeliest_then_of_the_drawn_completions_then_the_latest(
    evaluations: dict[int, float], drawn: dict[int, float], best: int
) -> None:
    history = History(evaluations=evaluations, sampled_evaluations=drawn, published=[2, 4, 6])

    assert history.best_step() == best


def test_evaluations_without_a_gain_are_counted_since_the_last_one_that_had_one() -> None:
    history, counted = History(), []

    for reward in (0.2, 0.6, 0.6, 0.5, 0.6, 0.7, 0.7):
        history.note_rows(dict.fromkeys(range(8), reward))
        counted.append(history.without_gain)

    assert counted == [0, 0, 1, 2, 3, 0, 1]
    assert History.from_json(json.loads(json.dumps(history.to_json()))) == history


def test_gains_too_small_to_tell_from_noise_add_up() -> None:
    """Of eight rows one more is right at each evaluation."""
    history, counted = History(), []

    for right in (0, 1, 2, 3, 4):
        history.note_rows({row: float(row < right) for row in range(8)})
        counted.append(history.without_gain)

    assert counted == [0, 1, 0, 1, 0]


def test_a_base_model_that_gives_one_answer_is_not_the_tunings_fault() -> None:
    assert a_sound_run(commonest_answer={0: 0.95, 6: 0.95}).new_warnings() == []


def test_what_was_seen_and_told_is_kept_with_a_checkpoint() -> None:
    history = a_sound_run(commonest_answer={0: 0.2, 6: 0.95})
    history.new_warnings()

    restored = History.from_json(json.loads(json.dumps(history.to_json())))

    assert restored == history
    assert restored.new_warnings() == []


def test_a_checkpoint_of_an_earlier_release_is_read() -> None:
    stored = History().to_json()
    for later in ("lengths", "cut_off", "commonest_answer"):
        del stored[later]

    assert History.from_json(stored) == History()

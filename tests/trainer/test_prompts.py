"""Which rows a step trains on."""

import json
from collections import Counter
from collections.abc import Collection

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training_image.trainer.prompts import PromptQueue


def visits(queue: PromptQueue, steps: int, batch_size: int, *, silent: Collection[int] = ()) -> list[int]:
    """Rows in the order of their visits, of which `silent` ones never have a difference in rewards."""
    seen: list[int] = []
    for _ in range(steps):
        step = queue.take(batch_size)
        for row in step:
            queue.tell(row, differs=row not in silent)
        seen += step
    return seen


def test_every_pass_visits_every_row_once_in_an_order_of_its_own() -> None:
    seen = visits(PromptQueue(12, seed=1), steps=9, batch_size=4)

    passes = [seen[start : start + 12] for start in (0, 12, 24)]
    assert all(sorted(one) == list(range(12)) for one in passes)
    assert passes[0] != passes[1] != passes[2]
    assert seen == visits(PromptQueue(12, seed=1), steps=9, batch_size=4)
    assert seen != visits(PromptQueue(12, seed=2), steps=9, batch_size=4)


def test_rows_without_a_difference_are_visited_less_and_never_given_up() -> None:
    silent = {0, 1, 2, 3, 4, 5}

    seen = visits(PromptQueue(12, seed=1), steps=300, batch_size=4, silent=silent)

    count = Counter(seen)
    assert sorted(seen[:12]) == list(range(12))
    often = sum(count[row] for row in range(6, 12))
    rarely = sum(count[row] for row in silent)
    assert rarely / often == pytest.approx(1 / 8, rel=0.3)
    assert min(count[row] for row in silent) > 5


def test_one_difference_makes_a_row_certain_again() -> None:
    queue = PromptQueue(4, seed=1)
    visits(queue, steps=40, batch_size=2, silent={3})
    for row in range(4):
        queue.tell(row, differs=True)

    seen = visits(queue, steps=40, batch_size=2)

    assert Counter(seen)[3] in (19, 20, 21)


def test_fresh_rows_of_a_step_are_none_that_it_has() -> None:
    queue = PromptQueue(6, seed=1)
    step = queue.take(4)

    fresh = queue.take(4, besides=step)

    assert sorted(step + fresh) == list(range(6))
    assert queue.take(1, besides=range(6)) == []


@given(
    st.integers(1, 30), st.integers(1, 8), st.integers(0, 20), st.integers(0, 20), st.sets(st.integers(0, 29))
)
def test_a_queue_read_back_from_a_checkpoint_goes_on_the_same(
    rows: int, batch_size: int, before: int, after: int, silent: set[int]
) -> None:
    queue = PromptQueue(rows, seed=7)
    visits(queue, before, batch_size, silent=silent)
    stored = json.loads(json.dumps(queue.to_json()))

    again = PromptQueue(rows, seed=7)
    again.restore(stored)

    assert visits(again, after, batch_size, silent=silent) == visits(queue, after, batch_size, silent=silent)
    assert again.to_json() == queue.to_json()

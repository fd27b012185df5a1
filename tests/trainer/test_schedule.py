"""The learning rate of a run: it rises, it falls, and no update goes to waste."""

import pytest

from training_image.trainer.schedule import LEAST, rate, rising


@pytest.mark.parametrize("updates", [1, 2, 4, 5, 15, 24, 400])
def test_every_update_learns_and_one_of_the_first_at_the_full_rate(updates: int) -> None:
    rates = [rate(update, updates) for update in range(updates)]

    assert all(LEAST <= one <= 1 for one in rates)
    assert rates.index(max(rates)) == rising(updates) - 1
    assert max(rates) == 1


def test_it_rises_over_the_first_updates_and_falls_to_the_last() -> None:
    rates = [rate(update, 24) for update in range(24)]

    assert rates[:4] == [0.25, 0.5, 0.75, 1.0]
    assert rates[3:] == sorted(rates[3:], reverse=True)
    assert rates[-1] == pytest.approx(LEAST)


def test_a_short_run_has_no_updates_to_spare_for_rising() -> None:
    assert [round(rate(update, 4), 2) for update in range(4)] == [1.0, 0.78, 0.33, 0.1]

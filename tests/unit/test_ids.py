"""Ids: unique, sorted by time, and the same again where a repeated step must name the same thing."""

import time
from concurrent.futures import ThreadPoolExecutor

import time_machine

from outcrop.ids import checkpoint_id, checkpoint_model_id, new_id, now, tuned_model_id


def test_ids_sort_by_the_time_they_were_made() -> None:
    with time_machine.travel(time.time() + 60) as clock:
        first = new_id("ftjob-")
        clock.shift(0.001)
        second = new_id("ftjob-")
        clock.shift(3600)
        third = new_id("ftjob-")

    assert first < second < third


def test_ids_made_within_one_millisecond_keep_their_order() -> None:
    with time_machine.travel(time.time() + 7200, tick=False):
        ids = [new_id("ftevent-") for _ in range(1000)]

    assert ids == sorted(set(ids))


def test_ids_go_on_rising_when_the_clock_is_set_back() -> None:
    with time_machine.travel(time.time() + 10_000):
        before = new_id("file-")
    with time_machine.travel(time.time() - 10_000):
        after = new_id("file-")

    assert before < after


def test_an_id_may_come_after_one_of_a_clock_that_is_ahead_and_the_next_ones_are_as_ever() -> None:
    ahead = f"ftevent-{'z' * 5}{'0' * 19}"

    later = [new_id("ftevent-", after=ahead) for _ in range(100)]

    assert ahead < min(later)
    assert len({*later}) == 100
    assert new_id("file-")[-24:] < ahead[-24:]


def test_threads_never_make_the_same_id() -> None:
    with ThreadPoolExecutor(8) as pool:
        ids = list(pool.map(lambda _: new_id("file-"), range(2000)))

    assert len(set(ids)) == 2000


def test_an_id_is_its_prefix_and_24_characters_that_need_no_escaping() -> None:
    made = new_id("upload_")

    assert made.startswith("upload_")
    assert len(made.removeprefix("upload_")) == 24
    assert made.removeprefix("upload_").isalnum()


def test_a_checkpoint_written_twice_has_one_id_and_later_steps_sort_later() -> None:
    assert checkpoint_id("ftjob-abc", 10) == checkpoint_id("ftjob-abc", 10)
    assert checkpoint_id("ftjob-abc", 9) < checkpoint_id("ftjob-abc", 10) < checkpoint_id("ftjob-abc", 200)


def test_model_ids_are_spelled_as_openai_spells_them() -> None:
    model = tuned_model_id("tiny-caps", "acme", "caps", "ftjob-0123456789")

    assert model == "ft:tiny-caps:acme:caps:23456789"
    assert tuned_model_id("tiny-caps", "acme", None, "ftjob-0123456789") == "ft:tiny-caps:acme::23456789"
    assert checkpoint_model_id(model, 20) == "ft:tiny-caps:acme:caps:23456789:ckpt-step-20"


def test_now_is_in_whole_seconds() -> None:
    with time_machine.travel(1_795_000_000.9, tick=False):
        assert now() == 1_795_000_000

"""Events: appended one by one, read newest first."""

import pytest

from outcrop.errors import APIError
from outcrop.stores.events import EventStore, new_event


def test_an_event_comes_back_as_it_was_appended_floats_and_all() -> None:
    store = EventStore("acme", "ftjob-1")
    data = {"step": 3, "train_mean_reward": 0.4375, "scores": {"graders": [{"name": "exact"}]}}

    appended = store.append("info", "Step 3/10", type="metrics", data=data)

    assert store.list().data == [appended]
    assert appended.data == data


def test_events_are_listed_newest_first_page_by_page_without_gap_or_repetition() -> None:
    store = EventStore("acme", "ftjob-1")
    ids = [store.append("info", f"event {i}").id for i in range(10)]

    seen, after, more = [], None, True
    while more:
        page = store.list(limit=3, after=after)
        seen += [event.id for event in page.data]
        after, more = page.last_id, page.has_more

    assert seen == ids[::-1]


def test_a_page_that_ends_with_the_list_has_no_more() -> None:
    store = EventStore("acme", "ftjob-1")
    for i in range(4):
        store.append("info", f"event {i}")

    assert not store.list(limit=4).has_more
    assert store.list(limit=3).has_more


def test_an_event_appended_between_two_pages_is_on_neither() -> None:
    store = EventStore("acme", "ftjob-1")
    old = [store.append("info", f"event {i}").id for i in range(4)]

    first = store.list(limit=2)
    store.append("info", "in between")
    second = store.list(limit=2, after=first.last_id)

    assert [event.id for event in [*first.data, *second.data]] == old[::-1]


def test_what_is_said_after_another_event_is_newer_though_its_clock_is_behind() -> None:
    store = EventStore("acme", "ftjob-1")
    ahead = new_event("info", "Step 3/3", after=f"ftevent-{'z' * 10}{'0' * 14}")
    store.put(ahead)

    store.append("info", "The job has been completed.", after=ahead.id)

    assert [event.message for event in store.list().data] == ["The job has been completed.", "Step 3/3"]


def test_a_job_has_only_its_own_events() -> None:
    EventStore("acme", "ftjob-1").append("info", "one")
    EventStore("umbrella", "ftjob-1").append("info", "two")
    EventStore("acme", "ftjob-12").append("info", "three")

    assert [event.message for event in EventStore("acme", "ftjob-1").list().data] == ["one"]


@pytest.mark.parametrize("after", ["ftevent-unknown", "", "x" * 1025])
def test_a_cursor_that_is_not_in_the_list_is_named(after: str) -> None:
    EventStore("acme", "ftjob-1").append("info", "one")

    with pytest.raises(APIError, match="is not the id of an object in this list") as caught:
        EventStore("acme", "ftjob-1").list(after=after)

    assert caught.value.param == "after"


def test_an_event_of_another_job_is_a_moment_in_time_and_shows_nothing_of_that_job() -> None:
    store = EventStore("acme", "ftjob-1")
    store.append("info", "one")
    other = EventStore("acme", "ftjob-2").append("info", "two")
    store.append("info", "three")

    assert [event.message for event in store.list(after=other.id).data] == ["one"]


def test_a_list_of_more_than_one_megabyte_is_read_whole() -> None:
    store = EventStore("acme", "ftjob-1")
    for i in range(30):
        store.append("info", f"event {i}", data={"filler": "x" * 50_000})

    assert len(store.list(limit=100).data) == 30

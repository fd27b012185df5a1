"""Tokens become text as they come. Here a token is a byte, so that characters fall apart."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.completion_text import CompletionText


def decode(tokens: list[int]) -> str:
    return bytes(tokens).decode(errors="replace")


def test_a_character_comes_out_when_its_last_byte_is_there() -> None:
    text = CompletionText(decode, [])

    pieces = [text.add(byte) for byte in "é🎉".encode()]

    assert pieces == ["", "é", "", "", "", "🎉"]


def test_a_character_that_stays_incomplete_is_shown_as_such() -> None:
    text = CompletionText(decode, [])

    pieces = [text.add(byte) for byte in "a🎉".encode()[:-1]]

    assert (pieces, text.end()) == (["a", "", "", ""], "\N{REPLACEMENT CHARACTER}")


def test_what_may_begin_a_stop_string_is_kept_back_until_it_is_known() -> None:
    text = CompletionText(decode, ["END"])

    pieces = [text.add(byte) for byte in b"xENxEN"]

    assert (pieces, text.end(), text.is_stopped) == (["x", "", "", "ENx", "", ""], "EN", False)


def test_a_long_stop_string_that_comes_in_pieces_stops_the_text() -> None:
    text = CompletionText(decode, ["a long one"])

    pieces = [text.add(byte) for byte in b"xa long one"]

    assert ("".join(pieces), text.is_stopped) == ("x", True)


@pytest.mark.parametrize(
    ("stops", "expected"), [(["END"], "th"), (["x", "hE"], "t"), (["never"], "thEND is")]
)
def test_text_ends_before_the_stop_string_that_is_complete_first(stops: list[str], expected: str) -> None:
    text = CompletionText(decode, stops)

    said = ""
    for byte in b"thEND is":
        said += "" if text.is_stopped else text.add(byte)
    said += "" if text.is_stopped else text.end()

    assert said == expected


@given(st.text(max_size=20), st.lists(st.text("ab🎉", min_size=1, max_size=3), max_size=3))
def test_the_pieces_add_up_to_the_text_before_the_first_stop_string(whole: str, stops: list[str]) -> None:
    text = CompletionText(decode, stops)
    ends = [end for end in range(len(whole) + 1) if any(whole[:end].endswith(stop) for stop in stops)]
    expected = whole
    if ends:
        seen = whole[: ends[0]]
        expected = seen[: min(place for stop in stops if (place := seen.find(stop)) >= 0)]

    said = ""
    for byte in whole.encode():
        if not text.is_stopped:
            said += text.add(byte)
    said += "" if text.is_stopped else text.end()

    assert said == expected

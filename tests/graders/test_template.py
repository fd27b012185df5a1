"""Templates: what they render, and what they refuse."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outcrop.graders.reward import GradedCompletion, GradingError
from outcrop.graders.template import render, validate

ITEM = {
    "answer": "Paris",
    "count": 3,
    "ratio": 0.5,
    "flag": True,
    "nothing": None,
    "tags": ["a", {"name": "b"}],
    "deep": {"er": {"still": "here"}},
    "with space": "x",
    "kebab-case": "y",
    "größe": "z",
    "empty": "",
}


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("plain", "plain"),
        ("", ""),
        ("{{item.answer}}", "Paris"),
        ("{{ item.answer }}", "Paris"),
        ("{{\n item.answer\t}}", "Paris"),
        ("<{{ item.answer }}|{{item.count}}>", "<Paris|3>"),
        ("{{ item.ratio }}", "0.5"),
        ("{{ item.flag }}", "true"),
        ("{{ item.nothing }}", "null"),
        ("{{ item.empty }}", ""),
        ("{{ item.tags }}", '["a", {"name": "b"}]'),
        ("{{ item.tags[0] }}", "a"),
        ("{{ item.tags[-1].name }}", "b"),
        ("{{ item.tags[1]['name'] }}", "b"),
        ('{{ item["with space"] }}', "x"),
        ("{{ item.kebab-case }}", "y"),
        ("{{ item.größe }}", "z"),
        ("{{ item.deep.er.still }}", "here"),
        ("{{ sample.output_text }}", '{"city": "Paris", "n": [1, 2]}'),
        ("{{ sample.output_json.city }}", "Paris"),
        ("{{ sample.output_json.n[1] }}", "2"),
        ('{"a": {"b": 1}}', '{"a": {"b": 1}}'),
    ],
)
def test_a_template_renders(template: str, text: str) -> None:
    sample = GradedCompletion({}, '{"city": "Paris", "n": [1, 2]}').sample

    validate(template)

    assert render(template, ITEM, sample) == text


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{{ item.absent }}", r"no 'item\.absent'"),
        ("{{ item.deep.absent.still }}", r"no 'item\.deep\.absent' \(in 'item\.deep\.absent\.still'\)"),
        ("{{ item.tags[7] }}", r"no 'item\.tags\[7\]'"),
        ("{{ item.answer[0] }}", r"no 'item\.answer\[0\]'"),
        ("{{ item.count.real }}", r"no 'item\.count\.real'"),
        ("{{ sample.output_text.upper }}", r"no 'sample\.output_text\.upper'"),
    ],
)
def test_a_path_that_is_not_there_is_an_invalid_variable(template: str, message: str) -> None:
    with pytest.raises(GradingError, match=message) as caught:
        render(template, ITEM, {"output_text": "x"})

    assert caught.value.kind == "invalid_variable_error"


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{{ answer }}", "has to begin with 'item.' or 'sample.'"),
        ("{{ item }}", "has to begin with 'item.' or 'sample.'"),
        ("{{ itemx.answer }}", "has to begin with"),
        ("{{ }}", "has to begin with"),
        ("{{ item. }}", "is not a path"),
        ("{{ item..a }}", "is not a path"),
        ("{{ item.a[ }}", "is not a path"),
        ("{{ item.a | upper }}", "is not a path"),
        ("{{ item.answer ", "never closed"),
        (
            "{{ sample.output_image }}",
            "no 'sample.output_image'; sample has output_text, output_json, output_t",
        ),
        ("{{ sample[0] }}", "sample has output_text, output_json, output_tools, choices"),
        (
            "{{ sample.output_audio.data }}",
            "no 'sample.output_audio' here: these models write text; sample has",
        ),
        ("{{ sample.output_text.city }}", "'sample.output_text' is a text and has no parts"),
        ("{{ sample.output_tools.name }}", r"is a list: its first one is 'sample.output_tools\[0\]'"),
        ("{{ sample.choices.message }}", r"is a list: its first one is 'sample.choices\[0\]'"),
    ],
)
def test_a_template_that_no_row_could_make_right_is_refused(template: str, message: str) -> None:
    with pytest.raises(GradingError, match=message) as caught:
        validate(template)

    assert caught.value.kind == "invalid_variable_error"


def test_output_json_of_a_completion_that_is_not_json_is_a_parse_error() -> None:
    sample = GradedCompletion({}, "Paris, NaN").sample

    with pytest.raises(GradingError, match="not JSON") as caught:
        render("{{ sample.output_json.city }}", ITEM, sample)

    assert caught.value.kind == "sample_parse_error"


def test_what_a_variable_renders_to_is_not_rendered_again() -> None:
    item = {"answer": "{{ item.secret }}", "secret": "leaked"}

    assert render(
        "{{ item.answer }}{{ sample.output_text }}", item, {"output_text": "{{ item.secret }}"}
    ) == ("{{ item.secret }}{{ item.secret }}")


def test_braces_that_render_side_by_side_make_no_variable() -> None:
    item = {"left": "{", "path": "{ item.secret }", "secret": "leaked"}

    assert render("{{ item.left }}{{ item.path }}}", item, {}) == "{{ item.secret }}"


@given(st.text(alphabet="{}[].'\" item.samplé\n0-9_x|", max_size=60), st.text(max_size=20))
def test_any_template_renders_or_is_refused(template: str, text: str) -> None:
    sample = GradedCompletion({}, text).sample

    try:
        rendered = render(template, ITEM, sample)
    except GradingError as error:
        assert error.kind in ("invalid_variable_error", "sample_parse_error")
    else:
        assert rendered == template or "{{" in template


def test_a_megabyte_of_open_braces_is_refused_as_fast_as_any() -> None:
    with pytest.raises(GradingError, match="never closed"):
        validate("{{" * 500_000)

"""How a line is written: what strangers wrote can neither begin a line nor reach a terminal."""

import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambdo_router.telemetry.logs.output import Form, Printer, escaped, renderers, shown

HOSTILE = [
    pytest.param("x\n2026-01-01 [error] faked", id="line-break"),
    pytest.param("x\r\x0b\x0c\x85\u2028\u2029y", id="other-line-breaks"),
    pytest.param("\x1b]0;owned\x07\x1b[2J\x9b31m", id="terminal"),
    pytest.param("\u202e\u2066\u200b", id="direction"),
    pytest.param("\ud800", id="half-a-pair"),
    pytest.param("1 level=error event='x'", id="another-field"),
]


def rendered(form: Form, **fields: object) -> str:
    made: Any = {
        "event": "thing.happened",
        "level": "info",
        "timestamp": "now",
        **fields,
    }
    for processor in renderers(form):
        made = processor(None, "info", made)
    return str(made)


@pytest.mark.parametrize("form", ["text", "json"])
@pytest.mark.parametrize("value", HOSTILE)
def test_a_hostile_value_stays_in_its_place(form: Form, value: str) -> None:
    line = rendered(form, detail=value, after="1")

    assert line.isprintable()
    if form == "json":
        assert json.loads(line)["detail"] == value
    else:
        assert line == f"now [info     ] thing.happened           detail={value!r} after=1"


@given(st.text(), st.text())
def test_no_text_is_more_than_one_line(value: str, event: str) -> None:
    assert shown(value).isprintable()
    assert escaped(event).isprintable()


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("plain", "plain"),
        ("registry.fly.io/jobs:1", "registry.fly.io/jobs:1"),
        ("größer", "größer"),
        ("", "''"),
        ("a b", "'a b'"),
        ("a=b", "'a=b'"),
        ("[a]", "'[a]'"),
        (1.5, "1.5"),
        (["a\n"], "['a\\n']"),
    ],
)
def test_what_could_be_taken_for_something_else_is_quoted(value: object, expected: str) -> None:
    assert shown(value) == expected


@pytest.mark.parametrize(("form", "longest"), [("text", 500), ("json", 2000)])
def test_a_long_value_is_cut_and_says_by_how_much(form: Form, longest: int) -> None:
    line = rendered(form, detail="x" * (longest + 7), short="x" * longest)

    assert f"{'x' * longest}... (7 more characters)" in line
    assert "more characters" not in line.partition("short")[2]


def test_a_long_list_is_cut_and_says_by_how_much() -> None:
    line = json.loads(rendered("json", problems=["p" * 3000, *map(str, range(60))]))

    assert line["problems"][0] == "p" * 2000 + "... (1000 more characters)"
    assert line["problems"][1:] == [*map(str, range(49)), "... (11 more)"]


def test_json_begins_with_what_people_look_for() -> None:
    assert list(json.loads(rendered("json", queue="q"))) == ["timestamp", "level", "event", "queue"]


def test_text_leaves_out_what_is_nothing() -> None:
    assert rendered("text", region=None, queue="q").endswith("thing.happened           queue=q")
    assert json.loads(rendered("json", region=None))["region"] is None


class Bug(Exception):
    """A defect."""


def raised(text: str) -> Exception:
    with pytest.raises(Bug) as caught:
        fail(text)
    return caught.value


def fail(text: str) -> None:
    raise Bug(text)


@pytest.mark.parametrize("form", ["text", "json"])
def test_no_line_of_a_traceback_looks_like_one_of_the_log(form: Form) -> None:
    text = rendered(form, exc_info=raised("x\n2026-01-01 [error] \x1b[2J"))
    first, *others = text.splitlines()

    assert (first + "".join(others)).isprintable()
    if form == "json":
        assert json.loads(first)["exception"].endswith("Bug: x\n2026-01-01 [error] \x1b[2J")
    else:
        assert all(line.startswith("    ") for line in others)
        assert others[-1] == "    2026-01-01 [error] \\x1b[2J"


def test_the_end_of_a_long_traceback_is_kept() -> None:
    line = json.loads(rendered("json", exc_info=raised("x" * 30_000 + "the end")))

    assert len(line["exception"]) < 20_100
    assert line["exception"].startswith("(")
    assert line["exception"].endswith("the end")


def test_an_exception_that_is_not_there_is_left_out() -> None:
    assert "exception" not in rendered("json", exc_info=None)
    assert "exception" not in rendered("json", exc_info=(None, None, None))


class _Closed(io.StringIO):
    def write(self, text: str) -> int:
        raise BrokenPipeError


def test_a_log_that_nobody_reads_stops_nothing() -> None:
    Printer(_Closed()).info("x")
    gone = io.StringIO()
    gone.close()
    Printer(gone).error("x")

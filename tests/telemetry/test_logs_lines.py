"""The lines of each fact, and docs/logs.md, which has every event, level and field."""

import ast
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest
from facts import BATCH, FACTS, FactCase
from logs_page import EVENTS, FIELDS, OTHERS, SECTIONS, page

import lambdo_router
from lambdo_router.core import journal
from lambdo_router.core.log_event import Level
from lambdo_router.core.machine import batch_id_of
from lambdo_router.telemetry.logs.lines import lines_of

PACKAGE = Path(lambdo_router.__file__).parent
LOGGERS = {"log", "_log", "logger", "_logger"}
METHODS = {"debug", "info", "warning", "error", "exception"}
OF_THE_LOG_ITSELF = {
    "router.started": {"version", "generation", "queues", "routes", "settings"},
    "repeats.ended": {"of", "since", "until", "repeated"},
    "library.says": {"library", "text", "exception"},
}


# Facts


@pytest.mark.parametrize("case", FACTS, ids=lambda case: f"{case.lines[0]}")
def test_each_fact_has_its_lines(case: FactCase) -> None:
    lines = list(lines_of(case.fact))

    assert tuple((line.level, line.event) for line in lines) == case.lines
    assert case.fact.level == case.lines[0][0]
    for line in lines:
        known = EVENTS[line.event]
        assert line.level in known.levels
        assert {*line.fields, *(["exception"] if line.error else [])} == {*known.fields}
    assert "secret" not in repr(lines)


def test_every_kind_of_fact_is_in_the_table() -> None:
    assert {type(case.fact) for case in FACTS} == set(journal.FACTS)


def test_the_first_table_is_in_the_line_of_the_start_and_else_at_debug() -> None:
    (fact,) = (it.fact for it in FACTS if isinstance(it.fact, journal.TableActivated))
    (line,) = lines_of(replace(fact, previous=None))
    assert (line.level, line.event) == ("debug", "routes.swapped")


def test_a_batch_has_a_line_when_it_is_launched_and_one_when_its_machine_has_ended() -> None:
    ids = {"queue": "q", "route": "orders", "app": "jobs", "batch": "b1", "machine": "id"}
    lines = [
        line
        for case in FACTS
        for line in lines_of(case.fact)
        if line.level == "info" and line.fields.get("batch") == "b1"
    ]

    assert [line.event for line in lines] == ["machine.launched", "machine.ended"]
    assert all(ids.items() <= line.fields.items() for line in lines)
    assert all(line.topic is None for line in lines)


def test_the_messages_of_a_batch_lead_to_it() -> None:
    _, *lines = lines_of(journal.BatchClosed(BATCH, "b1", 0.0))

    assert [line.fields for line in lines] == [
        {"queue": "q", "route": "orders", "batch": "b1", "message": it} for it in ("m1", "m2")
    ]


def test_a_failed_launch_names_its_batch() -> None:
    (fact,) = (it.fact for it in FACTS if isinstance(it.fact, journal.LaunchFailed))
    (line,) = lines_of(fact)

    assert line.fields["batch"] == batch_id_of(BATCH)
    assert line.topic == {"route": "orders", "code": "region_capacity"}
    assert line.pause == 2.0


def test_values_are_rounded_and_unknown_ones_are_null() -> None:
    ended = journal.MachineEnded(BATCH, "b1", "id", "never_ran", None, "", 1.23456)
    (line,) = lines_of(ended)

    assert line.fields["seconds"] == 1.235
    assert [line.fields[name] for name in ("region", "failure", "exit_code")] == [None] * 3


def test_a_thousand_messages_are_counted_and_ten_of_them_named() -> None:
    ids = tuple(f"m{number}" for number in range(1000))
    line = next(lines_of(journal.LeaseLost("q", ids, "why")))

    assert line.fields["messages"] == 1000
    assert line.fields["message_ids"] == [f"m{number}" for number in range(10)]


def test_services_words_about_one_message_do_not_make_a_topic_of_their_own() -> None:
    one, other = (
        next(lines_of(journal.SettlementFailed("q", ("m",), "delete", f"Invalid: {receipt}")))
        for receipt in ("abc", "def")
    )
    assert one.topic == other.topic == {"queue": "q", "action": "delete", "why": "Invalid"}


# The page


def logged_by_modules() -> Iterator[tuple[str, str, set[str], str]]:
    """Yield what modules log themselves: level, event, the fields written there, and where."""
    for path in sorted(PACKAGE.rglob("*.py")):
        if path.parent.name == "logs":
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            match node:
                case ast.Call(
                    func=ast.Attribute(value=ast.Name(id=logger), attr=method),
                    args=[ast.Constant(value=str(text)), *_],
                    keywords=keywords,
                ) if logger in LOGGERS and method in METHODS:
                    event, *written = text.split(" ")
                    fields = {keyword.arg for keyword in keywords if keyword.arg is not None}
                    fields |= {part.partition("=")[0] for part in written}
                    level = "error" if method == "exception" else method
                    raised = {"exception"} if method == "exception" else set()
                    yield level, event, fields | raised, f"{path.name}:{node.lineno}"
                case _:
                    pass


def test_what_modules_log_is_on_the_page() -> None:
    found = [(event, level, fields, where) for level, event, fields, where in logged_by_modules()]
    assert [(event, where) for event, _, _, where in found if event not in EVENTS] == []
    for event, level, fields, where in found:
        assert level in EVENTS[event].levels, where
        assert fields <= {*EVENTS[event].fields}, where


def test_each_event_beside_the_facts_is_logged_by_a_module_or_by_the_log_itself() -> None:
    found = {event for _, event, _, _ in logged_by_modules()}
    assert {event.name for event in OTHERS} == found | set(OF_THE_LOG_ITSELF)
    assert {name: {*EVENTS[name].fields} for name in OF_THE_LOG_ITSELF} == OF_THE_LOG_ITSELF


def test_every_event_is_there_once_with_known_levels_and_a_text() -> None:
    events = [*OTHERS, *(event for kind in journal.FACTS for event in (kind.log, *kind.also))]
    assert max(Counter(event.name for event in events).values()) == 1
    for event in EVENTS.values():
        assert {*event.levels} <= {*get_args(Level)}
        assert event.means.endswith("."), event.name
        (_title,) = [
            title
            for title, prefixes in SECTIONS.items()
            if event.name.partition(".")[0] in prefixes.split()
        ]


def test_every_event_of_a_level_that_wakes_somebody_says_what_to_do() -> None:
    loud = [event for event in EVENTS.values() if {"warning", "error"} & {*event.levels}]
    silent = {"config.watch_degraded", "poll.not_given_back"}
    assert {event.name for event in loud if not event.do} == silent


def test_every_field_is_explained() -> None:
    assert {name for event in EVENTS.values() for name in event.fields} == {*FIELDS}
    assert list(FIELDS) == sorted(FIELDS)


def test_the_page_is_made_from_the_events() -> None:
    written = PACKAGE.parent / "docs" / "logs.md"
    assert written.read_text("utf-8") == page(), "make pages"

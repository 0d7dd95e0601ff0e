"""docs/logs.md has every event, with every level and field, and no other."""

import ast
from collections.abc import Iterator
from pathlib import Path

from logged import FACTS
from logs_page import FIELDS, page

import lambdo_router
from lambdo_router.telemetry.logs.catalogue import EVENTS, SECTIONS
from lambdo_router.telemetry.logs.lines import lines_of

PACKAGE = Path(lambdo_router.__file__).parent
LOGGERS = {"log", "_log", "logger", "_logger"}
METHODS = {"debug", "info", "warning", "error", "exception"}
OF_THE_LOG_ITSELF = {
    "router.started": {"version", "generation", "queues", "routes", "settings"},
    "repeats.ended": {"of", "since", "until", "repeated"},
    "library.says": {"library", "text", "exception"},
}


def said() -> Iterator[tuple[str, str, set[str], str]]:
    """What modules say for themselves: level, event, fields that are written there, and where."""
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
                    fields = {keyword.arg for keyword in keywords if keyword.arg is not None}
                    fields |= {part.partition("=")[0] for part in text.split(" ")[1:]}
                    where = f"{path.name}:{node.lineno}"
                    if method == "exception":
                        yield "error", text.split(" ")[0], fields | {"exception"}, where
                    else:
                        yield method, text.split(" ")[0], fields, where
                case _:
                    pass


def test_what_modules_say_for_themselves_is_in_the_catalogue() -> None:
    found = [(event, level, fields, where) for level, event, fields, where in said()]
    unknown = [(event, where) for event, _, _, where in found if event not in EVENTS]
    assert unknown == []
    for event, level, fields, where in found:
        assert level in EVENTS[event].levels, where
        assert fields <= {*EVENTS[event].fields}, where


def test_the_catalogue_has_no_event_that_is_never_logged() -> None:
    of_facts = {line.event for fact, _ in FACTS for line in lines_of(fact)}
    of_modules = {event for _, event, _, _ in said()}
    assert set(EVENTS) == of_facts | of_modules | set(OF_THE_LOG_ITSELF)


def test_the_log_s_own_events_are_as_the_catalogue_says() -> None:
    assert {name: {*EVENTS[name].fields} for name in OF_THE_LOG_ITSELF} == OF_THE_LOG_ITSELF


def test_every_event_of_a_level_that_wakes_somebody_says_what_to_do() -> None:
    loud = [event for event in EVENTS.values() if {"warning", "error"} & {*event.levels}]
    silent = {"config.watch_degraded", "poll.not_given_back"}
    assert {event.name for event in loud if not event.do} == silent


def test_every_field_is_explained() -> None:
    used = {name for event in EVENTS.values() for name in event.fields}
    assert used <= {*FIELDS}
    assert {*FIELDS} <= used
    assert list(FIELDS) == sorted(FIELDS)


def test_every_event_is_listed_once() -> None:
    assert len(EVENTS) == sum(map(len, SECTIONS.values()))


def test_the_page_is_made_from_the_catalogue() -> None:
    written = PACKAGE.parent / "docs" / "logs.md"
    assert written.read_text("utf-8") == page(), "make pages"

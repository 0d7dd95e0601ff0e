"""
A router's status as tables, for `status` and `top`: what fails comes first.

Made from the JSON of `/status`, so that a terminal needs none of the router's own modules. Whatever
is in it was perhaps written by others: what a terminal would act upon is written out.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from lambdo_router.config.diagnostics import escape

Document = Mapping[str, Any]
Tone = Literal["plain", "good", "poor", "bad", "quiet"]
_LONGEST = 200
_PERIODS = ((86400.0, "d"), (3600.0, "h"), (60.0, "min"))
_TONES: Mapping[str, Tone] = {
    **dict.fromkeys(("ok", "reading", "running", "succeeded", "ready", "accepted"), "good"),
    **dict.fromkeys(("opening", "stopping", "starting", "launching", "stopped"), "poor"),
    **dict.fromkeys(
        ("failing", "failed", "oom", "timeout", "never_ran", "not_launched", "refused"), "bad"
    ),
    "idle": "quiet",
}


@dataclass(frozen=True, slots=True)
class Cell:
    """One text of a table."""

    text: str
    tone: Tone = "plain"
    right: bool = False
    """Whether it is a number, and ends where those above it end."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table, and the lines that explain it."""

    cells: tuple[Cell, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Table:
    """A table; `more` is how many rows are not shown."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    more: int = 0


def headline(status: Document) -> tuple[Cell, str]:
    """In a word, and in a sentence."""
    router, health = status["router"], status["health"]
    word = "ready" if health["ready"] else "not ready"
    tone: Tone = "good" if health["ready"] and not health["concerns"] else "poor"
    tone = tone if health["ready"] else "bad"
    parts = [
        f"lambdo-router {router['version']}",
        f"{router['state']} for {period(status['at'] - router['since'])}",
    ]
    if router["generation"]:
        parts.append(f"generation {router['generation']}")
    failing = sum(route["state"] == "failing" for route in status["routes"])
    parts.append(
        f"failing: {failing} of {router['routes']} routes" if failing else "no route fails"
    )
    return Cell(word, tone), shown(", ".join(parts))


def concerns(status: Document) -> Iterator[tuple[Cell, str]]:
    """What does not work, each with since when and why."""
    for concern in status["health"]["concerns"]:
        tone: Tone = "bad" if concern["fatal"] else "poor"
        place = f" ({concern['place']})" if concern["place"] else ""
        since = period(status["at"] - concern["since"])
        name = Cell(shown(f"{concern['kind']} {concern['name']}{place}"), tone)
        yield name, shown(f"for {since}: {concern['why']}")


def tables(status: Document, most: int) -> Iterator[Table]:
    """All tables that have something in them, each with at most so many rows."""
    made = (
        _queues(status, most),
        _routes(status, most),
        _machines(status, most),
        _batches(status, most),
        _failures(status, most),
        _reloads(status, most),
    )
    return (table for table in made if table.rows)


def _queues(status: Document, most: int) -> Table:
    rows = [
        Row(
            (
                _name(queue["name"]),
                _state(queue, status),
                _number(queue["held"]),
                _number(queue["waiting"]),
                _number(queue["last_minute"]["received"]),
                _number(queue["last_minute"]["deleted"]),
                _number(queue["last_minute"]["rejected"] + queue["last_minute"]["left"]),
                _seconds(queue["lag"]),
                _seconds(queue["lease_margin"]),
            ),
            _trouble(queue, status),
        )
        for queue in _worst_first(status["queues"])
    ]
    columns = ("state", "held", "waiting", "in/min", "done/min", "refused/min", "lag", "lease")
    return _cut("queue", columns, rows, most)


def _routes(status: Document, most: int) -> Table:
    rows = [
        Row(
            (
                _name(route["name"]),
                _state(route, status),
                _number(route["waiting"]),
                _number(route["last_minute"]["routed"]),
                _number(route["last_minute"]["launches"]),
                _number(route["last_minute"]["failed"] + route["last_minute"]["launch_failures"]),
                Cell(shown(route["place"]), "quiet"),
            ),
            _trouble(route, status),
        )
        for route in _worst_first(status["routes"])
    ]
    columns = ("state", "waiting", "events/min", "Machines/min", "failed/min", "place")
    return _cut("route", columns, rows, most)


def _machines(status: Document, most: int) -> Table:
    rows = [
        Row(
            (
                _name(level["app"]),
                Cell(shown(level["profile"] or "(of others)")),
                _number(level["running"]),
                _number(level["launching"]),
            )
        )
        for level in status["machines"]
    ]
    return _cut("app", ("profile", "running", "launching"), rows, most)


def _batches(status: Document, most: int) -> Table:
    rows = [
        Row(
            (
                _name(batch["id"]),
                Cell(batch["state"], _TONES.get(batch["state"], "plain")),
                Cell(shown(batch["route"])),
                _number(batch["event_count"]),
                Cell(shown(batch["machine_id"] or "")),
                Cell(shown(batch["region"] or "")),
                Cell(f"{period(status['at'] - batch['closed'])} ago", "quiet"),
            ),
            (shown(batch["failure"]),) if batch["failure"] else (),
        )
        for batch in status["batches"]
    ]
    columns = ("state", "route", "events", "Machine", "region", "closed")
    return _cut("batch", columns, rows, most)


def _failures(status: Document, most: int) -> Table:
    rows = [
        Row(
            (
                _name(failure["kind"]),
                Cell(f"{period(status['at'] - failure['last'])} ago", "quiet"),
                _number(failure["count"]),
                Cell(shown(_about(failure))),
            ),
            (shown(failure["text"]),),
        )
        for failure in status["failures"]
    ]
    return _cut("failure", ("last", "times", "of"), rows, most)


def _reloads(status: Document, most: int) -> Table:
    rows = [
        Row(
            (
                Cell(reload["outcome"], _TONES.get(reload["outcome"], "plain")),
                Cell(f"{period(status['at'] - reload['at'])} ago", "quiet"),
                Cell(shown(reload["generation"])),
            ),
            tuple(map(shown, (reload["problems"] or reload["changes"])[:most])),
        )
        for reload in status["reloads"]
    ]
    return _cut("reload", ("at", "in use"), rows, most)


def _cut(first: str, others: Sequence[str], rows: Sequence[Row], most: int) -> Table:
    shown_rows = tuple(rows[:most])
    return Table(first, (first, *others), shown_rows, len(rows) - len(shown_rows))


def _worst_first(items: Iterable[Document]) -> list[Document]:
    """What fails, then what has traffic; else as the router has them."""
    return sorted(items, key=_rank)


def _rank(item: Document) -> int:
    if item["state"] == "failing":
        return 0
    return 1 if any(item["activity"]) else 2


def _name(text: str) -> Cell:
    return Cell(shown(text))


def _number(count: int) -> Cell:
    return Cell(str(count), "plain" if count else "quiet", right=True)


def _seconds(seconds: float | None) -> Cell:
    return Cell("" if seconds is None else period(seconds), right=True)


def _state(item: Document, status: Document) -> Cell:
    since = period(status["at"] - item["since"])
    return Cell(f"{item['state']} {since}", _TONES.get(item["state"], "plain"))


def _trouble(item: Document, status: Document) -> tuple[str, ...]:
    trouble = item["trouble"]
    if trouble is None:
        return ()
    times = "" if trouble["count"] == 1 else f", {trouble['count']} times"
    again = trouble["next_try"]
    then = (
        ""
        if again is None or again < status["at"]
        else f", next try in {period(again - status['at'])}"
    )
    return (shown(f"{trouble['what']}: {trouble['error']}{times}{then}"),)


def _about(failure: Document) -> str:
    keys = ("route", "queue", "app", "machine_id", "batch_id")
    words = {"machine_id": "Machine", "batch_id": "batch"}
    return " ".join(f"{words.get(key, key)} {failure[key]}" for key in keys if failure[key])


def shown(text: str) -> str:
    """Text from elsewhere, on one line and not too long."""
    return escape(text if len(text) <= _LONGEST else f"{text[:_LONGEST]}...")


def period(seconds: float) -> str:
    """`4.2 s`, `12 s`, `3 min`, `5 h`, `2 d`."""
    for size, unit in _PERIODS:
        if abs(seconds) >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.1f} s" if abs(seconds) < 10 else f"{seconds:.0f} s"  # noqa: PLR2004


def clock(at: float) -> str:
    """A moment as the clock on the wall here says it."""
    return f"{datetime.fromtimestamp(at).astimezone():%H:%M:%S}"

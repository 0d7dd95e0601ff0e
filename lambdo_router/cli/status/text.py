"""
A router's status as text, for `status` and `top`: what fails comes first.

Made from the JSON of `/status`, so that a terminal needs none of the router's own modules. The JSON
may contain what others wrote, so characters that a terminal would act upon are escaped.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

import click

from lambdo_router.config.diagnostics import escape

Document = Mapping[str, Any]
_LONGEST: Final = 200
_PERIODS: Final = ((86400.0, "d"), (3600.0, "h"), (60.0, "min"))
_COLOURS: Final = {
    **dict.fromkeys(("ok", "reading", "running", "succeeded", "ready", "accepted"), "green"),
    **dict.fromkeys(("opening", "stopping", "starting", "launching", "stopped"), "yellow"),
    **dict.fromkeys(("failing", "failed", "oom", "timeout", "refused"), "red"),
    **dict.fromkeys(("never_ran", "not_launched"), "red"),
    "idle": "bright_black",
}
_QUIET: Final = "bright_black"


class _Cell(NamedTuple):
    text: str
    colour: str | None = None
    right: bool = False
    """Whether it is a number, which is aligned to the right."""


class _TableRow(NamedTuple):
    cells: Sequence[_Cell | str | int | None]
    notes: Sequence[str] = ()
    """Lines that explain it."""


def lines(status: Document, most: int) -> Iterator[str]:
    """Yield all of it, each table with at most this many rows; colours are ANSI sequences."""
    yield _headline(status)
    for concern in status["health"]["concerns"]:
        place = f" ({concern['place']})" if concern["place"] else ""
        name = shown(f"{concern['kind']} {concern['name']}{place}")
        since = period(status["at"] - concern["since"])
        why = shown(f"for {since}: {concern['why']}")
        yield f"  {click.style(name, 'red' if concern['fatal'] else 'yellow')} {why}"
    for key, columns, row in _TABLES:
        items = _worst_first(status[key])
        if items:
            rows = [row(item, status["at"]) for item in items[:most]]
            yield ""
            yield from _table(columns, rows, most)
            if len(items) > most:
                yield f"and {len(items) - most} more; status --all shows them"


def _headline(status: Document) -> str:
    router, health = status["router"], status["health"]
    word, colour = "not ready", "red"
    if health["ready"]:
        word, colour = "ready", "yellow" if health["concerns"] else "green"
    since = period(status["at"] - router["since"])
    parts = [f"lambdo-router {router['version']}", f"{router['state']} for {since}"]
    if router["generation"]:
        parts.append(f"generation {router['generation']}")
    failing = sum(route["state"] == "failing" for route in status["routes"])
    parts.append(
        f"failing: {failing} of {router['routes']} routes" if failing else "no route fails"
    )
    return f"{click.style(word, colour, bold=True)}  {shown(', '.join(parts))}"


def _worst_first(items: Sequence[Document]) -> Sequence[Document]:
    """Put queues and routes that fail first, then those with traffic; keep the rest in order."""

    def rank(item: Document) -> int:
        if "activity" not in item:
            return 0
        return 0 if item["state"] == "failing" else 1 if any(item["activity"]) else 2

    return sorted(items, key=rank)


def _queue(queue: Document, now: float) -> _TableRow:
    minute = queue["last_minute"]
    cells = (
        *(queue["name"], _state(queue, now), queue["held"], queue["waiting"]),
        *(minute["received"], minute["deleted"], minute["rejected"] + minute["left"]),
        *(_seconds(queue["lag"]), _seconds(queue["lease_margin"])),
    )
    return _TableRow(cells, _trouble(queue, now))


def _route(route: Document, now: float) -> _TableRow:
    minute = route["last_minute"]
    cells = (
        *(route["name"], _state(route, now), route["waiting"], minute["routed"]),
        *(minute["launches"], minute["failed"] + minute["launch_failures"]),
        _Cell(shown(route["place"]), _QUIET),
    )
    return _TableRow(cells, _trouble(route, now))


def _machines(group: Document, _now: float) -> _TableRow:
    profile = group["profile"] or "(of others)"
    return _TableRow((group["app"], profile, group["running"], group["launching"]))


def _batch(batch: Document, now: float) -> _TableRow:
    cells = (
        *(batch["id"], _Cell(batch["state"], _COLOURS.get(batch["state"])), batch["route"]),
        *(batch["event_count"], batch["machine_id"], batch["region"]),
        _ago(batch["closed"], now),
    )
    return _TableRow(cells, [batch["failure"]] if batch["failure"] else ())


def _failure(failure: Document, now: float) -> _TableRow:
    words = {"machine_id": "Machine", "batch_id": "batch"}
    keys = ("route", "queue", "app", "machine_id", "batch_id")
    about = " ".join(f"{words.get(key, key)} {failure[key]}" for key in keys if failure[key])
    cells = (failure["kind"], _ago(failure["last"], now), failure["count"], about)
    return _TableRow(cells, [failure["text"]])


def _reload(reload: Document, now: float) -> _TableRow:
    outcome = _Cell(reload["outcome"], _COLOURS.get(reload["outcome"]))
    cells = (outcome, _ago(reload["at"], now), reload["generation"])
    return _TableRow(cells, reload["problems"] or reload["changes"])


_TABLES: Final[Sequence[tuple[str, str, Callable[[Document, float], _TableRow]]]] = (
    ("queues", "queue state held waiting in/min done/min refused/min lag lease", _queue),
    ("routes", "route state waiting events/min Machines/min failed/min place", _route),
    ("machines", "app profile running launching", _machines),
    ("batches", "batch state route events Machine region closed", _batch),
    ("failures", "failure last times where", _failure),
    ("reloads", "reload at generation", _reload),
)
"""The key in the status, the columns, and what makes a row."""


def _table(columns: str, rows: Sequence[_TableRow], most: int) -> Iterator[str]:
    body = [[_cell(value) for value in row.cells] for row in rows]
    names = zip(columns.split(), body[0], strict=True)
    grid = [[_Cell(name, _QUIET, cell.right) for name, cell in names], *body]
    widths = [max(len(cell.text) for cell in column) for column in zip(*grid, strict=True)]
    notes = [(), *(row.notes for row in rows)]
    for cells, explained in zip(grid, notes, strict=True):
        yield "  ".join(map(_padded, cells, widths)).rstrip()
        for note in explained[:most]:
            yield f"    {shown(note)}"


def _padded(cell: _Cell, width: int) -> str:
    text = click.style(cell.text, cell.colour) if cell.text and cell.colour else cell.text
    space = " " * (width - len(cell.text))
    return space + text if cell.right else text + space


def _cell(value: _Cell | str | int | None) -> _Cell:
    if isinstance(value, int):
        return _Cell(str(value), None if value else _QUIET, right=True)
    return value if isinstance(value, _Cell) else _Cell(shown(value or ""))


def _seconds(seconds: float | None) -> _Cell:
    return _Cell("" if seconds is None else period(seconds), right=True)


def _ago(at: float, now: float) -> _Cell:
    return _Cell(f"{period(now - at)} ago", _QUIET)


def _state(item: Document, now: float) -> _Cell:
    state = item["state"]
    return _Cell(f"{state} {period(now - item['since'])}", _COLOURS.get(state))


def _trouble(item: Document, now: float) -> Sequence[str]:
    trouble = item["trouble"]
    if trouble is None:
        return ()
    times = "" if trouble["count"] == 1 else f", {trouble['count']} times"
    again = trouble["next_try"]
    then = "" if again is None or again < now else f", next try in {period(again - now)}"
    return [f"{trouble['what']}: {trouble['error']}{times}{then}"]


def shown(text: str) -> str:
    """Return text from elsewhere on one line, escaped and not too long."""
    return escape(text if len(text) <= _LONGEST else f"{text[:_LONGEST]}...")


def period(seconds: float) -> str:
    """Return `4.2 s`, `12 s`, `3 min`, `5 h`, `2 d`."""
    for size, unit in _PERIODS:
        if abs(seconds) >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.1f} s" if abs(seconds) < 10 else f"{seconds:.0f} s"  # noqa: PLR2004

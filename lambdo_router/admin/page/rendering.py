"""
A status as HTML, in parts, so that a page that is open can be told of those that have changed.

The page has regions (the cards of the routes, the rows of the last batches, ...), and a region has
parts, each an element with a key. A patch says for each region which parts are there, in which
order, and the HTML of those that are new or different.

Pure, but for a memory of what was rendered last: what is the same again is not rendered again.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from lambdo_router.admin.page.concerns import announcement, concerns, verdict
from lambdo_router.admin.page.templates import Html, render
from lambdo_router.admin.page.views import (
    end_of,
    figures,
    foremost_queues,
    foremost_routes,
    group_key,
    machine_groups,
)
from lambdo_router.admin.page.wording import number
from lambdo_router.telemetry.status import RouteStatus, Status

ON_THE_MAP: Final = 30
"""Queues, and routes, that are drawn."""
IN_A_TABLE: Final = 200
_BATCHES: Final = 25
_FAILURES: Final = 20
_CONCERNS: Final = 20
_NOTE: Final = "note"
"""The key of the part that says how many more there are, or that there is nothing."""
_ROUTE_COLUMNS: Final = 7
_QUEUE_COLUMNS: Final = 7
_BATCH_COLUMNS: Final = 7
_FAILURE_COLUMNS: Final = 4

Region = Mapping[str, Html]
"""HTML by key, in the order of the page."""
Counts = Mapping[str, Mapping[str, int]]


@dataclass(frozen=True, slots=True)
class Rendered:
    """One state of the page."""

    version: str
    at: float
    """Of the status."""
    words: str
    """The whole in a few words, for the title."""
    tone: str
    regions: Mapping[str, Region]


@dataclass(frozen=True, slots=True)
class _Part:
    key: str
    template: str
    values: Mapping[str, Any]


@dataclass(slots=True)
class Renderer:
    """Renders one status after the other."""

    _last: dict[tuple[str, str], tuple[_Part, Html]] = field(default_factory=dict)

    def regions(self, status: Status, flows: Counts) -> Mapping[str, Region]:
        """
        The regions of the page; `flows` are messages of the last minute by route and queue, for
        routes that read several.
        """
        before, self._last = self._last, {}
        regions: dict[str, dict[str, Html]] = {}
        for name, parts in _regions(status, flows).items():
            region = regions[name] = {}
            for part in parts:
                known = before.get((name, part.key))
                html = known[1] if known and known[0] == part else _html(part)
                self._last[name, part.key] = (part, html)
                region[part.key] = html
        return regions


def _html(part: _Part) -> Html:
    return render(part.template, {"key": part.key, **part.values})


def _regions(status: Status, flows: Counts) -> Mapping[str, Iterator[_Part]]:
    return {
        "summary": _summary(status),
        "announcement": _announcement(status),
        "concerns": _concerns(status),
        "figures": iter([_Part("figures", "figures", {"figures": figures(status)})]),
        "queues": _or_note(_queue_cards(status), "none is read yet"),
        "routes": _or_note(_route_cards(status, flows), "no routing table is in use yet"),
        "machines": _or_note(_machine_cards(status), "none yet"),
        "route-rows": _or_note(_route_rows(status), "none yet", _ROUTE_COLUMNS),
        "queue-rows": _or_note(_queue_rows(status), "none yet", _QUEUE_COLUMNS),
        "batch-rows": _or_note(_batch_rows(status), "none since the start", _BATCH_COLUMNS),
        "failure-rows": _or_note(_failure_rows(status), "none since the start", _FAILURE_COLUMNS),
        "reloads": _or_note(_reloads(status), "none since the start"),
    }


def _summary(status: Status) -> Iterator[_Part]:
    words, tone = verdict(status)
    values = {
        "words": words,
        "verdict_tone": tone,
        "checks": status.health.checks,
        "router": status.router,
    }
    yield _Part("summary", "summary", values)


def _announcement(status: Status) -> Iterator[_Part]:
    yield _Part("announcement", "announcement", {"text": announcement(status)})


def _concerns(status: Status) -> Iterator[_Part]:
    found = list(concerns(status))
    for concern in found[:_CONCERNS]:
        yield _Part(f"{concern.kind} {concern.name} {concern.why}", "concern", {"concern": concern})
    yield from _note(len(found) - _CONCERNS, "more; /status has them all")


def _note(more: int, what: str, columns: int = 0) -> Iterator[_Part]:
    """For a list, or for a table with so many columns."""
    if more > 0:
        yield _Part(_NOTE, "note", {"text": f"and {number(more)} {what}", "columns": columns})


def _or_note(parts: Iterator[_Part], text: str, columns: int = 0) -> Iterator[_Part]:
    """The parts, or in place of none this text."""
    none = True
    for part in parts:
        none = False
        yield part
    if none:
        yield _Part(_NOTE, "note", {"text": text, "columns": columns})


def _queue_cards(status: Status) -> Iterator[_Part]:
    shown = foremost_queues(status.queues, ON_THE_MAP)
    for queue in shown:
        yield _Part(f"={queue.name}", "queue_card", {"queue": queue})
    yield from _note(len(status.queues) - len(shown), "more in the table below")


def _route_cards(status: Status, flows: Counts) -> Iterator[_Part]:
    shown = foremost_routes(status.routes, ON_THE_MAP)
    for route in shown:
        only = dict.fromkeys(route.queues[:1], route.last_minute["routed"])
        counts = flows.get(route.name, only)
        values = {
            "route": route,
            "flows": [[f"={queue}", counts.get(queue, 0)] for queue in route.queues],
            "group": f"={group_key(route.apps, route.profile)}",
        }
        yield _Part(f"={route.name}", "route_card", values)
    yield from _note(len(status.routes) - len(shown), "more in the table below")


def _machine_cards(status: Status) -> Iterator[_Part]:
    for group in machine_groups(status, foremost_routes(status.routes, ON_THE_MAP)):
        yield _Part(f"={group.key}", "machine_card", {"group": group})


def _queue_rows(status: Status) -> Iterator[_Part]:
    shown = foremost_queues(status.queues, IN_A_TABLE)
    for queue in shown:
        margin = queue.lease_margin
        # The moment stands still while the margin shrinks: so the row does not change for it.
        expiry = None if margin is None else math.floor(status.at + margin)
        yield _Part(f"={queue.name}", "queue_row", {"queue": queue, "expiry": expiry})
    yield from _note(len(status.queues) - len(shown), "more; /status has them all", _QUEUE_COLUMNS)


def _route_rows(status: Status) -> Iterator[_Part]:
    shown: tuple[RouteStatus, ...] = foremost_routes(status.routes, IN_A_TABLE)
    for route in shown:
        yield _Part(f"={route.name}", "route_row", {"route": route})
    yield from _note(len(status.routes) - len(shown), "more; /status has them all", _ROUTE_COLUMNS)


def _batch_rows(status: Status) -> Iterator[_Part]:
    for batch in status.batches[:_BATCHES]:
        yield _Part(f"={batch.id}", "batch_row", {"batch": batch, "end": end_of(batch)})


def _failure_rows(status: Status) -> Iterator[_Part]:
    for failure in status.failures[:_FAILURES]:
        about = (failure.kind, failure.route, failure.queue, failure.app, failure.text)
        yield _Part(f"={about}", "failure_row", {"failure": failure})


def _reloads(status: Status) -> Iterator[_Part]:
    for reload in status.reloads:
        key = f"={reload.at} {reload.outcome} {reload.generation}"
        yield _Part(key, "reload", {"reload": reload})


def patch(before: Mapping[str, Region], after: Mapping[str, Region]) -> dict[str, Any]:
    """
    What to change, by region; empty if nothing is different.

    `order` are the keys of all parts, if they are others or stand otherwise; `parts` the HTML of
    those that are new or different.
    """
    changes: dict[str, Any] = {}
    for name, region in after.items():
        old = before.get(name, {})
        change: dict[str, Any] = {}
        if list(old) != list(region):
            change["order"] = list(region)
        parts = {key: html for key, html in region.items() if old.get(key) != html}
        if parts:
            change["parts"] = parts
        if change:
            changes[name] = change
    return changes

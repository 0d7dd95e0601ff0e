"""
Renders a status as HTML in parts, so that an open page can be sent those that have changed.

The page has regions (the cards of the routes, the rows of the last batches, ...), and a region has
parts, each an element with a key. A patch says for each region which parts it has, in which order,
and the HTML of those that are new or different.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final, TypeVar

from lambdo_router.admin.page.templates import Html, render
from lambdo_router.admin.page.views import (
    announcement,
    concerns,
    figures,
    foremost,
    group_key,
    machine_groups,
    verdict,
)
from lambdo_router.admin.page.wording import number
from lambdo_router.telemetry.status import QueueStatus, RouteStatus, Status

ON_THE_MAP: Final = 30
"""How many queues, and how many routes, are drawn."""
IN_A_TABLE: Final = 200
_BATCHES: Final = 25
_FAILURES: Final = 20
_CONCERNS: Final = 20
_BELOW: Final = "more in the table below"
_ELSEWHERE: Final = "more; /status has them all"

Region = Mapping[str, Html]
"""HTML by key, in the order of the page."""
_Values = Mapping[str, Any]
_Track = TypeVar("_Track", QueueStatus, RouteStatus)
_Part = tuple[str, str, _Values]
"""Key, template and values."""


@dataclass(slots=True)
class Renderer:
    """Renders one status after another, and what has not changed only once."""

    _last: dict[tuple[str, str], tuple[_Part, Html]] = field(default_factory=dict)

    def regions(self, status: Status) -> Mapping[str, Region]:
        """Return the regions of the page."""
        before, self._last = self._last, {}
        regions: dict[str, dict[str, Html]] = {}
        for name, parts in _regions(status).items():
            region = regions[name] = {}
            for part in parts:
                key, template, values = part
                known = before.get((name, key))
                html = known[1] if known and known[0] == part else _html(key, template, values)
                self._last[name, key] = (part, html)
                region[key] = html
        return regions


def _html(key: str, template: str, values: _Values) -> Html:
    return render(template, {"key": key, **values})


def _regions(status: Status) -> Mapping[str, Iterator[_Part]]:
    words, tone = verdict(status)
    summary = {"words": words, "tone": tone, "health": status.health, "router": status.router}
    found = {f"{it['kind']} {it['name']} {it['concern'].why}": it for it in concerns(status)}
    shown = dict(islice(found.items(), _CONCERNS))
    routes = foremost(status.routes, ON_THE_MAP)
    machines = {f"={it.key}": {"group": it} for it in machine_groups(status, routes)}
    batches = {f"={it.id}": {"batch": it} for it in status.batches[:_BATCHES]}
    failures = {
        f"={(it.kind, it.route, it.queue, it.app, it.text)}": {"failure": it}
        for it in status.failures[:_FAILURES]
    }
    reloads = {f"={it.at} {it.outcome} {it.generation}": {"reload": it} for it in status.reloads}
    unread, no_table = "no queue is read yet", "no routing table is in use yet"
    never = "none since the start"
    return {
        "summary": _list("summary", {"summary": summary}),
        "announcement": _list("announcement", {"announcement": {"text": announcement(status)}}),
        "concerns": _list("concern", shown, more=(len(found) - len(shown), _ELSEWHERE)),
        "figures": _list("figures", {"figures": {"figures": figures(status)}}),
        "queues": _cards("queue_card", status.queues, lambda it: {"queue": it}, unread),
        "routes": _cards("route_card", status.routes, _route_card, no_table),
        "machines": _list("machine_card", machines, "none yet"),
        "route-rows": _rows("route_row", status.routes, lambda it: {"route": it}),
        "queue-rows": _rows("queue_row", status.queues, lambda it: _queue_row(it, status.at)),
        "batch-rows": _list("batch_row", batches, never, columns=7),
        "failure-rows": _list("failure_row", failures, never, columns=4),
        "reloads": _list("reload", reloads, never),
    }


def _cards(
    template: str, tracks: Sequence[_Track], values: Callable[[_Track], _Values], empty: str
) -> Iterator[_Part]:
    shown = {f"={it.name}": values(it) for it in foremost(tracks, ON_THE_MAP)}
    return _list(template, shown, empty, more=(len(tracks) - len(shown), _BELOW))


def _rows(
    template: str, tracks: Sequence[_Track], values: Callable[[_Track], _Values]
) -> Iterator[_Part]:
    shown = {f"={it.name}": values(it) for it in foremost(tracks, IN_A_TABLE)}
    more = (len(tracks) - len(shown), _ELSEWHERE)
    return _list(template, shown, "none yet", more=more, columns=7)


def _list(
    template: str,
    parts: Mapping[str, _Values],
    empty: str = "",
    *,
    more: tuple[int, str] = (0, ""),
    columns: int = 0,
) -> Iterator[_Part]:
    """Yield the parts of a list, or of a table with this many columns, and a note if need be."""
    for key, values in parts.items():
        yield key, template, values
    count, what = more
    text = f"and {number(count)} {what}" if count > 0 else "" if parts else empty
    if text:
        yield "note", "note", {"text": text, "columns": columns}


def _route_card(route: RouteStatus) -> _Values:
    flows = [[f"={queue}", route.routed_by_queue.get(queue, 0)] for queue in route.queues]
    return {"route": route, "flows": flows, "group": f"={group_key(route.apps, route.profile)}"}


def _queue_row(queue: QueueStatus, at: float) -> _Values:
    margin = queue.lease_margin
    # The moment stays the same while the margin shrinks, so that the row does not change.
    return {"queue": queue, "expiry": None if margin is None else math.floor(at + margin)}


def patch(before: Mapping[str, Region], after: Mapping[str, Region]) -> dict[str, Any]:
    """
    Return what to change, by region; empty if nothing is different.

    `order` has the keys of all parts, if they or their order are different; `parts` the HTML of
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

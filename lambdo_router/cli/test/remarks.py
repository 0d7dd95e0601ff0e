"""
Why a message of a test took its way, and not the one it was meant to take.

The reasons are those that `decide` gives; each comes with its place in the routes file.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from lambdo_router.config.load import LoadedRoutes
from lambdo_router.config.read.places import Place
from lambdo_router.config.route_tests import RouteTest
from lambdo_router.config.route_tests.coverage import held
from lambdo_router.core.admission import Verdict
from lambdo_router.core.routing import Considered, Refused, Route, RoutingTable, decide

_MOST_TOLD = 5
"""Conditions, or routes, that are told of."""
_REFUSED_BY = {"schema_invalid": "schema", "override_denied": "overrides"}
"""The key of a route that refuses a message for this reason."""
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


@dataclass(frozen=True, slots=True)
class Remark:
    """A sentence about the way of a message, and what it points at."""

    text: str
    place: Place | None = None


def remarks(test: RouteTest, verdict: Verdict, loaded: LoadedRoutes) -> Iterator[Remark]:
    """The route that the message took, and why it did not take the one it was meant to take."""
    yield from _taken(test, verdict, loaded)
    yield from _not_taken(test, verdict, loaded)


def _taken(test: RouteTest, verdict: Verdict, loaded: LoadedRoutes) -> Iterator[Remark]:
    route = verdict.decision.route
    if route is None:
        return
    queue = loaded.table.queues[test.queue]
    conditions = list(map(str, held(route, queue, test.message)))
    if not conditions:
        why = f"it asks nothing, so it takes what comes from queue `{queue.name}`"
    else:
        rest = len(conditions) - _MOST_TOLD
        why = f"it matches {', '.join(conditions[:_MOST_TOLD])}"
        why += f" and {rest} more" if rest > 0 else ""
    place = loaded.place_of(route.name, "name")
    yield Remark(f"the message takes route `{route.name}`: {why}", place)
    reason, detail = verdict.refusal
    if reason:
        at = loaded.place_of(route.name, _REFUSED_BY.get(reason, "name"))
        yield Remark(f"route `{route.name}` refuses it ({reason}): {detail}", at)


def _not_taken(test: RouteTest, verdict: Verdict, loaded: LoadedRoutes) -> Iterator[Remark]:
    decision, table = verdict.decision, loaded.table
    meant = next((it for it in table.routes if it.name == test.wanted.get("route")), None)
    if isinstance(decision, Refused) and decision.reason == "not_json":
        yield Remark(f"no route is looked at: {decision.detail}", test.places["body"])
    elif meant is not None and meant is not decision.route:
        yield _passed_over(meant, test, verdict, loaded)
    elif decision.route is None and meant is None:
        considered = decision.considered
        yield from (_why_not(one, loaded) for one in considered[:_MOST_TOLD])
        if (rest := len(considered) - _MOST_TOLD) > 0:
            yield Remark(f"nor does it match {rest} more routes of queue `{test.queue}`")


def _passed_over(meant: Route, test: RouteTest, verdict: Verdict, loaded: LoadedRoutes) -> Remark:
    """Why the message does not take that route."""
    if test.queue not in meant.queues:
        what = f"it is meant to take route `{meant.name}`, which does not read"
        return Remark(f"{what} queue `{test.queue}`", loaded.place_of(meant.name, "queue"))
    for one in verdict.decision.considered:
        if one.route == meant.name:
            return _why_not(one, loaded)
    # A route after the one that was taken has not been looked at: look at it alone.
    table = loaded.table
    alone = RoutingTable(table.generation, table.queues, (meant,))
    second = decide(alone, table.queues[test.queue], test.message, record=True)
    if second.route is None:
        return _why_not(second.considered[0], loaded)
    taken = verdict.decision.route
    name = "" if taken is None else taken.name
    what = f"route `{meant.name}` would take the message too, but `{name}` stands before it"
    return Remark(what, loaded.place_of(meant.name, "name"))


def _why_not(considered: Considered, loaded: LoadedRoutes) -> Remark:
    path = ("match", considered.part, *considered.path) if considered.part else ("name",)
    what = f"it does not take route `{considered.route}`: {considered.why}"
    return Remark(what, loaded.place_of(considered.route, *path))


def unset(told: Iterable[str], env: Mapping[str, str]) -> Iterator[Remark]:
    """What a reader must know when a difference or a reason speaks of a variable."""
    names = {name for text in told for name in _VARIABLE.findall(text)}
    for name in sorted(names - env.keys()):
        yield Remark(f"{name} is not set in this test: write it in `env`, or give it with --env")

"""Why the message of a failed test took its route, and not the expected one."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from lambdo_router.config.diagnostics import Place
from lambdo_router.config.load import LoadedRoutes
from lambdo_router.config.route_tests import RouteTest
from lambdo_router.config.route_tests.coverage import held
from lambdo_router.core.admission import Verdict
from lambdo_router.core.routing import Considered, Refused, Route, RoutingTable, decide

_MOST_NAMED = 5
"""Conditions, or routes, that are listed."""
_REFUSED_BY = {"schema_invalid": "schema", "override_denied": "overrides"}
"""The key of a route that refuses a message, by the reason."""
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


@dataclass(frozen=True, slots=True)
class Note:
    """A sentence about how a message was routed, and the place it refers to."""

    text: str
    place: Place | None = None


def routing_notes(test: RouteTest, verdict: Verdict, loaded: LoadedRoutes) -> Iterator[Note]:
    """Explain which route the message took, and why not the expected one."""
    decision, table = verdict.decision, loaded.table
    if decision.route is not None:
        yield from _taken(decision.route, test, verdict, loaded)
    expected = next((it for it in table.routes if it.name == test.wanted.get("route")), None)
    if isinstance(decision, Refused) and decision.reason == "not_json":
        yield Note(f"no route was tried: {decision.detail}", test.places["body"])
    elif expected is not None and expected is not decision.route:
        yield _passed_over(expected, test, verdict, loaded)
    elif decision.route is None and expected is None:
        considered = decision.considered
        yield from (_not_matched(one, loaded) for one in considered[:_MOST_NAMED])
        if (rest := len(considered) - _MOST_NAMED) > 0:
            yield Note(f"it does not match {rest} more routes of queue `{test.queue}` either")


def _taken(route: Route, test: RouteTest, verdict: Verdict, loaded: LoadedRoutes) -> Iterator[Note]:
    queue = loaded.table.queues[test.queue]
    conditions = list(map(str, held(route, queue, test.message)))
    if not conditions:
        why = f"it has no conditions, so it takes every message of queue `{queue.name}`"
    else:
        rest = len(conditions) - _MOST_NAMED
        why = f"it matches {', '.join(conditions[:_MOST_NAMED])}"
        why += f" and {rest} more" if rest > 0 else ""
    place = loaded.place_of(route.name, "name")
    yield Note(f"the message takes route `{route.name}`: {why}", place)
    reason, detail = verdict.refusal
    if reason:
        at = loaded.place_of(route.name, _REFUSED_BY.get(reason, "name"))
        yield Note(f"route `{route.name}` refuses it ({reason}): {detail}", at)


def _passed_over(expected: Route, test: RouteTest, verdict: Verdict, loaded: LoadedRoutes) -> Note:
    name = expected.name
    if test.queue not in expected.queues:
        what = f"the expected route `{name}` does not read queue `{test.queue}`"
        return Note(what, loaded.place_of(name, "queue"))
    for one in verdict.decision.considered:
        if one.route == name:
            return _not_matched(one, loaded)
    # Routes after the one that was taken were not tried, so try the expected one alone.
    table = loaded.table
    alone = RoutingTable(table.generation, table.queues, (expected,))
    second = decide(alone, table.queues[test.queue], test.message, record=True)
    if second.route is None:
        return _not_matched(second.considered[0], loaded)
    taken = "" if verdict.decision.route is None else verdict.decision.route.name
    what = f"route `{name}` matches the message too, but `{taken}` comes first"
    return Note(what, loaded.place_of(name, "name"))


def _not_matched(considered: Considered, loaded: LoadedRoutes) -> Note:
    path = ("match", considered.part, *considered.path) if considered.part else ("name",)
    what = f"it does not match route `{considered.route}`: {considered.why}"
    return Note(what, loaded.place_of(considered.route, *path))


def unset_variables(texts: Iterable[str], env: Mapping[str, str]) -> Iterator[Note]:
    """Name the variables in these texts that the test does not set."""
    names = {name for text in texts for name in _VARIABLE.findall(text)}
    for name in sorted(names - env.keys()):
        yield Note(f"variable {name} is not set in this test; set it in `env` or with --env")

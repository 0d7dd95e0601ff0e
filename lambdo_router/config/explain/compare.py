"""
Compares two routes files in meaning.

The compiled tables are compared, so comments, formatting and spelling make no difference, nor do
profiles that no route uses. A change to a shared profile is reported once. A changed order of
routes is reported where it can matter: where they read the same queue, and a message could match
both.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

from lambdo_router.config.explain.reorder import Move, moves
from lambdo_router.config.explain.resolved import (
    Values,
    profile_values,
    queue_values,
    route_values,
    unresolved,
)
from lambdo_router.config.load import LoadedRoutes
from lambdo_router.core.routing import Route

Kind = Literal["queue", "profile", "route"]
Action = Literal["added", "removed", "changed"]
T = TypeVar("T")

INLINE = "(written in the route)"
"""Stands for the name of a profile without one."""
_SHOWN_OF_DIGEST = 8


@dataclass(frozen=True, slots=True)
class KeyChange:
    """One key with its value before and after; None where the key is missing."""

    key: str
    old: object
    new: object


@dataclass(frozen=True, slots=True)
class Change:
    """A queue, profile or route that was added, removed or changed."""

    action: Action
    kind: Kind
    name: str
    differences: tuple[KeyChange, ...]
    """In the order of the reference; for what was added or removed, every key."""
    routes: tuple[str, ...] = ()
    """For a profile, the routes that use it, or used it before it was removed."""
    behind: str | None = None
    """For an added route, the last one before it that reads one of its queues, if there is any."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """The differences between two tables; false if there are none."""

    changes: tuple[Change, ...] = ()
    """Queues, then profiles, then routes; each kind in the new order, with removed ones last."""
    moves: tuple[Move, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.changes or self.moves)

    def count(self, action: Action) -> int:
        """Return how many queues, profiles and routes were added, removed or changed."""
        return sum(change.action == action for change in self.changes)

    @property
    def moved(self) -> int:
        """The number of routes that changed places with others."""
        return len({move.route for move in self.moves})


class _Side:
    """One of the two loaded files, with what is looked up in it often."""

    def __init__(self, loaded: LoadedRoutes) -> None:
        self.queues = loaded.table.queues
        self.routes = {route.name: route for route in loaded.table.routes}
        self._places = loaded.places
        self._depends_on_unset = any(one.code == "missing-variable" for one in loaded.warnings)
        self.users: dict[str, list[Route]] = {}
        """The routes that use each named profile."""
        self.behind: dict[str, str | None] = {}
        """For each route the last one before it that reads a queue of its own."""
        last: dict[str, tuple[int, str]] = {}
        for at, route in enumerate(loaded.table.routes):
            if (name := self.profile_name(route)) is not None:
                self.users.setdefault(name, []).append(route)
            earlier = [last[queue] for queue in route.queues if queue in last]
            self.behind[route.name] = max(earlier)[1] if earlier else None
            last |= dict.fromkeys(route.queues, (at, route.name))

    def profile_name(self, route: Route) -> str | None:
        """Return the name of the route's profile; None if it is written in the route."""
        name = self._places.entry(route.name).get("profile")
        return name if isinstance(name, str) else None

    def schema(self, route: Route) -> str:
        """Return the name of the route's schema file."""
        return str(self._places.written(route.name, "schema"))

    def values(self, route: Route | None, *, shown: bool = False) -> Values:
        """Return what a route's profile says: to compare, or to show, without secrets."""
        if route is None:
            return {}
        # A variable that is not set has no value, so what is written is compared.
        unset = unresolved(self._places.origins(route.name)) if self._depends_on_unset else {}
        return profile_values(route.profile.public if shown else route.profile) | unset


def compare(before: LoadedRoutes, after: LoadedRoutes) -> Comparison:
    """Return what changed from one to the other."""
    old, new = _Side(before), _Side(after)
    changes = (*_queues(old, new), *_profiles(old, new), *_routes(old, new))
    return Comparison(changes, tuple(moves(before.table.routes, after.table.routes)))


def _queues(old: _Side, new: _Side) -> Iterator[Change]:
    for name in _names(old.queues, new.queues):
        before, after = old.queues.get(name), new.queues.get(name)
        if before != after:
            key_changes = _key_changes(
                [{} if queue is None else queue_values(queue) for queue in (before, after)],
                [{} if queue is None else queue_values(queue.public) for queue in (before, after)],
            )
            yield Change(_action(before, after), "queue", name, tuple(key_changes))


def _profiles(old: _Side, new: _Side) -> Iterator[Change]:
    for name in _names(old.users, new.users):
        before, after = old.users.get(name, []), new.users.get(name, [])
        firsts = next(iter(before), None), next(iter(after), None)
        if key_changes := tuple(_profile_changes(old, new, *firsts)):
            users = tuple(route.name for route in after or before)
            yield Change(_action(*firsts), "profile", name, key_changes, users)


def _routes(old: _Side, new: _Side) -> Iterator[Change]:
    for name in _names(old.routes, new.routes):
        before, after = old.routes.get(name), new.routes.get(name)
        if key_changes := tuple(_route_changes(old, new, before, after)):
            behind = new.behind[name] if before is None else None
            yield Change(_action(before, after), "route", name, key_changes, behind=behind)


def _route_changes(
    old: _Side, new: _Side, before: Route | None, after: Route | None
) -> Iterator[KeyChange]:
    routes = (before, after)
    yield from _key_changes(
        [{} if route is None else route_values(route, masked=False) for route in routes],
        [{} if route is None else route_values(route) for route in routes],
    )
    digests = [None if r is None or r.schema is None else r.schema.digest for r in routes]
    if digests[0] != digests[1]:
        yield KeyChange("schema", *_schemas((old, new), routes, digests))
    names = [
        None if route is None else side.profile_name(route) or INLINE
        for side, route in zip((old, new), routes, strict=True)
    ]
    if names[0] != names[1]:
        yield KeyChange("profile", *names)
    # Changes to a shared profile are reported with the profile.
    if INLINE in names or (names[0] != names[1] and None not in names):
        yield from _profile_changes(old, new, before, after)


def _schemas(
    sides: Sequence[_Side], routes: Sequence[Route | None], digests: Sequence[str | None]
) -> list[str | None]:
    """Return the names of the two schema files, with part of their digest if they are equal."""
    found = list(zip(sides, routes, digests, strict=True))
    files = [None if r is None or digest is None else side.schema(r) for side, r, digest in found]
    if files[0] == files[1]:
        return [
            f"{file} ({str(digest)[:_SHOWN_OF_DIGEST]})"
            for file, digest in zip(files, digests, strict=True)
        ]
    return files


def _profile_changes(
    old: _Side, new: _Side, before: Route | None, after: Route | None
) -> Iterator[KeyChange]:
    values = [old.values(before), new.values(after)]
    if before is not None and after is not None and before.profile.guest == after.profile.guest:
        known = [v["size"] == r.profile.size for v, r in zip(values, (before, after), strict=True)]
        if all(known):
            values[0]["size"] = values[1]["size"]  # two spellings of one size
    shown = [old.values(before, shown=True), new.values(after, shown=True)]
    yield from _key_changes(values, shown)


def _key_changes(values: Sequence[Values], shown: Sequence[Values]) -> Iterator[KeyChange]:
    """Yield the keys whose values differ, with the values to show, in which secrets are hidden."""
    old, new = values
    for key in _names(old, new):
        if _meaning(key, old.get(key)) != _meaning(key, new.get(key)):
            yield KeyChange(key, *(one.get(key) for one in shown))


def _meaning(key: str, value: object) -> object:
    """Return the value with lists sorted whose order means nothing."""
    if not isinstance(value, list) or not key.startswith(("app", "queue", "match.", "overrides.")):
        return value
    return _unordered(value) if key.startswith("match.") else sorted(map(json.dumps, value))


def _unordered(condition: object) -> object:
    """Return a condition with its alternatives sorted."""
    if isinstance(condition, dict):
        return {
            name: inner if name == "numeric" else _unordered(inner)
            for name, inner in condition.items()
        }
    if isinstance(condition, list):
        return sorted(json.dumps(_unordered(item), sort_keys=True) for item in condition)
    return condition


def _names(old: Mapping[str, T], new: Mapping[str, T]) -> list[str]:
    return [*new, *(name for name in old if name not in new)]


def _action(before: object, after: object) -> Action:
    if before is None:
        return "added"
    return "removed" if after is None else "changed"

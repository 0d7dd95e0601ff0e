"""
What is different between two routing tables, in meaning.

Tables are compared as they are compiled, so that comments, formatting and the way a value is
written make no difference, nor do profiles that no route uses. A profile that routes share is told
once, and not with each of them. Of routes that changed places it is told where it can matter: where
they read the same queue, and a message could match both. Equal tables give an empty comparison.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, TypeVar

from lambdo_router.config.explain.reorder import Move, moves
from lambdo_router.config.explain.resolved import Values, profile_values, queue_values, route_values
from lambdo_router.core.routing import Queue, Route

Kind = Literal["queue", "profile", "route"]
Action = Literal["added", "removed", "changed"]
T = TypeVar("T")

INLINE = "(written in the route)"
"""Stands for the name of a profile that has none."""
_SHOWN_OF_DIGEST = 8


@dataclass(frozen=True, slots=True)
class Difference:
    """One key with its value before and after; None where the key is not there."""

    key: str
    old: object
    new: object


@dataclass(frozen=True, slots=True)
class Change:
    """A queue, profile or route that was added, removed or changed."""

    action: Action
    kind: Kind
    name: str
    differences: tuple[Difference, ...]
    """In the order of the reference; of what was added or removed, every key."""
    routes: tuple[str, ...] = ()
    """Of a profile: the routes that use it; of a removed one, that did."""
    behind: str | None = None
    """Of an added route: the one before it that reads a queue of its own; None: it is the first."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """All that is different between two tables."""

    changes: tuple[Change, ...] = ()
    """Queues, then profiles, then routes; each kind in the new order, what was removed at last."""
    moves: tuple[Move, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.changes or self.moves)

    def count(self, action: Action) -> int:
        """How many queues, profiles and routes were added, removed or changed."""
        return sum(change.action == action for change in self.changes)

    @property
    def moved(self) -> int:
        """How many routes have changed places with others."""
        return len({move.route for move in self.moves})


def _own_name(route: Route) -> str | None:
    return None if route.profile.name == route.name else route.profile.name


def _own_values(route: Route) -> Values:
    return profile_values(route.profile)


def _no_file(route: Route) -> str:  # noqa: ARG001 - a default of Side.schema
    return "schema"


@dataclass(frozen=True)
class Side:
    """One of the two tables, with what only its file knows."""

    queues: Mapping[str, Queue]
    routes: Sequence[Route]
    profile_name: Callable[[Route], str | None] = field(default=_own_name)
    """The name of a route's profile; None if it is written in the route."""
    values: Callable[[Route], Values] = field(default=_own_values)
    """What a route's profile says, to be compared."""
    shown: Callable[[Route], Values] = field(default=_own_values)
    """The same, fit to be shown: with variables in place of secrets."""
    schema: Callable[[Route], str] = field(default=_no_file)
    """The name of a route's schema file."""

    @cached_property
    def by_name(self) -> Mapping[str, Route]:
        """The routes, in their order."""
        return {route.name: route for route in self.routes}

    @cached_property
    def users(self) -> Mapping[str, Sequence[Route]]:
        """The routes that use each profile with a name."""
        users: dict[str, list[Route]] = {}
        for route in self.routes:
            name = self.profile_name(route)
            if name is not None:
                users.setdefault(name, []).append(route)
        return users

    @cached_property
    def behind(self) -> Mapping[str, str | None]:
        """For each route the last one before it that reads a queue of its own."""
        behind: dict[str, str | None] = {}
        last: dict[str, tuple[int, str]] = {}
        for at, route in enumerate(self.routes):
            earlier = [last[queue] for queue in route.queues if queue in last]
            behind[route.name] = max(earlier)[1] if earlier else None
            last |= dict.fromkeys(route.queues, (at, route.name))
        return behind


def compare(old: Side, new: Side) -> Comparison:
    """What to tell somebody who knows the old table, so that he knows the new one."""
    changes = (*_queues(old, new), *_profiles(old, new), *_routes(old, new))
    return Comparison(changes, tuple(moves(old.routes, new.routes)))


def _queues(old: Side, new: Side) -> Iterator[Change]:
    for name in _names(old.queues, new.queues):
        before, after = old.queues.get(name), new.queues.get(name)
        if before != after:
            differences = _differences(
                [{} if queue is None else queue_values(queue) for queue in (before, after)],
                [{} if queue is None else queue_values(queue.told) for queue in (before, after)],
            )
            yield Change(_action(before, after), "queue", name, tuple(differences))


def _profiles(old: Side, new: Side) -> Iterator[Change]:
    for name in _names(old.users, new.users):
        before, after = old.users.get(name, ()), new.users.get(name, ())
        differences = tuple(_of_profiles(old, _first(before), new, _first(after)))
        if differences:
            action = _action(before or None, after or None)
            users = tuple(route.name for route in after or before)
            yield Change(action, "profile", name, differences, users)


def _routes(old: Side, new: Side) -> Iterator[Change]:
    for name in _names(old.by_name, new.by_name):
        before, after = old.by_name.get(name), new.by_name.get(name)
        differences = tuple(_of_routes(old, before, new, after))
        if differences:
            behind = new.behind[name] if before is None else None
            yield Change(_action(before, after), "route", name, differences, behind=behind)


def _of_routes(
    old: Side, before: Route | None, new: Side, after: Route | None
) -> Iterator[Difference]:
    yield from _differences(
        [{} if one is None else route_values(one, veiled=False) for one in (before, after)],
        [{} if one is None else route_values(one) for one in (before, after)],
    )
    yield from _of_schemas(old, before, new, after)
    names = [
        None if route is None else side.profile_name(route) or INLINE
        for side, route in ((old, before), (new, after))
    ]
    if names[0] != names[1]:
        yield Difference("profile", *names)
    # What is new with a shared profile is told with the profile.
    if INLINE in names or (names[0] != names[1] and None not in names):
        yield from _of_profiles(old, before, new, after)


def _of_schemas(
    old: Side, before: Route | None, new: Side, after: Route | None
) -> Iterator[Difference]:
    digests = [None if r is None or r.schema is None else r.schema.digest for r in (before, after)]
    if digests[0] == digests[1]:
        return
    files = [
        None if route is None or digest is None else side.schema(route)
        for side, route, digest in ((old, before, digests[0]), (new, after, digests[1]))
    ]
    if files[0] == files[1]:
        files = [
            f"{file} ({str(digest)[:_SHOWN_OF_DIGEST]})"
            for file, digest in zip(files, digests, strict=True)
        ]
    yield Difference("schema", *files)


def _of_profiles(
    old: Side, before: Route | None, new: Side, after: Route | None
) -> Iterator[Difference]:
    """Where the routes' profiles differ."""
    values = [
        {} if route is None else side.values(route) for side, route in ((old, before), (new, after))
    ]
    if before is not None and after is not None and before.profile.guest == after.profile.guest:
        known = [v["size"] == r.profile.size for v, r in zip(values, (before, after), strict=True)]
        if all(known):
            values[0]["size"] = values[1]["size"]  # two ways to write it
    shown = [
        {} if route is None else side.shown(route) for side, route in ((old, before), (new, after))
    ]
    yield from _differences(values, shown)


def _differences(values: Sequence[Values], shown: Sequence[Values]) -> Iterator[Difference]:
    """Where values differ, before and after: secrets are compared, and not told."""
    old, new = values
    for key in _names(old, new):
        if _meaning(key, old.get(key)) != _meaning(key, new.get(key)):
            yield Difference(key, *(one.get(key) for one in shown))


def _meaning(key: str, value: object) -> object:
    """The value without an order that means nothing."""
    if not isinstance(value, list) or not key.startswith(("app", "queue", "match.", "overrides.")):
        return value
    return _unordered(value) if key.startswith("match.") else sorted(map(json.dumps, value))


def _unordered(asked: object) -> object:
    """What a pattern asks: alternatives in one order, whatever order they are written in."""
    if isinstance(asked, dict):
        return {
            name: inner if name == "numeric" else _unordered(inner) for name, inner in asked.items()
        }
    if isinstance(asked, list):
        return sorted(json.dumps(_unordered(item), sort_keys=True) for item in asked)
    return asked


def _names(old: Mapping[str, T], new: Mapping[str, T]) -> list[str]:
    return [*new, *(name for name in old if name not in new)]


def _first(routes: Sequence[Route]) -> Route | None:
    return routes[0] if routes else None


def _action(before: object, after: object) -> Action:
    if before is None:
        return "added"
    return "removed" if after is None else "changed"

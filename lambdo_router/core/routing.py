"""
Routes, and the one function that decides where a message goes.

`decide` is pure and total: every message gets a `Routed` or a `Refused`, whatever its sender
wrote. It serves the running router and every tool, so that no tool can disagree with it.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import InitVar, dataclass, field
from typing import Literal

from lambdo_router.core.message import (
    Event,
    Message,
    NotAnEvent,
    attribute_document,
    read_event,
    system_document,
)
from lambdo_router.core.patterns import EventReader, Index, Pattern, covers
from lambdo_router.core.profile import OverrideDenied, Overrides, Profile
from lambdo_router.core.schemas import EventSchema

Policy = Literal["reject", "leave", "drop"]
Part = Literal["attributes", "body", "system"]
"""The part of a message that a pattern looks at."""
Reason = Literal[
    "not_json", "unmatched", "schema_invalid", "override_denied", "too_large", "max_attempts"
]


@dataclass(frozen=True, slots=True)
class Queue:
    """A queue of the routes file. Either `url` (queue URL or ARN) or `lookup` (SQS name) is set."""

    name: str
    url: str | None = None
    lookup: str | None = None
    region: str | None = None
    """The AWS region, if the address does not contain it; None: AWS_REGION."""
    role_arn: str | None = None
    """The IAM role to assume for this queue; None: the router's own credentials."""
    endpoint: str | None = None
    """Scheme and host of its SQS; None: AWS_ENDPOINT_URL, else AWS itself."""
    envelope: Literal["none", "sns"] = "none"
    visibility: float = 60.0
    """Seconds of a lease; renewed at half-life for everything held."""
    max_waiting: int = 1000
    """Messages held before launch; no more are received while as many wait."""
    reject_to: str | None = None
    """Name, in the same file, of the queue that rejected messages are sent to."""
    on_unmatched: Policy = "leave"
    masked: "Queue | None" = field(default=None, compare=False, repr=False)
    """The same with variables as written; None if it has none that may be secrets."""

    @property
    def public(self) -> "Queue":
        """The queue as it may be shown to people."""
        return self.masked or self


@dataclass(frozen=True, slots=True)
class Match:
    """The patterns of a route; a part that is None matches everything."""

    attributes: Pattern | None = None
    body: Pattern | None = None
    system: Pattern | None = None

    def parts(self) -> dict[Part, Pattern]:
        """Return the patterns by the part of a message that they look at."""
        parts: dict[Part, Pattern | None] = {
            "attributes": self.attributes,
            "body": self.body,
            "system": self.system,
        }
        return {part: pattern for part, pattern in parts.items() if pattern is not None}

    def covers(self, other: "Match") -> bool:
        """Return whether every message that `other` matches is certainly matched by this."""
        return (
            covers(self.attributes, other.attributes)
            and covers(self.body, other.body)
            and covers(self.system, other.system)
        )


@dataclass(frozen=True, slots=True)
class Route:
    """One entry of `routes`. Two routes are equal when they would treat every message alike."""

    name: str
    queues: tuple[str, ...]
    profile: Profile
    match: Match = Match()
    schema: EventSchema | None = None
    on_invalid: Policy = "reject"
    overrides: Overrides = Overrides()


@dataclass(frozen=True, slots=True, weakref_slot=True)
class RoutingTable:
    """
    Everything a routes file says, compiled. Shared and immutable: a reload replaces it.

    Whatever takes long to compute for thousands of routes is computed here, where the table is
    made: in a thread, and not on the event loop that swaps it in. `indexes` may be given for queues
    for which they are known, of all their routes in file order.
    """

    generation: str
    """Digest of the file, its schemas and the values of its variables."""
    queues: Mapping[str, Queue]
    routes: tuple[Route, ...]
    indexes: InitVar[Mapping[str, Index] | None] = None
    profiles: frozenset[Profile] = field(init=False, repr=False, compare=False)
    """The distinct profiles of its routes."""
    apps: tuple[str, ...] = field(init=False, repr=False, compare=False)
    """The apps of its routes, in the order of the first route of each."""
    names: Mapping[str, frozenset[str]] = field(init=False, repr=False, compare=False)
    """What is called by a name, by its kind: app, profile, queue and route."""
    ways: frozenset[tuple[str, str, str]] = field(init=False, repr=False, compare=False)
    """Every combination of queue, route and app that a message can take."""
    _by_queue: Mapping[str, tuple[Route, ...]] = field(init=False, repr=False, compare=False)
    _by_profile: Mapping[Profile, tuple[Route, ...]] = field(init=False, repr=False, compare=False)
    _profiles: Mapping[str, tuple[Profile, ...]] = field(init=False, repr=False, compare=False)
    _sharers: Mapping[str, int] = field(init=False, repr=False, compare=False)
    _indexes: Mapping[str, Index] = field(init=False, repr=False, compare=False)

    def __post_init__(self, indexes: Mapping[str, Index] | None) -> None:
        known = indexes or {}
        by_queue: dict[str, list[Route]] = {name: [] for name in self.queues}
        for route in self.routes:
            for name in route.queues:
                by_queue[name].append(route)
        profiles = frozenset(route.profile for route in self.routes)
        apps = tuple(dict.fromkeys(app for route in self.routes for app in route.profile.apps))
        found = {
            "profiles": profiles,
            "apps": apps,
            "names": {
                "app": frozenset(apps),
                "profile": frozenset(profile.name for profile in profiles),
                "queue": frozenset(self.queues),
                "route": frozenset(route.name for route in self.routes),
            },
            "ways": frozenset(
                (n, r.name, app) for r in self.routes for n in r.queues for app in r.profile.apps
            ),
            "_by_queue": {n: tuple(routes) for n, routes in by_queue.items()},
            "_by_profile": _by_profile(self.routes),
            "_profiles": {
                n: tuple(dict.fromkeys(route.profile for route in routes))
                for n, routes in by_queue.items()
            },
            "_sharers": {n: _sharers(routes) for n, routes in by_queue.items()},
            "_indexes": {
                name: known.get(name) or Index(route.match.parts().items() for route in routes)
                for name, routes in by_queue.items()
            },
        }
        for name, value in found.items():
            object.__setattr__(self, name, value)

    def routes_of(self, queue: str) -> tuple[Route, ...]:
        """Return the routes that read this queue, in file order."""
        return self._by_queue.get(queue, ())

    def profiles_of(self, queue: str) -> tuple[Profile, ...]:
        """Return the distinct profiles of the routes that read this queue."""
        return self._profiles.get(queue, ())

    def sharers_of(self, queue: str) -> int:
        """
        Return how many shares `max_waiting` of this queue has.

        One for each of its profiles, and another for each profile that senders may override.
        """
        return self._sharers.get(queue, 0)

    def routes_with(self, profile: Profile) -> tuple[Route, ...]:
        """Return the routes that launch this profile, given as `within` one of its apps."""
        return self._by_profile.get(profile, ())

    def index_of(self, queue: str) -> Index:
        """Return an index of `routes_of` this queue by position. KeyError without such a queue."""
        return self._indexes[queue]

    def candidates(self, queue: str, reader_of: Callable[[str], EventReader]) -> Iterable[Route]:
        """
        Return the routes of this queue that a message may match, in file order.

        `reader_of` gives, for each part of a `match`, what the patterns there look at.
        """
        routes = self.routes_of(queue)
        if not routes:
            return ()
        return map(routes.__getitem__, self._indexes[queue].candidates(reader_of))

    def sources(self) -> tuple[Queue, ...]:
        """Return the queues that a route reads; the others are only written to."""
        return tuple(queue for name, queue in self.queues.items() if self._by_queue[name])


def _sharers(routes: Collection[Route]) -> int:
    as_written = {route.profile.name for route in routes}
    overridden = {route.profile.name for route in routes if route.overrides != Overrides()}
    return len(as_written) + len(overridden)


def _by_profile(routes: Iterable[Route]) -> dict[Profile, tuple[Route, ...]]:
    found: dict[Profile, list[Route]] = {}
    for route in routes:
        for app in route.profile.apps:
            found.setdefault(route.profile.within(app), []).append(route)
    return {profile: tuple(sharing) for profile, sharing in found.items()}


@dataclass(frozen=True, slots=True)
class Considered:
    """A route that a message did not take, and the first reason."""

    route: str
    why: str
    part: Part | Literal[""] = ""
    """The pattern of the route's `match` that failed."""
    path: tuple[str | int, ...] = ()
    """Keys and list indexes in that pattern, as written, of the condition that failed."""


@dataclass(frozen=True, slots=True)
class Routed:
    """The message takes `route`, and becomes part of a Machine made from `profile`."""

    route: Route
    profile: Profile
    """The route's profile with the sender's overrides in it."""
    event: Event
    considered: tuple[Considered, ...] = ()


@dataclass(frozen=True, slots=True)
class Refused:
    """The message does not become part of a batch; `policy` decides what happens instead."""

    reason: Reason
    detail: str
    policy: Policy
    route: Route | None = None
    considered: tuple[Considered, ...] = ()


Decision = Routed | Refused


def decide(
    table: RoutingTable, queue: Queue, message: Message, *, record: bool = False
) -> Decision:
    """
    Return where this message goes: the first route of its queue, in file order, that it matches.

    With `record` the decision also carries why each earlier route did not match.
    """
    try:
        event = read_event(message, queue.envelope)
    except NotAnEvent as problem:
        return Refused("not_json", str(problem), _reject_or_leave(queue))
    documents = _Documents(event, message)
    considered: list[Considered] = []
    routes = table.routes_of(queue.name)
    # `explain` needs a reason for every route, so it bypasses the index.
    for route in routes if record else table.candidates(queue.name, documents.of):
        if _matches(route.match, documents):
            return _admit(route, queue, event, tuple(considered))
        if record:
            considered.append(_considered(route, documents))
    return Refused("unmatched", "no route matches", queue.on_unmatched, None, tuple(considered))


class _Documents:
    """The documents of a message that patterns read, each made when it is first needed."""

    __slots__ = ("_event", "_message", "_readers")

    def __init__(self, event: Event, message: Message) -> None:
        self._event = event
        self._message = message
        self._readers: dict[str, EventReader] = {}

    def of(self, part: str) -> EventReader:
        """Return the document that patterns of this part of a `match` read."""
        reader = self._readers.get(part)
        if reader is None:
            reader = self._readers[part] = EventReader(self._document(part))
        return reader

    def _document(self, part: str) -> dict[str, object]:
        match part:
            case "attributes":
                return attribute_document(self._event.attributes)
            case "system":
                return system_document(self._message.system)
            case _:
                return self._event.value


def _matches(match: Match, documents: _Documents) -> bool:
    return (
        (match.attributes is None or match.attributes.matches(documents.of("attributes")))
        and (match.body is None or match.body.matches(documents.of("body")))
        and (match.system is None or match.system.matches(documents.of("system")))
    )


def _considered(route: Route, documents: _Documents) -> Considered:
    for part, pattern in route.match.parts().items():
        if (unmet := pattern.first_unmet(documents.of(part))) is not None:
            return Considered(route.name, f"{part}.{unmet.text}", part, unmet.path)
    return Considered(route.name, "it matches")


def _admit(
    route: Route, queue: Queue, event: Event, considered: tuple[Considered, ...]
) -> Decision:
    if route.schema is not None and (problems := route.schema.problems(event.value)):
        detail = "; ".join(problems)
        return Refused(
            "schema_invalid", detail, _possible(route.on_invalid, queue), route, considered
        )
    try:
        profile = route.overrides.apply(route.profile, event.attributes)
    except OverrideDenied as denied:
        return Refused("override_denied", str(denied), _reject_or_leave(queue), route, considered)
    return Routed(route, profile, event, considered)


def _possible(policy: Policy, queue: Queue) -> Policy:
    """Replace `reject` by `leave` if the queue has nowhere to send rejected messages."""
    return "leave" if policy == "reject" and queue.reject_to is None else policy


def _reject_or_leave(queue: Queue) -> Policy:
    return _possible("reject", queue)

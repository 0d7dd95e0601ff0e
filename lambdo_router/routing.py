"""
Routes, and the one function that decides where a message goes.

`decide` is pure and total: every message gets a `Routed` or a `Refused`, whatever its sender
wrote. It serves the running router and every tool, so that no tool can disagree with it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from lambdo_router.events import (
    Event,
    Message,
    NotAnEvent,
    attribute_document,
    read_event,
    system_document,
)
from lambdo_router.patterns import Pattern
from lambdo_router.profiles import OverrideDenied, Overrides, Profile
from lambdo_router.schemas import EventSchema

Policy = Literal["reject", "leave", "drop"]
Reason = Literal[
    "not_json", "unmatched", "schema_invalid", "override_denied", "too_large", "max_attempts"
]


@dataclass(frozen=True, slots=True)
class Queue:
    """A queue of the routes file. Either `url` (queue URL or ARN) or `lookup` (SQS name) is set."""

    name: str
    url: str | None = None
    lookup: str | None = None
    envelope: Literal["none", "sns"] = "none"
    visibility: float = 60.0
    """Seconds of a lease; renewed at half-life for everything held."""
    max_waiting: int = 1000
    """Messages held before launch; no more are received while as many wait."""
    reject_to: str | None = None
    """Name, in the same file, of the queue that rejected messages are sent to."""
    on_unmatched: Policy = "leave"


@dataclass(frozen=True, slots=True)
class Match:
    """What a route asks of a message; a part that is None asks nothing."""

    attributes: Pattern | None = None
    body: Pattern | None = None
    system: Pattern | None = None


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


@dataclass(frozen=True, slots=True)
class RoutingTable:
    """All that a routes file says, compiled. Shared and never changed: a reload replaces it."""

    generation: str
    """Digest of the file, its schemas and the values of its variables."""
    queues: Mapping[str, Queue]
    routes: tuple[Route, ...]
    _by_queue: Mapping[str, tuple[Route, ...]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        by_queue: dict[str, list[Route]] = {name: [] for name in self.queues}
        for route in self.routes:
            for name in route.queues:
                by_queue[name].append(route)
        object.__setattr__(self, "_by_queue", {n: tuple(r) for n, r in by_queue.items()})

    def routes_of(self, queue: str) -> tuple[Route, ...]:
        """The routes that read this queue, in file order."""
        return self._by_queue.get(queue, ())

    def sources(self) -> tuple[Queue, ...]:
        """The queues that some route reads; the others are only written to."""
        return tuple(queue for name, queue in self.queues.items() if self._by_queue[name])


@dataclass(frozen=True, slots=True)
class Considered:
    """A route that a message did not take, and the first reason why."""

    route: str
    why: str


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
    """The message does not become part of a batch; `policy` says what happens to it instead."""

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
    Where this message goes: the first route of its queue, in file order, that it matches.

    With `record` the decision also carries why each earlier route did not match.
    """
    try:
        event = read_event(message, queue.envelope)
    except NotAnEvent as problem:
        return Refused("not_json", str(problem), _reject_or_leave(queue))
    attributes = attribute_document(event.attributes)
    considered: list[Considered] = []
    for route in table.routes_of(queue.name):
        if _matches(route.match, attributes, event, message):
            return _admit(route, queue, event, tuple(considered))
        if record:
            why = _why_not(route.match, attributes, event, message)
            considered.append(Considered(route.name, why))
    return Refused("unmatched", "no route matches", queue.on_unmatched, None, tuple(considered))


def _matches(
    match: Match, attributes: Mapping[str, object], event: Event, message: Message
) -> bool:
    return (
        (match.attributes is None or match.attributes.matches(attributes))
        and (match.body is None or match.body.matches(event.value))
        and (match.system is None or match.system.matches(system_document(message.system)))
    )


def _why_not(match: Match, attributes: Mapping[str, object], event: Event, message: Message) -> str:
    documents = (
        ("attributes", match.attributes, attributes),
        ("body", match.body, event.value),
        ("system", match.system, system_document(message.system)),
    )
    for part, pattern, document in documents:
        if pattern is not None and (why := pattern.why_not(document)) is not None:
            return f"{part}.{why}"
    return "it matches"


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
    """`reject` needs somewhere to send the message to; without it the redrive policy decides."""
    return "leave" if policy == "reject" and queue.reject_to is None else policy


def _reject_or_leave(queue: Queue) -> Policy:
    return _possible("reject", queue)

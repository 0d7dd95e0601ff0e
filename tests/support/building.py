"""Short ways to the values that many tests start from."""

from collections.abc import Mapping
from typing import Any

from lambdo_router.core.batch import BatchKey, Entry
from lambdo_router.core.machine import entry_of
from lambdo_router.core.message import Attribute, Event, Message
from lambdo_router.core.profile import SIZES, Profile
from lambdo_router.core.routing import Queue, Route, RoutingTable


def text(value: str) -> Attribute:
    return Attribute("String", value)


def message(
    message_id: str = "m1",
    body: str = "{}",
    *,
    attributes: Mapping[str, Attribute] | None = None,
    receives: int = 1,
    receipt: str | None = None,
    system: Mapping[str, str] | None = None,
) -> Message:
    return Message(
        id=message_id,
        receipt=receipt or f"{message_id}#{receives}",
        body=body,
        attributes=attributes or {},
        system={
            "ApproximateReceiveCount": str(receives),
            "SentTimestamp": "1700000000123",
            **(system or {}),
        },
    )


def profile(**changes: Any) -> Profile:
    size = changes.pop("size", "shared-cpu-1x")
    standard: dict[str, Any] = {
        "name": "worker",
        "app": "jobs",
        "image": "registry.fly.io/jobs:1",
        "size": size,
        "guest": SIZES[size].guest,
    }
    return Profile(**(standard | changes))


def route(name: str = "orders", *, queues: tuple[str, ...] = ("q",), **changes: Any) -> Route:
    changes.setdefault("profile", profile())
    return Route(name=name, queues=queues, **changes)


def table(
    *routes: Route, queues: tuple[Queue, ...] = (Queue("q", url="q"),), generation: str = "g1"
) -> RoutingTable:
    return RoutingTable(generation, {queue.name: queue for queue in queues}, routes)


def key(**changes: Any) -> BatchKey:
    made = profile(**changes)
    return BatchKey("q", route(profile=made), made)


def entry(message_id: str = "m1", body: str = "{}", *, receives: int = 1) -> Entry:
    made = message(message_id, body, receives=receives)
    return entry_of(made, Event(body, {}, {}))

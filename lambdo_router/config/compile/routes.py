"""
From the `routes` of a routes file to `Route` values.

Queues and profiles are known by now. A route refers to them, and adds what only a route has:
patterns, the event's schema, and what a sender may choose.
"""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from lambdo_router.config.compile.layers import Layer, on_top, read_layer
from lambdo_router.config.compile.matches import read_match
from lambdo_router.config.compile.overrides import read_overrides
from lambdo_router.config.compile.profiles import (
    DEFAULT_BATCH_SIZE,
    Fallbacks,
    check_memory,
    complete,
    inherit,
    unknown_profile,
)
from lambdo_router.config.compile.queues import as_policy, nowhere_to_reject, unknown_queue
from lambdo_router.config.read.document import Path
from lambdo_router.config.read.draft import Draft
from lambdo_router.config.read.nodes import Section, known
from lambdo_router.core.batch import BatchKey
from lambdo_router.core.machine import room_for_entries
from lambdo_router.core.profile import Profile
from lambdo_router.core.routing import Policy, Queue, Route
from lambdo_router.core.schemas import EventSchema

_LEAST_ROOM = 1024
"""Bytes of a create request that must be left for events."""
_SURELY_FITS = 100_000
"""Characters that, however they are encoded, leave more room than that."""


@dataclass(slots=True)
class RouteCompiler:
    """Compiles the routes of one draft."""

    draft: Draft
    queues: Mapping[str, Queue]
    layers: Mapping[str, Layer]
    """Profiles by name, and the defaults under the empty name."""
    fallbacks: Fallbacks
    read_schema: Callable[[Draft, Path, str], EventSchema | None]
    """Compiles the schema file that the text at a path names; None if that is invalid."""
    route_layers: list[Layer] = field(default_factory=list)
    """What the profile of each compiled route is made of."""
    _completed: dict[str, Profile] = field(default_factory=dict)
    _named: dict[str, Path] = field(default_factory=dict)
    """Where each name of a route was first written."""

    def route(self, section: Section) -> Route:
        """Return the route, as far as it is valid."""
        name, layer = self._name(section), self._layer(section)
        self.route_layers.append(layer)
        queues = self._queues(section)
        route = Route(
            name=name,
            queues=queues,
            profile=self._profile(section, layer, name),
            match=read_match(section),
            schema=self._schema(section),
            on_invalid=self._on_invalid(section, queues),
            overrides=read_overrides(section),
        )
        self._check_image(section, layer)
        for queue in queues:
            self._check_batch_size(layer, self.queues[queue])
            self._check_max_attempts(layer, queue)
        self._check_room(section, route, layer)
        return route

    def _name(self, section: Section) -> str:
        node = section.text("name")
        if node is None or node.value is None:
            return ""
        first = self._named.setdefault(node.value, node.path)
        if first != node.path:
            line = self.draft.line(first, seen_from=node.path)
            what = f"a route in {line} is already called {self.draft.quoted(node.path)}"
            related = [self.draft.related(first, "the first route of that name")]
            node.report("duplicate-route", what, "route names are unique", related=related)
        return sys.intern(node.value)  # a reload compares the names of thousands with themselves

    def _queues(self, section: Section) -> tuple[str, ...]:
        value, at = section.get("queue"), section.at("queue")
        several = enumerate(value) if isinstance(value, list) else ()
        found: list[str] = []
        for path, name in [((*at, index), one) for index, one in several] or [(at, value)]:
            if isinstance(name, str) and self.draft.is_known(path):
                if name in self.queues:
                    found.append(name)
                else:
                    unknown_queue(self.draft, path, name)
        return tuple(dict.fromkeys(found))

    def _layer(self, section: Section) -> Layer:
        """Return the route's profile, with all that it inherits."""
        if isinstance(section.get("profile"), dict):
            inline = section.section("profile")
            layer = on_top(read_layer(inline), inherit(inline, self.layers))
            check_memory(self.draft, layer)
            return layer
        node = section.text("profile")
        if node is not None and node.value is not None:
            if node.value and node.value in self.layers:
                return self.layers[node.value]
            unknown_profile(self.draft, node.path, node.value)
        return Layer(partial=True)

    def _profile(self, section: Section, layer: Layer, route: str) -> Profile:
        name = section.raw("profile")
        if name is None or name not in self.layers:
            return complete(self.draft, layer, route, section.at("profile"), self.fallbacks)
        if name not in self._completed:
            place: Path = ("profiles", name)
            self._completed[name] = complete(self.draft, layer, name, place, self.fallbacks)
        return self._completed[name]

    def _schema(self, section: Section) -> EventSchema | None:
        node = section.text("schema")
        if node is None:
            if (policy := section.text("on_invalid")) is not None:
                what = "`on_invalid` has no effect without a `schema`"
                policy.warning("no-effect", what, "remove it, or name a schema")
            return None
        return None if node.value is None else self.read_schema(self.draft, node.path, node.value)

    def _on_invalid(self, section: Section, queues: tuple[str, ...]) -> Policy:
        node = section.text("on_invalid")
        if node is not None and node.value == "reject":
            for queue in queues:
                if not self._has_reject_queue(queue):
                    nowhere_to_reject(node, f"queue `{queue}`")
        return as_policy(known(node, "reject"))

    def _has_reject_queue(self, queue: str) -> bool:
        return self.draft.is_written(("queues", queue, "reject_to"))

    def _check_image(self, section: Section, layer: Layer) -> None:
        named_by_sender = self.draft.is_written(section.at("overrides", "image"))
        if "image" not in layer and not layer["partial"] and not named_by_sender:
            self.draft.problem(
                section.at("profile"),
                "no-image",
                f"the profile of {section.describe()} has no `image`",
                hint="write one, or let senders name it with `overrides: {image: [...]}`",
            )

    def _check_batch_size(self, layer: Layer, queue: Queue) -> None:
        node = layer.get("batch_size")
        size = known(node, DEFAULT_BATCH_SIZE)
        if size <= queue.max_waiting:
            return
        limit = f"the `max_waiting` of queue `{queue.name}`, which is {queue.max_waiting}"
        if node is not None:
            what = f"`batch_size` is {size}, more than {limit}"
            hint = "such a batch could never fill; write a smaller one, or a larger `max_waiting`"
            node.report("batch-never-fills", what, hint)
            return
        what = f"the default `batch_size` of {size} is more than {limit}"
        hint = "write a larger one, or a smaller `batch_size` in the profile"
        path: Path = ("queues", queue.name, "max_waiting")
        self.draft.problem(path, "batch-never-fills", what, hint=hint)

    def _check_max_attempts(self, layer: Layer, queue: str) -> None:
        node = layer.get("max_attempts")
        if node is not None and node.value is not None and not self._has_reject_queue(queue):
            what = f"`max_attempts` has no effect for queue `{queue}`, which has no `reject_to`"
            node.warning("no-effect", what, "name the queue that rejected messages go to")

    def _check_room(self, section: Section, route: Route, layer: Layer) -> None:
        profile = route.profile
        size = len(profile.machine) + len(str(profile.env)) + len(str(profile.command))
        if layer["partial"] or not route.queues or size < _SURELY_FITS:
            return
        longest = max(route.queues, key=len)
        room = room_for_entries(BatchKey(longest, route, profile))
        if room < _LEAST_ROOM:
            self.draft.problem(
                section.at("profile"),
                "no-room-for-events",
                "the `env`, `command` and `machine` of this profile fill Fly's create request",
                hint=f"there are {max(0, room)} bytes left for events; make them smaller",
            )

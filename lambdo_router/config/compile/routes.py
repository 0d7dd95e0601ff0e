"""
From the `routes` of a routes file to `Route` values.

By now the queues and profiles are known. A route refers to them, and carries what only a route
has: patterns, the event's schema, and what a sender may choose.
"""

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
from lambdo_router.config.compile.queues import as_policy, unknown_queue
from lambdo_router.config.read.document import Path
from lambdo_router.config.read.draft import Draft, Section, known
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
    """Compiles the routes of one draft; what is wrong is noted there."""

    draft: Draft
    queues: Mapping[str, Queue]
    layers: Mapping[str, Layer]
    """Profiles by name, and the defaults under the empty name."""
    fallbacks: Fallbacks
    read_schema: Callable[[Path, str], EventSchema | None]
    """Compiles the schema file that the text at a path names; None if that is not good."""
    route_layers: list[Layer] = field(default_factory=list)
    """Of each route that was compiled, what its profile is made of."""
    _completed: dict[str, Profile] = field(default_factory=dict)
    _named: dict[str, Path] = field(default_factory=dict)
    """Where each name of a route was first written."""

    def compile(self) -> tuple[Route, ...]:
        """Every route in the order of the file, as far as it is sound."""
        return tuple(self._route(section) for section in self.draft.routes())

    def _route(self, section: Section) -> Route:
        name = self._name(section)
        layer = self._layer(section)
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
            self._check_max_attempts(layer, self.queues[queue])
        self._check_room(section, route, layer)
        return route

    def _name(self, section: Section) -> str:
        written = section.text("name")
        if written is None or written.value is None:
            return ""
        first = self._named.setdefault(written.value, written.path)
        if first != written.path:
            line = self.draft.line(first, seen_from=written.path)
            self.draft.problem(
                written.path,
                "duplicate-route",
                f"a route in {line} is called {self.draft.quoted(written.path)} already",
                hint="the name of a route is unique",
                related=[self.draft.related(first, "the first route of that name")],
            )
        return written.value

    def _queues(self, section: Section) -> tuple[str, ...]:
        value, at = section.value.get("queue"), section.at("queue")
        if isinstance(value, list):
            named = [((*at, index), name) for index, name in enumerate(value)]
        else:
            named = [(at, value)]
        found: list[str] = []
        for path, name in named:
            if not isinstance(name, str) or not self.draft.is_known(path):
                continue
            if name in self.queues:
                found.append(name)
            else:
                unknown_queue(self.draft, path, name)
        return tuple(dict.fromkeys(found))

    def _layer(self, section: Section) -> Layer:
        """The route's profile, with all that it inherits."""
        inline = self.draft.section(*section.at("profile"))
        if isinstance(section.value.get("profile"), dict):
            layer = on_top(read_layer(inline), inherit(inline, self.layers))
            check_memory(self.draft, layer)
            return layer
        written = section.text("profile")
        if written is None or written.value is None:
            return Layer(partial=True)
        if written.value and written.value in self.layers:
            return self.layers[written.value]
        unknown_profile(self.draft, written.path, written.value)
        return Layer(partial=True)

    def _profile(self, section: Section, layer: Layer, route: str) -> Profile:
        name = section.value.get("profile")
        if not isinstance(name, str) or name not in self.layers:
            return complete(self.draft, layer, route, section.at("profile"), self.fallbacks)
        if name not in self._completed:
            place: Path = ("profiles", name)
            self._completed[name] = complete(self.draft, layer, name, place, self.fallbacks)
        return self._completed[name]

    def _schema(self, section: Section) -> EventSchema | None:
        written = section.text("schema")
        if written is None:
            if (policy := section.text("on_invalid")) is not None:
                what = "`on_invalid` has no effect without a `schema`"
                self.draft.warning(
                    policy.path, "no-effect", what, hint="remove it, or name a schema"
                )
            return None
        return None if written.value is None else self.read_schema(written.path, written.value)

    def _on_invalid(self, section: Section, queues: tuple[str, ...]) -> Policy:
        written = section.text("on_invalid")
        policy = as_policy(known(written, "reject"))
        if written is not None and written.value == "reject":
            for queue in queues:
                if not self.draft.is_written(("queues", queue, "reject_to")):
                    self.draft.problem(
                        written.path,
                        "nowhere-to-reject",
                        f"queue `{queue}` has no `reject_to`",
                        hint="name the queue that rejected messages go to, or write leave or drop",
                    )
        return policy

    def _check_image(self, section: Section, layer: Layer) -> None:
        named_by_sender = self.draft.is_written(section.at("overrides", "image"))
        if layer.image is None and not layer.partial and not named_by_sender:
            self.draft.problem(
                section.at("profile"),
                "no-image",
                f"the profile of {self.draft.describe(section.path)} has no `image`",
                hint="write one, or let senders name it with `overrides: {image: [...]}`",
            )

    def _check_batch_size(self, layer: Layer, queue: Queue) -> None:
        size = known(layer.batch_size, DEFAULT_BATCH_SIZE)
        if size <= queue.max_waiting:
            return
        limit = f"the `max_waiting` of queue `{queue.name}`, which is {queue.max_waiting}"
        if layer.batch_size is not None:
            what = f"`batch_size` is {size}, more than {limit}"
            hint = "such a batch could never fill; write a smaller one, or a larger `max_waiting`"
            self.draft.problem(layer.batch_size.path, "batch-never-fills", what, hint=hint)
            return
        what = f"the usual `batch_size` of {size} is more than {limit}"
        hint = "write a larger one, or a smaller `batch_size` in the profile"
        path: Path = ("queues", queue.name, "max_waiting")
        self.draft.problem(path, "batch-never-fills", what, hint=hint)

    def _check_max_attempts(self, layer: Layer, queue: Queue) -> None:
        written = layer.max_attempts
        has_target = self.draft.is_written(("queues", queue.name, "reject_to"))
        if written is None or written.value is None or has_target:
            return
        self.draft.warning(
            written.path,
            "no-effect",
            f"`max_attempts` has no effect for queue `{queue.name}`, which has no `reject_to`",
            hint="name the queue that rejected messages go to",
        )

    def _check_room(self, section: Section, route: Route, layer: Layer) -> None:
        profile = route.profile
        size = len(profile.machine) + len(str(profile.env)) + len(str(profile.command))
        if layer.partial or not route.queues or size < _SURELY_FITS:
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

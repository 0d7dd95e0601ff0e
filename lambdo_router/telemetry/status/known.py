"""What is known of the queues, routes and apps that the table in use names."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from lambdo_router.core.profile import Profile
from lambdo_router.core.routing import Route, RoutingTable
from lambdo_router.telemetry.status.status import Trouble
from lambdo_router.telemetry.status.tracks import AppTrack, QueueTrack, RouteTrack


@dataclass(slots=True)
class Known:
    """The tracks, by name; those of another table go with it."""

    table: RoutingTable | None = None
    queues: dict[str, QueueTrack] = field(default_factory=dict)
    routes: dict[str, RouteTrack] = field(default_factory=dict)
    """In the order of the file."""
    apps: dict[str, AppTrack] = field(default_factory=dict)
    sends: dict[str, Trouble] = field(default_factory=dict)
    """Reject queues that take nothing."""

    def sign(self, route: str, now: float) -> RouteTrack | None:
        """Something happens with a route; None if it is of an earlier table."""
        track = self.routes.get(route)
        if track is not None:
            track.sign(now)
        return track

    def sharing(self, track: RouteTrack | None, profile: Profile) -> list[RouteTrack]:
        """The routes whose batches wait for the same profile, and the one that launches now."""
        routes = self.table.routes_with(profile) if self.table is not None else ()
        sharing = [self.routes[route.name] for route in routes]
        return sharing if track is None or track in sharing else [track, *sharing]

    def adopt(self, table: RoutingTable, places: Mapping[str, str], now: float) -> None:
        """Go over to another table; what is still the same keeps its memory."""
        self.table = table
        sources = [queue.name for queue in table.sources()]
        kept = {name: self.queues.get(name) or QueueTrack(name, now) for name in sources}
        for track in kept.values():
            track.leaving_since = None
        # One that was never reached has nothing to drain, and no end to tell of.
        leaving = {n: t for n, t in self.queues.items() if n not in kept and t.readers}
        for track in leaving.values():
            track.leaving_since = track.leaving_since or now
        self.queues = {**kept, **leaving}
        self.routes = {r.name: self._track_of(r, places, now) for r in table.routes}
        apps = dict.fromkeys(app for route in table.routes for app in route.profile.apps)
        self.apps = {name: self.apps.get(name) or AppTrack(name) for name in apps}
        self.sends = {name: t for name, t in self.sends.items() if name in table.queues}

    def leave(self, now: float) -> None:
        """The router stops: every queue is drained."""
        for track in self.queues.values():
            track.leaving_since = track.leaving_since or now

    def _track_of(self, route: Route, places: Mapping[str, str], now: float) -> RouteTrack:
        place, before = places.get(route.name, ""), self.routes.get(route.name)
        if before is None:
            return RouteTrack(route, place, now)
        # Perhaps it was mended. Routes are compared only then: 10,000 of them take 0.07 s.
        if (before.launch is not None or before.run is not None) and before.route != route:
            before.launch_works(now)
            before.run_works(now)
        before.route, before.place = route, place
        return before

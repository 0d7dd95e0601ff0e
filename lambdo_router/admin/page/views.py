"""
What the page shows of a status, where that is not one of its values: sums, and what goes together.

Pure. A router may have thousands of routes; the page shows those that matter most, and says so.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lambdo_router.telemetry.status import BatchStatus, QueueStatus, RouteStatus, Status, Trouble

_Group = tuple[tuple[str, ...], str]
"""Apps and profile."""
_RECENT = 12
"""Batches of a profile whose ends are shown."""


@dataclass(frozen=True, slots=True)
class Figures:
    """The whole in numbers."""

    received: int
    """Messages in the last minute."""
    done: int
    """Messages that were deleted in the last minute."""
    waiting: int
    """Messages that are in no Machine yet."""
    running: int
    launching: int
    missed: int
    """Launches and Machines that failed in the last minute."""


@dataclass(frozen=True, slots=True)
class RecentBatch:
    """A batch of late, in a word."""

    state: str
    event_count: int


@dataclass(frozen=True, slots=True)
class MachineGroup:
    """The Machines of one profile, in all its apps."""

    key: str
    apps: tuple[str, ...]
    profile: str
    """Empty where Fly's metadata names none."""
    running: int
    launching: int
    launches: int
    """In the last minute."""
    trouble: Trouble | None
    recent: tuple[RecentBatch, ...]
    """The newest at the end."""


def end_of(batch: BatchStatus) -> str:
    """How it ended, or how far it is; `trying_again` where its launch has failed before."""
    if batch.state == "launching" and batch.failure:
        return "trying_again"
    return batch.state


def figures(status: Status) -> Figures:
    """The sums over all queues, routes and Machines."""
    return Figures(
        received=_sum(status.queues, "received"),
        done=_sum(status.queues, "deleted"),
        waiting=sum(queue.waiting for queue in status.queues),
        running=sum(level.running for level in status.machines),
        launching=sum(level.launching for level in status.machines),
        missed=_sum(status.routes, "launch_failures") + _sum(status.routes, "failed"),
    )


def _sum(tracks: Iterable[QueueStatus | RouteStatus], name: str) -> int:
    return sum(track.last_minute.get(name, 0) for track in tracks)


def group_key(apps: Iterable[str], profile: str) -> str:
    """What the Machines of a route belong to."""
    return f"{','.join(apps)}/{profile}"


def machine_groups(status: Status, routes: Iterable[RouteStatus]) -> tuple[MachineGroup, ...]:
    """Those that these routes launch, in their order, then any others that run."""
    wanted: dict[_Group, list[RouteStatus]] = {}
    for route in routes:
        wanted.setdefault((route.apps, route.profile), []).append(route)
    known = {(app, route.profile) for route in status.routes for app in route.apps}
    for level in status.machines:
        if (level.app, level.profile) not in known:
            wanted.setdefault(((level.app,), level.profile), [])
    return tuple(_machine_group(status, group, of) for group, of in wanted.items())


def _machine_group(status: Status, group: _Group, routes: Sequence[RouteStatus]) -> MachineGroup:
    apps, profile = group
    levels = [it for it in status.machines if it.profile == profile and it.app in apps]
    batches = [it for it in status.batches if it.profile == profile and it.app in apps]
    return MachineGroup(
        key=group_key(apps, profile),
        apps=apps,
        profile=profile,
        running=sum(level.running for level in levels),
        launching=sum(level.launching for level in levels),
        launches=_sum(routes, "launches"),
        trouble=next((route.trouble for route in routes if _does_not_launch(route)), None),
        recent=tuple(
            RecentBatch(end_of(batch), batch.event_count) for batch in reversed(batches[:_RECENT])
        ),
    )


def _does_not_launch(route: RouteStatus) -> bool:
    return route.state == "failing" and route.trouble is not None and route.trouble.what == "launch"


def foremost_routes(routes: Sequence[RouteStatus], most: int) -> tuple[RouteStatus, ...]:
    """At most so many, in their order: those that fail, then those with most to do."""
    if len(routes) <= most:
        return tuple(routes)
    ranked = sorted(
        range(len(routes)),
        key=lambda place: (
            routes[place].state != "failing",
            -routes[place].last_minute.get("routed", 0),
            routes[place].state == "idle",
            place,
        ),
    )
    return tuple(routes[place] for place in sorted(ranked[:most]))


def foremost_queues(queues: Sequence[QueueStatus], most: int) -> tuple[QueueStatus, ...]:
    """At most so many, in their order: those that fail, then those with most to do."""
    if len(queues) <= most:
        return tuple(queues)
    ranked = sorted(
        range(len(queues)),
        key=lambda place: (
            queues[place].trouble is None,
            -queues[place].last_minute.get("received", 0),
            place,
        ),
    )
    return tuple(queues[place] for place in sorted(ranked[:most]))

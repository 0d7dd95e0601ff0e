"""
What the page shows of a status, where that is not one of its values: sums, and what goes together.

Pure. A router may have thousands of routes; the page shows those that matter most, and says so.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from lambdo_router.overview import BatchStatus, QueueStatus, RouteStatus, Status, Trouble

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
    """The Machines of one app and profile."""

    key: str
    app: str
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


def group_key(app: str, profile: str) -> str:
    """What the Machines of a route belong to."""
    return f"{app}/{profile}"


def machine_groups(status: Status, routes: Iterable[RouteStatus]) -> tuple[MachineGroup, ...]:
    """Those that these routes launch, in their order, then any others that run."""
    levels = {(level.app, level.profile): level for level in status.machines}
    wanted: dict[tuple[str, str], list[RouteStatus]] = {}
    for route in routes:
        wanted.setdefault((route.app, route.profile), []).append(route)
    known = {(route.app, route.profile) for route in status.routes}
    for other in levels:
        if other not in known:
            wanted.setdefault(other, [])
    recent = _recent(status.batches)
    return tuple(
        MachineGroup(
            key=group_key(app, profile),
            app=app,
            profile=profile,
            running=level.running if (level := levels.get((app, profile))) else 0,
            launching=level.launching if level else 0,
            launches=_sum(of, "launches"),
            trouble=next((route.trouble for route in of if _does_not_launch(route)), None),
            recent=tuple(reversed(recent.get((app, profile), []))),
        )
        for (app, profile), of in wanted.items()
    )


def _does_not_launch(route: RouteStatus) -> bool:
    return route.state == "failing" and route.trouble is not None and route.trouble.what == "launch"


def _recent(newest_first: Iterable[BatchStatus]) -> Mapping[tuple[str, str], list[RecentBatch]]:
    found: dict[tuple[str, str], list[RecentBatch]] = {}
    for batch in newest_first:
        of = found.setdefault((batch.app, batch.profile), [])
        if len(of) < _RECENT:
            of.append(RecentBatch(end_of(batch), batch.event_count))
    return found


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

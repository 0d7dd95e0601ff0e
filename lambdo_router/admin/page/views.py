"""What the page shows of a status that is not one of its values: sums, groups, and advice."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from lambdo_router.telemetry.status import (
    AppStatus,
    BatchStatus,
    Concern,
    QueueStatus,
    RouteStatus,
    Status,
    Trouble,
)

_RECENT = 12
"""How many batches of a profile are shown on its card."""
_KINDS = {
    "router": "The router",
    "queue": "Queue",
    "route": "Route",
    "app": "Fly app",
    "reload": "The routes file",
}
_NAMED = ("queue", "route", "app")
"""Kinds of which there are several."""

_Track = TypeVar("_Track", QueueStatus, RouteStatus)


@dataclass(frozen=True, slots=True)
class MachineGroup:
    """The Machines of one profile, in all its apps."""

    apps: tuple[str, ...]
    profile: str
    """Empty where Fly's metadata names none."""
    running: int
    launching: int
    launches: int
    """In the last minute."""
    trouble: Trouble | None
    recent: tuple[BatchStatus, ...]
    """The newest last."""

    @property
    def key(self) -> str:
        """What the cards of its routes refer to."""
        return group_key(self.apps, self.profile)


def group_key(apps: Iterable[str], profile: str) -> str:
    """Return the key of the group that a route's Machines belong to."""
    return f"{','.join(apps)}/{profile}"


def machine_groups(status: Status, routes: Iterable[RouteStatus]) -> Iterator[MachineGroup]:
    """Yield the groups that these routes launch, then any others that run."""
    wanted: dict[tuple[tuple[str, ...], str], list[RouteStatus]] = {}
    for route in routes:
        wanted.setdefault((route.apps, route.profile), []).append(route)
    known = {(app, route.profile) for route in status.routes for app in route.apps}
    for level in status.machines:
        if (level.app, level.profile) not in known:
            wanted.setdefault(((level.app,), level.profile), [])
    for (apps, profile), launching in wanted.items():
        levels = [it for it in status.machines if it.profile == profile and it.app in apps]
        batches = [it for it in status.batches if it.profile == profile and it.app in apps]
        failing = (it.trouble for it in launching if it.state == "failing")
        yield MachineGroup(
            apps=apps,
            profile=profile,
            running=sum(level.running for level in levels),
            launching=sum(level.launching for level in levels),
            launches=_sum(launching, "launches"),
            trouble=next((it for it in failing if it is not None and it.what == "launch"), None),
            recent=tuple(reversed(batches[:_RECENT])),
        )


def figures(status: Status) -> Mapping[str, int]:
    """Return the sums over all queues, routes and Machines, in the last minute or now."""
    return {
        "received": _sum(status.queues, "received"),
        "done": _sum(status.queues, "deleted"),
        "waiting": sum(queue.waiting for queue in status.queues),
        "running": sum(level.running for level in status.machines),
        "launching": sum(level.launching for level in status.machines),
        "failures": _sum(status.routes, "launch_failures") + _sum(status.routes, "failed"),
    }


def _sum(tracks: Iterable[QueueStatus | RouteStatus], name: str) -> int:
    return sum(track.last_minute[name] for track in tracks)


def foremost(tracks: Sequence[_Track], most: int) -> Sequence[_Track]:
    """Return at most this many, in their order: those that fail, then the busiest."""
    if len(tracks) <= most:
        return tracks
    ranked = sorted(range(len(tracks)), key=lambda place: (*_rank(tracks[place]), place))
    return [tracks[place] for place in sorted(ranked[:most])]


def _rank(track: QueueStatus | RouteStatus) -> tuple[bool, int, bool]:
    if isinstance(track, QueueStatus):
        return track.trouble is None, -track.last_minute["received"], False
    return track.state != "failing", -track.last_minute["routed"], track.state == "idle"


def verdict(status: Status) -> tuple[str, str]:
    """Return the whole in a few words, and their tone."""
    state, count = status.router.state, len(status.health.concerns)
    if state in ("stopping", "stopped"):
        return state.capitalize(), "busy"
    if state == "starting" and not any(concern.fatal for concern in status.health.concerns):
        return "Starting", "busy"
    if not status.health.ready:
        return "Not ready", "bad"
    if count:
        return f"Ready, but {'one thing fails' if count == 1 else f'{count} things fail'}", "bad"
    return "All is well", "good"


def announcement(status: Status) -> str:
    """Return the verdict for screen readers, which changes only when a failure begins or ends."""
    words, _ = verdict(status)
    failing = [f"{_KINDS[it.kind].lower()} {_name(it)}".strip() for it in status.health.concerns]
    return f"{words}: {', '.join(failing)}." if failing else f"{words}."


def concerns(status: Status) -> Iterator[Mapping[str, Any]]:
    """Yield what does not work, with its advice, as values for the template; the worst first."""
    for concern in status.health.concerns:
        trouble = _trouble(status, concern)
        yield {
            "concern": concern,
            "kind": _KINDS[concern.kind],
            "name": _name(concern),
            "advice": _advice(concern, trouble, status),
            "next_try": None if trouble is None else trouble.next_try,
            "anchor": _anchor(concern, status),
        }


def _name(concern: Concern) -> str:
    return concern.name if concern.kind in _NAMED else ""


def _trouble(status: Status, concern: Concern) -> Trouble | None:
    tracks: Mapping[str, Sequence[QueueStatus | RouteStatus | AppStatus]]
    tracks = {"queue": status.queues, "route": status.routes, "app": status.apps}
    found = (it.trouble for it in tracks.get(concern.kind, ()) if it.name == concern.name)
    return next(found, None)


def _advice(concern: Concern, trouble: Trouble | None, status: Status) -> str:
    refused = trouble is not None and trouble.refused
    match concern.kind:
        case "reload":
            advice = (
                f"The router continues with generation {concern.name}. Fix the file and save it; "
                "the router reloads it immediately."
            )
        case "router":
            advice = "The router exits. Fix the problem and start it again."
        case "app" if any(it.token_refused for it in status.apps if it.name == concern.name):
            advice = f"Create a new token: fly tokens create deploy -a {concern.name}"
        case "app":
            advice = "It will be retried; until then no Machine of this app is launched."
        case "queue" if refused:
            advice = "This will not resolve itself. Fix the queue's address or the permissions."
        case "queue":
            advice = "It will be retried; no message is lost."
        case "route":
            advice = _advice_for_route(trouble, status)
    return advice


def _advice_for_route(trouble: Trouble | None, status: Status) -> str:
    retried = "It will be retried; its messages wait."
    if trouble is None:
        return retried
    if trouble.what == "run":
        return "Its Machines are failing. Their messages are retried with increasing delays."
    if any(app.trouble is not None and app.trouble.code == trouble.code for app in status.apps):
        return "The app is failing, not this route; the route recovers with its app."
    if trouble.code == "region_capacity":
        return f"{retried} More regions in its profile help, for example region: iad,us,any"
    if trouble.refused:
        return "This will not resolve itself. Fix the profile and save the routes file."
    return retried


def _anchor(concern: Concern, status: Status) -> str:
    """Return the id of the element that has more; empty if there is none."""
    read = concern.kind == "queue" and any(it.name == concern.name for it in status.queues)
    if concern.kind == "route" or read:
        return f"{concern.kind}-{concern.name}"
    return "reloads" if concern.kind == "reload" else ""

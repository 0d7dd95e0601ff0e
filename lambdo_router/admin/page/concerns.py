"""What does not work, as the page says it: since when, why, where it is written, what to do."""

from collections.abc import Iterator
from dataclasses import dataclass

from lambdo_router.telemetry.status import Concern, Status, Trouble

_KINDS = {
    "router": "The router",
    "queue": "Queue",
    "route": "Route",
    "app": "Fly app",
    "reload": "The routes file",
}


@dataclass(frozen=True, slots=True)
class ConcernView:
    """One thing that does not work."""

    kind: str
    """As people call it."""
    name: str
    """Empty where there is only one of the kind."""
    since: float
    why: str
    place: str
    fatal: bool
    advice: str
    next_try: float | None
    anchor: str
    """The id of the element that says more; empty if there is none."""


def concerns(status: Status) -> Iterator[ConcernView]:
    """All of them, the worst first."""
    for concern in status.health.concerns:
        trouble = _trouble(status, concern)
        named = concern.kind in ("queue", "route", "app")
        yield ConcernView(
            kind=_KINDS[concern.kind],
            name=concern.name if named else "",
            since=concern.since,
            why=concern.why,
            place=concern.place,
            fatal=concern.fatal,
            advice=_advice(concern, trouble, status),
            next_try=None if trouble is None else trouble.next_try,
            anchor=_anchor(concern, status),
        )


def verdict(status: Status) -> tuple[str, str]:
    """The whole in a few words, and their tone."""
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
    """The same for who listens; it changes only when something begins or ceases to fail."""
    words, _ = verdict(status)
    failing = [
        f"{_KINDS[concern.kind].lower()} {concern.name}".strip()
        if concern.kind in ("queue", "route", "app")
        else _KINDS[concern.kind].lower()
        for concern in status.health.concerns
    ]
    return f"{words}: {', '.join(failing)}." if failing else f"{words}."


def _trouble(status: Status, concern: Concern) -> Trouble | None:
    match concern.kind:
        case "queue":
            found = [queue.trouble for queue in status.queues if queue.name == concern.name]
        case "route":
            found = [route.trouble for route in status.routes if route.name == concern.name]
        case "app":
            found = [app.trouble for app in status.apps if app.name == concern.name]
        case "router" | "reload":
            found = []
    return found[0] if found else None


def _advice(concern: Concern, trouble: Trouble | None, status: Status) -> str:
    lasting = trouble is not None and trouble.refused
    match concern.kind:
        case "reload":
            advice = (
                f"The router goes on with generation {concern.name}. Mend the file and save it: it "
                "is loaded at once."
            )
        case "router":
            advice = "The router ends. Mend what is named and start it again."
        case "app" if any(a.token_refused for a in status.apps if a.name == concern.name):
            advice = f"Make a new token: fly tokens create deploy -a {concern.name}"
        case "app":
            advice = "It is tried again; no Machine of this app is launched meanwhile."
        case "queue" if lasting:
            advice = "This does not pass by itself: mend the queue's address, or the rights to it."
        case "queue":
            advice = "It is tried again; nothing is lost meanwhile."
        case "route":
            advice = _advice_for_route(trouble, status)
    return advice


def _advice_for_route(trouble: Trouble | None, status: Status) -> str:
    if trouble is None:
        return "It is tried again; its messages wait."
    if trouble.what == "run":
        return "Its Machines end badly: their messages are tried again, with growing pauses."
    if _is_of_an_app(trouble, status):
        return "It is the app that fails, not this route: it goes on when its app does."
    if trouble.code == "region_capacity":
        return (
            "It is tried again; its messages wait. More regions in its profile help, as in region: "
            "iad,us,any"
        )
    if trouble.refused:
        return "This does not pass by itself: mend the profile and save the routes file."
    return "It is tried again; its messages wait."


def _is_of_an_app(trouble: Trouble, status: Status) -> bool:
    troubles = (app.trouble for app in status.apps)
    return any(other is not None and other.code == trouble.code for other in troubles)


def _anchor(concern: Concern, status: Status) -> str:
    if concern.kind == "route":
        return f"route-{concern.name}"
    if concern.kind == "queue" and any(queue.name == concern.name for queue in status.queues):
        return f"queue-{concern.name}"
    return "reloads" if concern.kind == "reload" else ""

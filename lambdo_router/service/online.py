"""
Check a routes file against AWS and Fly: for `validate --online` and the start of `run`.

This module decides what to ask and what the answers mean for the file; cli/online.py asks. The
checks are read-only: they send, receive, create and change nothing.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from lambdo_router.config.diagnostics import Diagnostic
from lambdo_router.config.read.places import Places
from lambdo_router.core.errors import QueueError
from lambdo_router.core.routing import Queue, RoutingTable
from lambdo_router.service.online_fly import FlyAnswers, app_of_image, fly_findings
from lambdo_router.service.online_queues import QueueAnswers, place_of, queue_findings

_SKEW: Final = 60.0
"""Seconds; AWS refuses requests whose date is a quarter of an hour off, some services earlier."""


@dataclass(frozen=True, slots=True)
class Questions:
    """What to ask."""

    queues: tuple[Queue, ...]
    """Queues that are read or rejected to, if their addresses are known."""
    apps: tuple[str, ...]
    """Apps that Machines are created in."""
    image_apps: tuple[str, ...]
    """Other apps, whose images are used."""


@dataclass(frozen=True, slots=True)
class Answers:
    """The answers."""

    queues: QueueAnswers = field(default_factory=dict)
    fly: FlyAnswers | None = None
    """None without a token to ask with."""


def questions(table: RoutingTable) -> Questions:
    """Return what to check about a table, leaving out what depends on unset variables."""
    used = {queue.name for queue in table.sources()}
    used |= {queue.reject_to for queue in table.sources() if queue.reject_to is not None}
    apps = {app for route in table.routes for app in route.profile.apps}
    apps = {app for app in apps if app and "${" not in app}
    images = {app_of_image(route.profile.image) for route in table.routes}
    return Questions(
        queues=tuple(q for name, q in table.queues.items() if name in used and _is_known(q)),
        apps=tuple(sorted(apps)),
        image_apps=tuple(sorted(app for app in images - apps if app and "$" not in app)),
    )


def _is_known(queue: Queue) -> bool:
    written = (queue.url, queue.lookup, queue.region, queue.role_arn, queue.endpoint)
    return not any("${" in text for text in written if text is not None)


def findings(places: Places, table: RoutingTable, answers: Answers) -> tuple[Diagnostic, ...]:
    """Return every problem of the file that the answers show, by position."""
    found = [*queue_findings(places.draft, table, answers.queues)]
    if answers.fly is not None:
        found += fly_findings(places, table.routes, answers.fly)
    elif table.routes:
        found.append(_no_token(places, table))
    found += _clock(places, table, answers)
    return tuple(sorted(found))


def _no_token(places: Places, table: RoutingTable) -> Diagnostic:
    place = places.place_of(table.routes[0].name, "profile")
    return Diagnostic(
        *(place.file, place.line, place.column, "fly-not-checked"),
        "there is no Fly token, so apps and regions were not checked",
        "warning",
        place.end_column,
        "set LAMBDO_FLY_TOKEN to one made by: fly tokens create deploy -a APP",
    )


def _clock(places: Places, table: RoutingTable, answers: Answers) -> Iterator[Diagnostic]:
    """Return the largest clock difference to a service, reported at the first queue."""
    asked = answers.queues.values()
    seen = [(answer.ahead, "AWS's") for answer in asked if not isinstance(answer, QueueError)]
    if answers.fly is not None and answers.fly.facts is not None:
        seen.append((answers.fly.facts.ahead, "Fly's"))
    ahead, whose = max(seen, key=lambda each: abs(each[0]), default=(0.0, ""))
    if abs(ahead) < _SKEW:
        return
    way = "ahead of" if ahead > 0 else "behind"
    yield places.draft.diagnostic(
        place_of(places.draft, next(iter(table.queues))),
        "clock-skew",
        f"this machine's clock is {abs(ahead):.0f} seconds {way} {whose}",
        severity="warning",
        hint="set it, as with NTP: AWS refuses requests that seem to be minutes old, and tokens "
        "seem expired",
    )

"""
The lines that a fact of the journal is worth.

Names are constant, what differs is in fields. `message`, `batch`, `route`, `queue`, `machine` and
`app` are in every line that is about one. Pure.
"""

import traceback
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, assert_never

from lambdo_router.core import journal
from lambdo_router.core.batch import Batch
from lambdo_router.core.errors import QueueRefused
from lambdo_router.core.machine import batch_id_of, machine_name
from lambdo_router.core.routing import Refused, Routed
from lambdo_router.core.settlement import Acknowledge, Leave, Reject, Retry

Level = Literal["debug", "info", "warning", "error"]
_Fields = dict[str, object]

_NAMED = 10
"""Message ids in a line about many messages; each has a line of its own at DEBUG."""
_DEBUG_ONLY: frozenset[type[journal.Fact]] = frozenset(
    {
        journal.Polled,
        journal.Received,
        journal.Redelivered,
        journal.Decided,
        journal.BatchClosed,
        journal.LeasesRenewed,
        journal.ReportTaken,
    }
)


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the log."""

    level: Level
    event: str
    fields: Mapping[str, object] = field(default_factory=dict)
    topic: Mapping[str, object] | None = None
    """What makes it like another line of this event, with which it is summed up; None: nothing."""
    pause: float = 0.0
    """Seconds until it may happen again at the soonest."""
    error: Exception | None = None
    """A defect of this program, to be shown with its traceback."""


def is_quiet(fact: journal.Fact) -> bool:
    """Whether all lines of a fact are at DEBUG: those that come by the thousand."""
    if type(fact) is journal.Settled:
        return isinstance(fact.settlement, Acknowledge | Retry)
    return type(fact) in _DEBUG_ONLY


def lines_of(fact: journal.Fact) -> Iterator[Line]:
    """The lines of one fact, in order."""
    match fact:
        case (
            journal.Received()
            | journal.Redelivered()
            | journal.Decided()
            | journal.Settled()
            | journal.MachineAdopted()
            | journal.LeaseLost()
        ):
            yield from _of_messages(fact)
        case journal.BatchClosed() | journal.Launched() | journal.LaunchFailed():
            yield from _of_launch(fact)
        case (
            journal.QueueOpened()
            | journal.QueueClosed()
            | journal.QueueFailed()
            | journal.Polled()
            | journal.GivenBack()
            | journal.LeasesRenewed()
            | journal.SettlementFailed()
            | journal.InternalError()
        ):
            yield from _of_queue(fact)
        case journal.WatchFailed() | journal.MachineOverdue() | journal.MachineEnded():
            yield _of_machine(fact)
        case journal.ReportTaken() | journal.ReportRefused():
            yield _of_report(fact)
        case journal.ProfileFailing() | journal.ProfileRecovered():
            yield _of_profile(fact)
        case journal.TableActivated() | journal.RoutesLoaded() | journal.ReloadFailed():
            yield _of_routes(fact)
        case journal.Stopping():
            yield Line("info", "router.stopping", {"grace": fact.grace})
        case journal.Stopped():
            level: Level = "warning" if fact.abandoned else "info"
            yield Line(level, "router.stopped", {"abandoned": fact.abandoned})
        case unreachable:
            assert_never(unreachable)


def _of_messages(
    fact: journal.Received
    | journal.Redelivered
    | journal.Decided
    | journal.Settled
    | journal.MachineAdopted
    | journal.LeaseLost,
) -> Iterator[Line]:
    queue = {"queue": fact.queue}
    match fact:
        case journal.Received(message=message):
            fields = {**queue, "message": message.id, "receives": message.receive_count}
            yield Line("debug", "message.received", fields)
        case journal.Redelivered():
            yield Line("debug", "message.redelivered", {**queue, "message": fact.message_id})
        case journal.Decided():
            yield _of_decision(fact)
        case journal.Settled():
            yield _of_settlement(fact)
        case journal.MachineAdopted():
            topic = {**queue, "machine": fact.machine_id}
            fields = {**queue, "message": fact.message_id, "machine": fact.machine_id}
            yield Line("info", "message.taken_over", fields, topic)
        case journal.LeaseLost():
            fields = {**queue, **_named(fact.message_ids), "why": fact.why}
            yield Line("warning", "lease.lost", fields, {**queue, "why": _class(fact.why)})
            for message_id in fact.message_ids:
                fields = {**queue, "message": message_id, "why": fact.why}
                yield Line("debug", "message.lease_lost", fields)
        case unreachable:
            assert_never(unreachable)


def _of_decision(fact: journal.Decided) -> Line:
    fields: _Fields = {"queue": fact.queue, "message": fact.message_id}
    match fact.decision:
        case Routed(route=route):
            return Line("debug", "message.routed", {**fields, "route": route.name})
        case Refused(route=refusing, reason=reason):
            name = refusing.name if refusing is not None else None
            return Line("debug", "message.refused", {**fields, "route": name, "reason": reason})
        case unreachable:
            assert_never(unreachable)


def _of_settlement(fact: journal.Settled) -> Line:
    fields: _Fields = {
        "queue": fact.queue,
        "route": fact.route,
        "message": fact.message_id,
        "held": _rounded(fact.held),
    }
    topic = {"queue": fact.queue, "route": fact.route}
    match fact.settlement:
        case Acknowledge(why=why):
            return Line("debug", "message.deleted", {**fields, "why": why})
        case Retry(delay=delay, why=why):
            return Line(
                "debug", "message.retried", {**fields, "delay": _rounded(delay), "why": why}
            )
        case Leave(reason=reason, detail=detail):
            fields |= {"reason": reason, "detail": detail}
            return Line("warning", "message.left", fields, {**topic, "reason": reason})
        case Reject(to=to, rejection=rejection):
            reason = rejection.reason
            fields |= {"to": to, "reason": reason, "detail": rejection.detail}
            return Line("warning", "message.rejected", fields, {**topic, "reason": reason})
        case unreachable:
            assert_never(unreachable)


def _of_launch(
    fact: journal.BatchClosed | journal.Launched | journal.LaunchFailed,
) -> Iterator[Line]:
    batch_id = batch_id_of(fact.batch) if isinstance(fact, journal.LaunchFailed) else fact.batch_id
    fields = _of_batch(fact.batch, batch_id)
    match fact:
        case journal.BatchClosed():
            waited = {"waited": _rounded(fact.waited)}
            yield Line("debug", "batch.closed", {**fields, **waited})
            for message_id in fact.batch.message_ids:
                shared = {name: fields[name] for name in ("queue", "route", "batch")}
                yield Line("debug", "message.batched", {**shared, "message": message_id})
        case journal.Launched(machine=machine):
            fields |= {
                "machine": machine.id,
                "name": machine.name,
                "region": machine.region,
                "adopted": machine.adopted,
                "seconds": _rounded(fact.seconds),
                "attempts": fact.attempts,
                "lease_margin": _rounded(fact.lease_margin),
            }
            yield Line("info", "machine.launched", fields)
        case journal.LaunchFailed(error=error):
            route = fact.batch.key.route.name
            fields |= {
                "name": machine_name(route, fact.batch.message_ids),
                "attempt": fact.attempt,
                "ambiguous": getattr(error, "ambiguous", False),
                "code": error.code,
                "error": str(error),
                "next_try_in": _rounded(fact.pause),
            }
            topic = {"route": route, "code": error.code}
            yield Line("warning", "machine.launch_failed", fields, topic, fact.pause or 0.0)
        case unreachable:
            assert_never(unreachable)


def _of_batch(batch: Batch, batch_id: str) -> _Fields:
    return {
        "queue": batch.key.queue,
        "route": batch.key.route.name,
        "app": batch.key.profile.app,
        "batch": batch_id,
        "events": len(batch.entries),
    }


def _of_queue(
    fact: journal.QueueOpened
    | journal.QueueClosed
    | journal.QueueFailed
    | journal.Polled
    | journal.GivenBack
    | journal.LeasesRenewed
    | journal.SettlementFailed
    | journal.InternalError,
) -> Iterator[Line]:
    queue = {"queue": fact.queue}
    fields: _Fields
    match fact:
        case journal.QueueOpened():
            yield Line("info", "queue.opened", queue)
        case journal.QueueClosed():
            yield Line("info", "queue.closed", queue)
        case journal.QueueFailed(action=action, error=error):
            level: Level = "error" if isinstance(error, QueueRefused) else "warning"
            topic = {**queue, "action": action, "code": error.code}
            pause = {"next_try_in": _rounded(fact.pause)}
            fields = {**topic, "error": str(error), **pause}
            yield Line(level, "queue.failed", fields, topic, fact.pause or 0.0)
        case journal.Polled():
            fields = {**queue, "messages": fact.messages, "seconds": _rounded(fact.seconds)}
            yield Line("debug", "queue.polled", fields)
        case journal.LeasesRenewed():
            fields = {**queue, "messages": fact.messages, "margin": _rounded(fact.margin)}
            yield Line("debug", "leases.renewed", fields)
        case journal.GivenBack():
            yield Line("info", "messages.given_back", {**queue, **_named(fact.message_ids)})
        case journal.SettlementFailed(action=action, why=why):
            fields = {**queue, **_named(fact.message_ids), "action": action, "why": why}
            topic = {**queue, "action": action, "why": _class(why)}
            yield Line("error", "settlement.failed", fields, topic)
        case journal.InternalError(error=defect):
            topic = {**queue, "error": type(defect).__name__, "at": _place(defect)}
            fields = {**topic, **_named(fact.message_ids)}
            yield Line("error", "unit.failed", fields, topic, error=defect)
        case unreachable:
            assert_never(unreachable)


def _of_machine(
    fact: journal.WatchFailed | journal.MachineOverdue | journal.MachineEnded,
) -> Line:
    fields: _Fields
    match fact:
        case journal.WatchFailed(app=app, error=error):
            topic = {"app": app, "code": error.code}
            fields = {
                "app": app,
                "machine": fact.machine_id,
                "code": error.code,
                "error": str(error),
                "next_try_in": _rounded(fact.pause),
            }
            return Line("warning", "machine.watch_failed", fields, topic, fact.pause)
        case journal.MachineOverdue(app=app):
            fields = {
                "app": app,
                "machine": fact.machine_id,
                "state": fact.state or None,
                "host": fact.host or None,
            }
            return Line("warning", "machine.overdue", fields, {"app": app})
        case journal.MachineEnded():
            fields = {
                **_of_batch(fact.batch, fact.batch_id),
                "machine": fact.machine_id,
                "region": fact.region or None,
                "kind": fact.kind,
                "exit_code": fact.exit_code,
                "failure": fact.failure or None,
                "reported": fact.reported,
                "seconds": _rounded(fact.seconds),
            }
            level: Level = "warning" if fact.failure else "info"
            return Line(level, "machine.ended", fields)
        case unreachable:
            assert_never(unreachable)


def _of_report(fact: journal.ReportTaken | journal.ReportRefused) -> Line:
    batch = {"batch": fact.batch_id}
    match fact:
        case journal.ReportTaken():
            return Line("debug", "report.taken", {**batch, "failed": fact.failed})
        case journal.ReportRefused():
            fields = {**batch, "status": fact.status, "why": fact.why}
            return Line("warning", "report.refused", fields, {"status": fact.status})
        case unreachable:
            assert_never(unreachable)


def _of_profile(fact: journal.ProfileFailing | journal.ProfileRecovered) -> Line:
    profile = {"app": fact.app, "profile": fact.profile}
    match fact:
        case journal.ProfileFailing(error=error, pause=pause):
            topic = {**profile, "code": error.code}
            fields = {**topic, "error": str(error), "next_try_in": _rounded(pause)}
            return Line("error", "profile.failing", fields, topic, pause)
        case journal.ProfileRecovered():
            return Line("info", "profile.recovered", profile)
        case unreachable:
            assert_never(unreachable)


def _of_routes(
    fact: journal.TableActivated | journal.RoutesLoaded | journal.ReloadFailed,
) -> Line:
    fields: _Fields
    match fact:
        case journal.TableActivated():
            fields = {
                "generation": fact.generation,
                "previous": fact.previous,
                "queues": len(fact.table.sources()),
                "routes": len(fact.table.routes),
            }
            # The first one is in `router.started`.
            return Line("debug" if fact.previous is None else "info", "routes.swapped", fields)
        case journal.RoutesLoaded():
            fields = {
                "generation": fact.generation,
                "changes": list(fact.changes),
                "warnings": list(fact.warnings),
            }
            return Line("info", "routes.loaded", fields)
        case journal.ReloadFailed():
            return Line("error", "routes.refused", {"problems": list(fact.problems)})
        case unreachable:
            assert_never(unreachable)


def _named(message_ids: tuple[str, ...]) -> _Fields:
    return {"messages": len(message_ids), "message_ids": list(message_ids[:_NAMED])}


def _class(why: str) -> str:
    """What stands before a service's own words: they may name the one message."""
    return why.partition(":")[0]


def _place(error: Exception) -> str:
    """Where it was raised."""
    frames = traceback.extract_tb(error.__traceback__)
    if not frames:
        return ""
    return f"{frames[-1].filename.rpartition('/')[2]}:{frames[-1].lineno}"


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)

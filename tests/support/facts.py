"""A fact of each kind, its lines in the log, and what it alone changes in the metrics."""

from dataclasses import dataclass
from typing import Final

from building import entry, message, profile, route, table

from lambdo_router.core import journal
from lambdo_router.core.batch import Batch, BatchKey
from lambdo_router.core.errors import (
    LaunchRejected,
    LaunchUnavailable,
    QueueRefused,
    QueueUnavailable,
)
from lambdo_router.core.machine import Machine
from lambdo_router.core.routing import Refused, Routed
from lambdo_router.core.settlement import Acknowledge, Leave, Reject, Rejection, Retry, Settlement

SENT: Final = 1_700_000_000.123
"""When the messages of tests were sent; they are looked at 20 seconds later."""

_ROUTE = route(profile=profile(acknowledge="success"))
BATCH: Final = Batch(
    BatchKey("q", _ROUTE, _ROUTE.profile), (entry("m1", '{"secret": 1}'), entry("m2", "{}"))
)
_EVENT = BATCH.entries[0].event
_REJECTION = Rejection("too_large", "much", "orders", "q", "m1", 1, SENT)
_BUSY = LaunchUnavailable("422", code="region_capacity")
_OVERDUE = journal.MachineOverdue("jobs", "id", "starting", "unreachable")
_OOM = journal.MachineEnded(BATCH, "b1", "id", "oom", 137, "OOM", 8.0, 1, "iad")
_SUCCESS = journal.MachineEnded(BATCH, "b1", "id", "succeeded", 0, "", None)


@dataclass(frozen=True, slots=True)
class FactCase:
    """A fact with what becomes of it."""

    fact: journal.Fact
    lines: tuple[tuple[str, str], ...]
    """Levels and events."""
    metrics: dict[str, float]
    """Every series that has another value than before."""


def _case(fact: journal.Fact, lines: str, *metrics: dict[str, float] | str) -> FactCase:
    """Lines as `level event, level event`; a series that becomes 1 may be just its name."""
    pairs = (line.split(" ") for line in lines.split(", "))
    changed: dict[str, float] = {}
    for it in metrics:
        changed |= {f"lambdo_{it}": 1} if isinstance(it, str) else it
    return FactCase(fact, tuple((level, event) for level, event in pairs), changed)


def _settled(settlement: Settlement, route: str | None = "orders") -> journal.Settled:
    return journal.Settled("q", "m1", route, settlement, SENT, 3.0)


def _values(labels: str, **values: float) -> dict[str, float]:
    return {f"lambdo_{name} {labels}".rstrip(): value for name, value in values.items()}


def _observed(name: str, labels: str, total: float, count: int = 1) -> dict[str, float]:
    return {f"lambdo_{name}_count {labels}": count, f"lambdo_{name}_sum {labels}": total}


def _requests(action: str, queue: str = "q", count: int = 1) -> dict[str, float]:
    return {
        f"lambdo_sqs_requests_total queue={queue} action={action}": count,
        f"lambdo_sqs_cost_dollars_total queue={queue}": count * 4e-07,
    }


FACTS: Final[list[FactCase]] = [
    _case(journal.QueueOpened("q"), "info queue.opened"),
    _case(journal.QueueClosed("q"), "info queue.closed"),
    _case(
        journal.QueueFailed("q", "open", QueueRefused("no such queue"), 15.0),
        "error queue.failed",
        "queue_failures_total queue=q action=open kind=refused",
    ),
    _case(
        journal.QueueFailed("q", "receive", QueueUnavailable("503"), 1.0),
        "warning queue.failed",
        "queue_failures_total queue=q action=receive kind=unavailable",
    ),
    _case(
        journal.Polled("q", 2, 0.1),
        "debug queue.polled",
        "polls_total queue=q",
        _values("queue=q", queue_last_poll_timestamp_seconds=SENT + 20.0),
        _requests("receive"),
    ),
    _case(
        journal.Received("q", message(body="secret body")),
        "debug message.received",
        "messages_received_total queue=q",
        _observed("message_age_seconds", "queue=q", 20.0),
    ),
    _case(
        journal.Redelivered("q", "m1"),
        "debug message.redelivered",
        "messages_redelivered_total queue=q",
    ),
    _case(
        journal.Decided("q", "m1", Routed(_ROUTE, _ROUTE.profile, _EVENT)),
        "debug message.routed",
        "messages_routed_total queue=q route=orders",
    ),
    _case(
        journal.Decided("q", "m1", Refused("unmatched", "no route matches", "leave")),
        "debug message.refused",
        "messages_refused_total queue=q route= reason=unmatched",
    ),
    _case(
        journal.Decided("q", "m1", Refused("schema_invalid", "x", "reject", _ROUTE)),
        "debug message.refused",
        "messages_refused_total queue=q route=orders reason=schema_invalid",
    ),
    _case(
        journal.BatchClosed(BATCH, "b1", 2.0),
        "debug batch.closed, debug message.batched, debug message.batched",
        _observed("batch_events", "profile=worker", 2),
        _observed("batch_bytes", "profile=worker", 15),
        _observed("launch_wait_seconds", "app=jobs profile=worker", 2.0),
    ),
    _case(
        journal.Launched(BATCH, Machine("id", "name", "iad"), 0.5, 1, 30.0, "b1"),
        "info machine.launched",
        "launches_total route=orders app=jobs",
        _observed("launch_duration_seconds", "app=jobs", 0.5),
        _observed("message_sent_to_launch_seconds", "route=orders", 40.0, 2),
    ),
    _case(
        journal.LaunchFailed(BATCH, _BUSY, 1, 2.0),
        "warning machine.launch_failed",
        "launch_failures_total route=orders app=jobs code=region_capacity",
    ),
    _case(
        _settled(Acknowledge("succeeded")),
        "debug message.deleted",
        "messages_deleted_total queue=q route=orders reason=succeeded",
        _observed("message_sent_to_settlement_seconds", "route=orders outcome=deleted", 20.0),
        _requests("settle"),
    ),
    _case(
        _settled(Retry(5.0, "exited with code 1")),
        "debug message.retried",
        "messages_retried_total queue=q route=orders",
        _requests("settle"),
    ),
    _case(
        _settled(Leave("unmatched", "no route matches"), None),
        "warning message.left",
        "messages_left_total queue=q route= reason=unmatched",
    ),
    _case(
        _settled(Reject("bad", _REJECTION)),
        "warning message.rejected",
        "messages_rejected_total queue=q route=orders reason=too_large",
        _observed("message_sent_to_settlement_seconds", "route=orders outcome=rejected", 20.0),
        _requests("settle"),
        _requests("send", "bad"),
    ),
    _case(
        journal.GivenBack("q", tuple(f"m{n}" for n in range(11))),
        "info messages.given_back",
        _values("queue=q", messages_given_back_total=11),
        _requests("settle", count=2),
    ),
    _case(
        journal.LeasesRenewed("q", 25, 29.5),
        "debug leases.renewed",
        _values("queue=q", leases_renewed_total=25),
        _observed("lease_renewal_margin_seconds", "queue=q", 29.5),
        _requests("renew", count=3),
    ),
    _case(
        journal.LeaseLost("q", ("m1", "m2"), "its lease expired"),
        "warning lease.lost, debug message.lease_lost, debug message.lease_lost",
        _values("queue=q", leases_lost_total=2),
    ),
    _case(
        journal.SettlementFailed("q", ("m1",), "delete", "ReceiptHandleIsInvalid"),
        "error settlement.failed",
        "settlement_failures_total queue=q action=delete",
    ),
    _case(
        journal.SettlementFailed("q", ("m1",), "send to bad", "503"),
        "error settlement.failed",
        "settlement_failures_total queue=q action=send",
    ),
    _case(
        journal.InternalError("q", ("m1", "m2"), KeyError("bug")),
        "error unit.failed",
        "unit_failures_total queue=q",
    ),
    _case(
        journal.WatchFailed("jobs", None, LaunchUnavailable("no", code="connection"), 2.0),
        "warning machine.watch_failed",
        "watch_failures_total app=jobs code=connection",
    ),
    _case(_OVERDUE, "warning machine.overdue", "machines_overdue_total app=jobs"),
    _case(
        _OOM,
        "warning machine.ended",
        "machines_ended_total route=orders kind=oom",
        "messages_reported_failed_total route=orders",
        _observed("machine_run_seconds", "profile=worker", 8.0),
        _values(
            "route=orders size=shared-cpu-1x",
            machine_seconds_total=8.0,
            machine_cost_dollars_total=8 * 8.465e-07,
        ),
    ),
    _case(_SUCCESS, "info machine.ended", "machines_ended_total route=orders kind=succeeded"),
    _case(journal.ReportTaken("b1", 1), "debug report.taken", "reports_total status=200"),
    _case(
        journal.ReportRefused("b1", 401, "wrong token"),
        "warning report.refused",
        "reports_total status=401",
    ),
    _case(
        journal.MachineAdopted("q", "m1", "id"),
        "info message.taken_over",
        "messages_taken_over_total queue=q",
    ),
    _case(
        journal.ProfileFailing("worker", "jobs", LaunchRejected("400", code="bad_image"), 15.0),
        "error profile.failing",
    ),
    _case(journal.ProfileRecovered("worker", "jobs"), "info profile.recovered"),
    _case(
        journal.TableActivated(table(_ROUTE, generation="g2"), "g1"),
        "info routes.swapped",
        "config_last_reload_successful",
        "config_info generation=g2",
        "route_info queue=q route=orders profile=worker app=jobs",
        _values("", config_last_reload_success_timestamp_seconds=SENT + 20.0),
        _values("queue=q", messages_waiting_limit=1000),
    ),
    _case(
        journal.RoutesLoaded("g2", ("routes.yaml:1:1: warning: odd [x]",)),
        "info routes.loaded",
        "config_reloads_total result=loaded",
    ),
    _case(
        journal.ReloadFailed(("routes.yaml:1:1: no",)),
        "error routes.refused",
        "config_reloads_total result=refused",
    ),
    _case(journal.Stopping(25.0), "info router.stopping", "router_stopping"),
    _case(journal.Stopped(0), "info router.stopped"),
    _case(journal.Stopped(3), "warning router.stopped"),
]

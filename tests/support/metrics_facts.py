"""A fact of each kind, and what it alone changes in the metrics."""

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
from lambdo_router.core.settlement import Acknowledge, Leave, Reject, Rejection, Retry

SENT: Final = 1_700_000_000.123
"""When the messages of tests were sent; they are looked at 20 seconds later."""

_ROUTE = route(profile=profile(acknowledge="success"))
KEY: Final = BatchKey("q", _ROUTE, _ROUTE.profile)
BATCH: Final = Batch(KEY, (entry("m1", '{"n": 1}'), entry("m2", "{}")))
_EVENT = BATCH.entries[0].event
_REJECTION = Rejection("too_large", "much", "orders", "q", "m1", 1, SENT)
_BUSY = LaunchUnavailable("422", code="region_capacity")


def _settled(settlement: object, route: str | None = "orders") -> journal.Settled:
    return journal.Settled("q", "m1", route, settlement, SENT, 3.0)  # type: ignore[arg-type] # any


def _age(name: str, labels: str) -> dict[str, float]:
    return {f"lambdo_{name}_count {labels}": 1, f"lambdo_{name}_sum {labels}": 20.0}


def _requests(action: str, queue: str = "q", count: int = 1) -> dict[str, float]:
    return {
        f"lambdo_sqs_requests_total queue={queue} action={action}": count,
        f"lambdo_sqs_cost_dollars_total queue={queue}": count * 4e-07,
    }


FACTS: Final[list[tuple[str, journal.Fact, dict[str, float]]]] = [
    ("queue opened", journal.QueueOpened("q"), {}),
    ("queue closed", journal.QueueClosed("q"), {}),
    (
        "queue refused",
        journal.QueueFailed("q", "open", QueueRefused("no such queue"), 15.0),
        {"lambdo_queue_failures_total queue=q action=open kind=refused": 1},
    ),
    (
        "queue unavailable",
        journal.QueueFailed("q", "receive", QueueUnavailable("503"), 1.0),
        {"lambdo_queue_failures_total queue=q action=receive kind=unavailable": 1},
    ),
    (
        "polled",
        journal.Polled("q", 2, 0.1),
        {
            "lambdo_polls_total queue=q": 1,
            "lambdo_queue_last_poll_timestamp_seconds queue=q": SENT + 20.0,
            **_requests("receive"),
        },
    ),
    (
        "received",
        journal.Received("q", message()),
        {"lambdo_messages_received_total queue=q": 1, **_age("message_age_seconds", "queue=q")},
    ),
    (
        "redelivered",
        journal.Redelivered("q", "m1"),
        {"lambdo_messages_redelivered_total queue=q": 1},
    ),
    (
        "routed",
        journal.Decided("q", "m1", Routed(_ROUTE, _ROUTE.profile, _EVENT)),
        {"lambdo_messages_routed_total queue=q route=orders": 1},
    ),
    (
        "unmatched",
        journal.Decided("q", "m1", Refused("unmatched", "no route matches", "leave")),
        {"lambdo_messages_refused_total queue=q route= reason=unmatched": 1},
    ),
    (
        "invalid",
        journal.Decided("q", "m1", Refused("schema_invalid", "x", "reject", _ROUTE)),
        {"lambdo_messages_refused_total queue=q route=orders reason=schema_invalid": 1},
    ),
    (
        "batch closed",
        journal.BatchClosed(BATCH, "b1", 2.0),
        {
            "lambdo_batch_events_count profile=worker": 1,
            "lambdo_batch_events_sum profile=worker": 2,
            "lambdo_batch_bytes_count profile=worker": 1,
            "lambdo_batch_bytes_sum profile=worker": 10,
            "lambdo_launch_wait_seconds_count app=jobs profile=worker": 1,
            "lambdo_launch_wait_seconds_sum app=jobs profile=worker": 2.0,
        },
    ),
    (
        "launched",
        journal.Launched(BATCH, Machine("id", "name", "iad"), 0.5, 1, 30.0, "b1"),
        {
            "lambdo_launches_total route=orders app=jobs": 1,
            "lambdo_launch_duration_seconds_count app=jobs": 1,
            "lambdo_launch_duration_seconds_sum app=jobs": 0.5,
            "lambdo_message_sent_to_launch_seconds_count route=orders": 2,
            "lambdo_message_sent_to_launch_seconds_sum route=orders": 40.0,
        },
    ),
    (
        "launch failed",
        journal.LaunchFailed(BATCH, _BUSY, 1, 2.0),
        {"lambdo_launch_failures_total route=orders app=jobs code=region_capacity": 1},
    ),
    (
        "deleted",
        _settled(Acknowledge("succeeded")),
        {
            "lambdo_messages_deleted_total queue=q route=orders reason=succeeded": 1,
            **_age("message_sent_to_settlement_seconds", "route=orders outcome=deleted"),
            **_requests("settle"),
        },
    ),
    (
        "retried",
        _settled(Retry(5.0, "exited with code 1")),
        {"lambdo_messages_retried_total queue=q route=orders": 1, **_requests("settle")},
    ),
    (
        "left",
        _settled(Leave("unmatched", "no route matches"), None),
        {"lambdo_messages_left_total queue=q route= reason=unmatched": 1},
    ),
    (
        "rejected",
        _settled(Reject("bad", _REJECTION)),
        {
            "lambdo_messages_rejected_total queue=q route=orders reason=too_large": 1,
            **_age("message_sent_to_settlement_seconds", "route=orders outcome=rejected"),
            **_requests("settle"),
            **_requests("send", "bad"),
        },
    ),
    (
        "given back",
        journal.GivenBack("q", tuple(f"m{n}" for n in range(11))),
        {"lambdo_messages_given_back_total queue=q": 11, **_requests("settle", count=2)},
    ),
    (
        "renewed",
        journal.LeasesRenewed("q", 25, 29.5),
        {
            "lambdo_leases_renewed_total queue=q": 25,
            "lambdo_lease_renewal_margin_seconds_count queue=q": 1,
            "lambdo_lease_renewal_margin_seconds_sum queue=q": 29.5,
            **_requests("renew", count=3),
        },
    ),
    (
        "leases lost",
        journal.LeaseLost("q", ("m1", "m2"), "its time ran out"),
        {"lambdo_leases_lost_total queue=q": 2},
    ),
    (
        "not deleted",
        journal.SettlementFailed("q", ("m1",), "delete", "ReceiptHandleIsInvalid"),
        {"lambdo_settlement_failures_total queue=q action=delete": 1},
    ),
    (
        "not rejected",
        journal.SettlementFailed("q", ("m1",), "send to bad", "503"),
        {"lambdo_settlement_failures_total queue=q action=send": 1},
    ),
    (
        "a defect",
        journal.InternalError("q", ("m1", "m2"), KeyError("bug")),
        {"lambdo_unit_failures_total queue=q": 1},
    ),
    (
        "table swapped",
        journal.TableActivated(table(_ROUTE, generation="g2"), "g1"),
        {
            "lambdo_config_last_reload_successful": 1,
            "lambdo_config_last_reload_success_timestamp_seconds": SENT + 20.0,
            "lambdo_config_info generation=g2": 1,
            "lambdo_route_info queue=q route=orders profile=worker app=jobs": 1,
            "lambdo_messages_waiting_limit queue=q": 1000,
        },
    ),
    (
        "watch failed",
        journal.WatchFailed("jobs", None, LaunchUnavailable("no", code="connection"), 2.0),
        {"lambdo_watch_failures_total app=jobs code=connection": 1},
    ),
    (
        "machine overdue",
        journal.MachineOverdue("jobs", "id"),
        {"lambdo_machines_overdue_total app=jobs": 1},
    ),
    (
        "machine ended",
        journal.MachineEnded(BATCH, "b1", "id", "oom", 137, "OOM", 8.0, 1, "iad"),
        {
            "lambdo_machines_ended_total route=orders kind=oom": 1,
            "lambdo_messages_reported_failed_total route=orders": 1,
            "lambdo_machine_run_seconds_count profile=worker": 1,
            "lambdo_machine_run_seconds_sum profile=worker": 8.0,
            "lambdo_machine_seconds_total route=orders size=shared-cpu-1x": 8.0,
            "lambdo_machine_cost_dollars_total route=orders size=shared-cpu-1x": 8 * 8.465e-07,
        },
    ),
    (
        "machine of unknown length",
        journal.MachineEnded(BATCH, "b1", "id", "never_ran", None, "was destroyed", None),
        {"lambdo_machines_ended_total route=orders kind=never_ran": 1},
    ),
    ("report taken", journal.ReportTaken("b1", 1), {"lambdo_reports_total status=200": 1}),
    (
        "report refused",
        journal.ReportRefused("b1", 401, "wrong token"),
        {"lambdo_reports_total status=401": 1},
    ),
    (
        "taken over",
        journal.MachineAdopted("q", "m1", "id"),
        {"lambdo_messages_taken_over_total queue=q": 1},
    ),
    (
        "profile failing",
        journal.ProfileFailing("worker", "jobs", LaunchRejected("400", code="bad_image"), 15.0),
        {},
    ),
    ("profile recovered", journal.ProfileRecovered("worker", "jobs"), {}),
    (
        "routes loaded",
        journal.RoutesLoaded("g2", ()),
        {"lambdo_config_reloads_total result=loaded": 1},
    ),
    (
        "routes refused",
        journal.ReloadFailed(("routes.yaml:1:1: no",)),
        {"lambdo_config_reloads_total result=refused": 1},
    ),
    ("stopping", journal.Stopping(25.0), {"lambdo_router_stopping": 1}),
    ("stopped", journal.Stopped(0), {}),
]
"""Its name, the fact, and every series that is there afterwards with another value than before."""

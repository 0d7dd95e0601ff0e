"""Every kind of fact, with the events that it is logged as; the log as it was before a test."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import structlog
from building import entry, key, message, route, table

from lambdo_router.core import journal
from lambdo_router.core.batch import Batch
from lambdo_router.core.errors import LaunchUnavailable, QueueRefused, QueueUnavailable
from lambdo_router.core.machine import Machine
from lambdo_router.core.message import Event
from lambdo_router.core.profile import Profile
from lambdo_router.core.routing import Refused, Routed
from lambdo_router.core.settlement import Acknowledge, Leave, Reject, Rejection, Retry

TABLE = table(route("orders"), route("refunds"))
BATCH = Batch(key(), (entry("m1", '{"secret":"body"}'),))
UNAVAILABLE = LaunchUnavailable("503", code="unavailable")
PROFILE: Profile = BATCH.key.profile
REJECTION = Rejection("not_json", "why", None, "q", "m1", 1, 0.0)

Case = tuple[journal.Fact, tuple[tuple[str, str], ...]]


def _case(fact: journal.Fact, *lines: str) -> Case:
    """Lines as `level event`."""
    return fact, tuple((line.partition(" ")[0], line.partition(" ")[2]) for line in lines)


FACTS: list[Case] = [
    _case(journal.QueueOpened("q"), "info queue.opened"),
    _case(journal.QueueClosed("q"), "info queue.closed"),
    _case(
        journal.QueueFailed("q", "receive", QueueUnavailable("503"), 1.0), "warning queue.failed"
    ),
    _case(journal.QueueFailed("q", "open", QueueRefused("denied"), 15.0), "error queue.failed"),
    _case(journal.Polled("q", 3, 0.2), "debug queue.polled"),
    _case(journal.Received("q", message(body="secret body")), "debug message.received"),
    _case(journal.Redelivered("q", "m1"), "debug message.redelivered"),
    _case(
        journal.Decided("q", "m1", Refused("unmatched", "no route matches", "leave")),
        "debug message.refused",
    ),
    _case(
        journal.Decided(
            "q", "m1", Routed(route(), PROFILE, Event('{"secret":1}', {"secret": 1}, {}))
        ),
        "debug message.routed",
    ),
    _case(journal.BatchClosed(BATCH, "b1", 0.5), "debug batch.closed", "debug message.batched"),
    _case(
        journal.Launched(BATCH, Machine("id", "name", "iad"), 1.0, 1, 30.0, "b1"),
        "info machine.launched",
    ),
    _case(journal.LaunchFailed(BATCH, UNAVAILABLE, 1, 2.0), "warning machine.launch_failed"),
    _case(
        journal.Settled("q", "m1", "orders", Acknowledge("launched")),
        "debug message.deleted",
    ),
    _case(journal.Settled("q", "m1", "orders", Retry(5.0, "503")), "debug message.retried"),
    _case(journal.Settled("q", "m1", None, Leave("unmatched", "why")), "warning message.left"),
    _case(journal.Settled("q", "m1", None, Reject("r", REJECTION)), "warning message.rejected"),
    _case(journal.GivenBack("q", ("m1",)), "info messages.given_back"),
    _case(journal.LeasesRenewed("q", 3, 28.5), "debug leases.renewed"),
    _case(
        journal.LeaseLost("q", ("m1", "m2"), "why"),
        *("warning lease.lost", "debug message.lease_lost", "debug message.lease_lost"),
    ),
    _case(journal.SettlementFailed("q", ("m1",), "delete", "why"), "error settlement.failed"),
    _case(journal.InternalError("q", ("m1",), KeyError("bug")), "error unit.failed"),
    _case(journal.WatchFailed("jobs", None, UNAVAILABLE, 2.0), "warning machine.watch_failed"),
    _case(
        journal.MachineOverdue("jobs", "id", "starting", "unreachable"), "warning machine.overdue"
    ),
    _case(journal.MachineEnded(BATCH, "b1", "id", "succeeded", 0, "", 1.5), "info machine.ended"),
    _case(
        journal.MachineEnded(BATCH, "b1", "id", "failed", 1, "exited", 1.5),
        "warning machine.ended",
    ),
    _case(journal.ReportTaken("b1", 2), "debug report.taken"),
    _case(journal.ReportRefused("b1", 401, "the token"), "warning report.refused"),
    _case(journal.MachineAdopted("q", "m1", "id"), "info message.taken_over"),
    _case(journal.ProfileFailing("p", "jobs", UNAVAILABLE, 15.0), "error profile.failing"),
    _case(journal.ProfileRecovered("p", "jobs"), "info profile.recovered"),
    _case(journal.TableActivated(TABLE, None), "debug routes.swapped"),
    _case(journal.TableActivated(replace(TABLE, generation="g2"), "g1"), "info routes.swapped"),
    _case(journal.RoutesLoaded("g2", ("routes.yaml:1:1: warning: odd [x]",)), "info routes.loaded"),
    _case(journal.ReloadFailed(("routes.yaml:1:1: bad [x]",)), "error routes.refused"),
    _case(journal.Stopping(25.0), "info router.stopping"),
    _case(journal.Stopped(0), "info router.stopped"),
    _case(journal.Stopped(3), "warning router.stopped"),
]
IDS = [f"{lines[0][1]}-{lines[0][0]}" for _, lines in FACTS]


@contextmanager
def log_of_its_own() -> Iterator[None]:
    """Whatever is set up in the block is as before after it."""
    root, own = logging.getLogger(), logging.getLogger("lambdo_router")
    handlers, levels = root.handlers[:], (root.level, own.level)
    with warnings.catch_warnings():
        try:
            yield
        finally:
            logging.captureWarnings(capture=False)
            root.handlers[:] = handlers
            root.setLevel(levels[0])
            own.setLevel(levels[1])
            structlog.reset_defaults()

import json
import logging
from collections.abc import Iterator

import pytest
import structlog
from building import entry, key, message

from lambdo_router import journal
from lambdo_router.batching import Batch
from lambdo_router.errors import LaunchUnavailable, QueueRefused, QueueUnavailable
from lambdo_router.launching import Machine
from lambdo_router.routing import Refused
from lambdo_router.settlement import Acknowledge, Leave, Reject, Rejection, Retry
from lambdo_router.telemetry import configure_logs, log_fact

BATCH = Batch(key(), (entry("m1", '{"secret":"body"}'),))
FACTS: list[tuple[journal.Fact, str, str]] = [
    (journal.QueueOpened("q"), "info", "queue.opened"),
    (journal.QueueClosed("q"), "info", "queue.closed"),
    (journal.QueueFailed("q", "receive", QueueUnavailable("503"), 1.0), "warning", "queue.failed"),
    (journal.QueueFailed("q", "open", QueueRefused("denied"), 15.0), "error", "queue.failed"),
    (journal.Received("q", message(body="secret body")), "debug", "message.received"),
    (journal.Redelivered("q", "m1"), "info", "message.redelivered"),
    (
        journal.Decided("q", "m1", Refused("unmatched", "no route matches", "leave")),
        "debug",
        "message.refused",
    ),
    (
        journal.Launched(BATCH, Machine("id", "name", "iad"), 1.0, 1, 30.0, "b1"),
        "info",
        "machine.launched",
    ),
    (
        journal.LaunchFailed(BATCH, LaunchUnavailable("503", code="unavailable"), 1, 2.0),
        "warning",
        "machine.launch_failed",
    ),
    (journal.Settled("q", "m1", "orders", Acknowledge("launched")), "debug", "message.deleted"),
    (journal.Settled("q", "m1", "orders", Retry(5.0, "503")), "debug", "message.retried"),
    (journal.Settled("q", "m1", None, Leave("unmatched", "why")), "info", "message.left"),
    (
        journal.Settled(
            "q", "m1", None, Reject("r", Rejection("not_json", "why", None, "q", "m1", 1, 0.0))
        ),
        "info",
        "message.rejected",
    ),
    (
        journal.WatchFailed("jobs", None, LaunchUnavailable("503", code="unavailable"), 2.0),
        "warning",
        "machine.watch_failed",
    ),
    (journal.MachineOverdue("jobs", "id"), "warning", "machine.overdue"),
    (
        journal.MachineEnded(BATCH, "b1", "id", "succeeded", 0, "", 1.5),
        "info",
        "machine.ended",
    ),
    (
        journal.MachineEnded(BATCH, "b1", "id", "failed", 1, "exited", 1.5),
        "warning",
        "machine.ended",
    ),
    (journal.ReportTaken("b1", 2), "debug", "report.taken"),
    (journal.ReportRefused("b1", 401, "the token"), "warning", "report.refused"),
    (journal.Polled("q", 3, 0.2), "debug", "queue.polled"),
    (journal.BatchClosed(BATCH, "b1", 0.5), "debug", "batch.closed"),
    (journal.LeasesRenewed("q", 3, 28.5), "debug", "leases.renewed"),
    (journal.TakenOver("q", "m1", "id"), "info", "message.taken_over"),
    (
        journal.ProfileFailing("p", "jobs", LaunchUnavailable("400", code="bad_image"), 15.0),
        "error",
        "profile.failing",
    ),
    (journal.ProfileRecovered("p", "jobs"), "info", "profile.recovered"),
    (journal.GivenBack("q", ("m1",)), "info", "messages.given_back"),
    (journal.LeaseLost("q", ("m1",), "why"), "warning", "lease.lost"),
    (journal.SettlementFailed("q", ("m1",), "delete", "why"), "error", "settlement.failed"),
    (journal.UnitFailed("q", ("m1",), KeyError("bug")), "error", "unit.failed"),
    (journal.TableSwapped("g2", "g1", 1, 2), "info", "routes.swapped"),
    (journal.RoutesLoaded("g2", ("routes.yaml:1:1: warning: odd [x]",)), "info", "routes.loaded"),
    (journal.RoutesRefused(("routes.yaml:1:1: bad [x]",)), "error", "routes.refused"),
    (journal.Stopping(25.0), "info", "router.stopping"),
    (journal.Stopped(0), "info", "router.stopped"),
    (journal.Stopped(3), "warning", "router.stopped"),
]


@pytest.fixture(autouse=True)
def _logs_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.mark.parametrize(
    ("fact", "level", "name"), FACTS, ids=[f"{name}-{level}" for _, level, name in FACTS]
)
def test_each_fact_is_one_line_of_json(
    fact: journal.Fact, level: str, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    configure_logs("json", "debug")
    log_fact(fact)

    captured = capsys.readouterr()
    line = json.loads(captured.err)
    assert (line["level"], line["event"]) == (level, name)
    assert captured.out == ""
    assert "secret" not in captured.err


def test_every_kind_of_fact_is_logged() -> None:
    kinds = set(journal.Fact.__args__)
    assert {type(fact) for fact, _, _ in FACTS} == kinds


def test_lines_below_the_level_are_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("text", "info")
    log_fact(journal.Received("q", message()))
    assert capsys.readouterr().err == ""

    log_fact(journal.QueueOpened("q"))
    assert "queue.opened" in capsys.readouterr().err


def test_what_libraries_warn_of_comes_in_the_same_form(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure_logs("json", "info")
    logging.getLogger("botocore").warning("Connection pool is full")

    assert json.loads(capsys.readouterr().err)["event"] == "Connection pool is full"

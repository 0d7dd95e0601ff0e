"""The live view: one line for each thing, and nothing that a sender writes can do more."""

import io
from dataclasses import replace

import pytest
from building import entry, key, message, profile, route, table
from rich.console import Console

from lambdo_router.cli.output.live import LiveView
from lambdo_router.core import journal
from lambdo_router.core.batch import Batch
from lambdo_router.core.errors import LaunchUnavailable, QueueUnavailable
from lambdo_router.core.machine import Machine
from lambdo_router.core.message import Event
from lambdo_router.core.routing import Considered, Refused, Routed
from lambdo_router.core.settlement import Acknowledge, Leave, Reject, Rejection, Retry
from lambdo_router.local.machines_server import Exit, MachineEvent, MachineRecord

_ID = "5f3c2a1b-77d0-4f5e-9a51-0a4d3c9e8b61"
_MACHINE = Machine("3d8d7000c52d78", "lambdo-orders-x", "iad")
_TABLE = table(route("images"), route("orders"), generation="abc")
_BATCH = Batch(key(size="performance-2x"), (entry("m1"), entry("m2")))
_ROUTE = route("images")
_REJECTION = Rejection("unmatched", "no route matches", None, "q", _ID, 1, 0.0)


class _Screen:
    def __init__(self, *, terminal: bool = False) -> None:
        self.out = io.StringIO()
        console = Console(
            file=self.out, width=40, markup=False, emoji=False, highlight=False,
            force_terminal=terminal, color_system="standard" if terminal else None,
        )  # fmt: skip
        self.view = LiveView(console, clock=lambda: 1_700_000_000.25)

    @property
    def lines(self) -> list[str]:
        """Without the time, which is checked where it is the claim."""
        return [line[13:] for line in self.out.getvalue().splitlines()]


def settled(settlement: Acknowledge | Leave | Reject | Retry) -> journal.Settled:
    return journal.Settled("q", _ID, "images", settlement)


@pytest.mark.parametrize(
    ("fact", "line"),
    [
        pytest.param(journal.Received("q", message(_ID)), "received  q 5f3c2a1b", id="received"),
        pytest.param(
            journal.Received("q", message(_ID, receives=2)),
            "received  q 5f3c2a1b for the 2nd time",
            id="received-again",
        ),
        pytest.param(
            journal.Redelivered("q", _ID),
            "received  q 5f3c2a1b delivered again while held",
            id="redelivered",
        ),
        pytest.param(
            journal.Decided("q", _ID, Routed(_ROUTE, _ROUTE.profile, Event("{}", {}, {}))),
            "routed    q 5f3c2a1b -> images",
            id="routed",
        ),
        pytest.param(
            journal.Decided(
                "q",
                _ID,
                Refused("unmatched", "no route matches", "drop", None, (Considered("a", "b"),)),
            ),
            "refused   q 5f3c2a1b unmatched: no route matches",
            id="unmatched",
        ),
        pytest.param(
            journal.Decided("q", _ID, Refused("schema_invalid", "no key", "reject", _ROUTE)),
            "refused   q 5f3c2a1b schema_invalid (route images): no key",
            id="invalid",
        ),
        pytest.param(
            journal.Launched(_BATCH, _MACHINE, 0.2, 1, 50.0, "b1"),
            "launched  orders 3d8d7000c52d78 in iad, performance-2x, 2 events",
            id="launched",
        ),
        pytest.param(
            journal.Launched(_BATCH, replace(_MACHINE, adopted=True), 3.0, 2, 50.0, "b1"),
            "launched  orders 3d8d7000c52d78 in iad, performance-2x, 2 events at attempt 2 "
            "(created by an earlier attempt)",
            id="adopted",
        ),
        pytest.param(
            journal.LaunchFailed(_BATCH, LaunchUnavailable("full", code="capacity"), 1, 1.52),
            "no launch orders full (2 events; next attempt in 1.5 s)",
            id="launch-failed",
        ),
        pytest.param(
            journal.LaunchFailed(_BATCH, LaunchUnavailable("full", code="capacity"), 4, None),
            "no launch orders full (2 events; given up)",
            id="launch-given-up",
        ),
        pytest.param(
            settled(Acknowledge("launched")), "settled   q 5f3c2a1b deleted", id="deleted"
        ),
        pytest.param(settled(Acknowledge("dropped")), "settled   q 5f3c2a1b dropped", id="dropped"),
        pytest.param(
            settled(Reject("bad", _REJECTION)),
            "settled   q 5f3c2a1b rejected to bad as unmatched",
            id="rejected",
        ),
        pytest.param(
            settled(Leave("unmatched", "no route matches")),
            "settled   q 5f3c2a1b left on the queue as unmatched",
            id="left",
        ),
        pytest.param(
            settled(Retry(7.6, "full")), "settled   q 5f3c2a1b retried in 8 s: full", id="retried"
        ),
        pytest.param(journal.QueueOpened("q"), "queue     q opened", id="opened"),
        pytest.param(journal.QueueClosed("q"), "queue     q closed", id="closed"),
        pytest.param(
            journal.QueueFailed("q", "receive", QueueUnavailable("no answer"), 2.0),
            "queue     q receive: no answer (next attempt in 2.0 s)",
            id="queue-failed",
        ),
        pytest.param(
            journal.GivenBack("q", (_ID, "abc")),
            "returned  q 5f3c2a1b abc visible again",
            id="given-back",
        ),
        pytest.param(
            journal.LeaseLost("q", (_ID,), "its lease expired"),
            "lost      q 5f3c2a1b may be visible to others: its lease expired",
            id="lost",
        ),
        pytest.param(
            journal.SettlementFailed("q", (_ID,), "delete", "gone"),
            "unsettled q 5f3c2a1b delete: gone; SQS will redeliver it",
            id="unsettled",
        ),
        pytest.param(
            journal.InternalError("q", (_ID,), KeyError("x")),
            "failed    q 5f3c2a1b a bug in lambdo-router: KeyError: 'x'",
            id="defect",
        ),
        pytest.param(
            journal.TableActivated(_TABLE, None),
            "routes    loaded: 2 routes, 1 queue abc",
            id="loaded",
        ),
        pytest.param(
            journal.TableActivated(_TABLE, "old"),
            "routes    reloaded: 2 routes, 1 queue abc",
            id="reloaded",
        ),
        pytest.param(
            journal.Stopping(5.0), "stopping  waiting for what is in progress", id="stopping"
        ),
        pytest.param(journal.Stopped(0), "stopped", id="stopped"),
    ],
)
def test_every_fact_is_one_line(fact: journal.Fact, line: str) -> None:
    screen = _Screen()
    screen.view.observe(fact)

    assert screen.lines == [line]


def test_a_refused_routes_file_shows_each_problem_on_its_line() -> None:
    screen = _Screen()
    screen.view.observe(
        journal.ReloadFailed(("routes.yaml:3:5: no [no-app]", "routes.yaml:9:1: x"))
    )

    assert screen.lines == [
        "routes    not reloaded; the last valid routes stay in use",
        "          routes.yaml:3:5: no [no-app]",
        "          routes.yaml:9:1: x",
    ]


def record(*events: tuple[str, str, float], end: Exit | None = None) -> MachineRecord:
    return MachineRecord(
        id=_MACHINE.id,
        app="jobs",
        name=_MACHINE.name,
        region="iad",
        version="01",
        private_ip="fdaa::1",
        created_at=0.0,
        updated_at=0.0,
        config={"image": "x", "metadata": {"lambdo_route": "images"}},
        events=tuple(
            MachineEvent(str(at), kind, status, "flyd", at, "started")
            for kind, status, at in events
        ),
        exit=end,
    )


@pytest.mark.parametrize(
    ("end", "line"),
    [
        (Exit(0), "exited    images 3d8d7000c52d78 code 0 after 1.2 s"),
        (Exit(3), "exited    images 3d8d7000c52d78 code 3 after 1.2 s"),
        (
            Exit(137, oom_killed=True),
            "exited    images 3d8d7000c52d78 code 137, out of memory after 1.2 s",
        ),
    ],
)
def test_a_machine_is_heard_with_its_route_until_its_end(end: Exit, line: str) -> None:
    screen = _Screen()
    created = record(("launch", "created", 1.0))
    ended = record(("start", "started", 2.0), ("exit", "stopped", 3.2), end=end)
    screen.view.machine_event(created, created.events[-1])
    screen.view.output(_MACHINE.id, "stdout", "one\ttwo")
    screen.view.output(_MACHINE.id, "stderr", "oh no")
    screen.view.machine_event(ended, ended.events[-1])

    assert screen.lines == [
        "output    images 3d8d7000c52d78 | one    two",
        "output    images 3d8d7000c52d78 ! oh no",
        line,
    ]


def test_every_line_begins_with_the_time() -> None:
    screen = _Screen()
    screen.view.observe(journal.Stopped(0))

    (line,) = screen.out.getvalue().splitlines()
    hours, minutes, seconds = line.split()[0].split(":")
    assert (len(hours), len(minutes), seconds) == (2, 2, "20.250")


@pytest.mark.parametrize("terminal", [True, False])
def test_hostile_text_is_shown_and_does_nothing(*, terminal: bool) -> None:
    hostile = "[red]x[/red] :smile: \x1b[2J\x07\r\n\u202e{} https://x"
    screen = _Screen(terminal=terminal)
    screen.view.output("m", "stdout", hostile)
    screen.view.note("try", hostile)
    refused = Refused("not_json", hostile, "drop")
    screen.view.observe(journal.Decided(hostile, hostile, refused))

    text = screen.out.getvalue()
    assert text.count("\n") == 3
    assert text.count(r"[red]x[/red] :smile: \x1b[2J\x07\r\n\u202e{} https://x") == 4
    assert "\x1b[2J" not in text
    assert not {"\x07", "\r", "\u202e"} & set(text)


def test_a_long_text_is_cut_and_never_folded() -> None:
    screen = _Screen()
    screen.view.output("m", "stdout", "x" * 16_384)

    assert screen.lines == [f"output    machine m | {'x' * 500}... (16384 characters)"]


def test_there_is_colour_on_a_terminal_only() -> None:
    plain, coloured = _Screen(), _Screen(terminal=True)
    for screen in (plain, coloured):
        screen.view.observe(settled(Acknowledge("launched")))

    assert "\x1b[32mdeleted\x1b[0m" in coloured.out.getvalue()
    assert "\x1b" not in plain.out.getvalue()


def test_a_size_in_full_is_shown_as_people_read_it() -> None:
    screen = _Screen()
    batch = Batch(replace(key(), profile=replace(profile(), size="shared 1 CPUs, 512 MB")), ())
    screen.view.observe(journal.Launched(batch, _MACHINE, 0.2, 1, 50.0, "b1"))

    assert screen.lines == [
        "launched  orders 3d8d7000c52d78 in iad, shared 1 CPUs, 512 MB, 0 events"
    ]

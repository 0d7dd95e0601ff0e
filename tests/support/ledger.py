"""
Many messages through the real adapters against the embedded servers, with a fault plan in between,
and at the end an account of every one of them.

    python tests/support/ledger.py [SEED] [MESSAGES]

runs one seed and prints its figures.
"""

import asyncio
import json
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

from building import profile, route, table
from scripted_runner import ScriptedRunner

from lambdo_router.adapters.fly import FlyMachines
from lambdo_router.adapters.sqs import Keys, SqsConnector, SqsSettings
from lambdo_router.admin.serving import serve
from lambdo_router.core import journal
from lambdo_router.core.machine import BATCH_PATH, EVENTS_PATH
from lambdo_router.core.message import Attribute
from lambdo_router.core.patterns import compile_pattern
from lambdo_router.core.routing import Match, Queue, RoutingTable
from lambdo_router.core.settlement import REJECTION_ATTRIBUTE
from lambdo_router.engine.router import Limits, Router
from lambdo_router.local.faults import (
    Cut,
    Delay,
    ErrorAnswer,
    FaultPlan,
    LoseAnswer,
    Partial,
    Rate,
    Throttle,
)
from lambdo_router.local.machines_server import (
    AT_ONCE,
    Access,
    MachinesServer,
    RateLimits,
    machines_app,
)
from lambdo_router.local.sqs_server import LedgerEntry, NewMessage, Sqs, sqs_app

RATES = (
    Rate(LoseAnswer(), 0.015, "sqs", "ReceiveMessage"),
    Rate(Cut(), 0.01, "sqs", "ReceiveMessage"),
    Rate(ErrorAnswer(500), 0.005, "sqs", "ReceiveMessage"),
    Rate(Throttle(), 0.005, "sqs", "ReceiveMessage"),
    Rate(LoseAnswer(), 0.05, "sqs", "DeleteMessageBatch"),
    Rate(Partial(0.5), 0.10, "sqs", "DeleteMessageBatch"),
    Rate(ErrorAnswer(503), 0.05, "sqs", "DeleteMessageBatch"),
    Rate(LoseAnswer(), 0.05, "sqs", "ChangeMessageVisibilityBatch"),
    Rate(Partial(0.5), 0.05, "sqs", "ChangeMessageVisibilityBatch"),
    Rate(ErrorAnswer(500), 0.05, "sqs", "SendMessage"),
    Rate(Delay(0.0, 0.05), 0.10, "sqs"),
    Rate(LoseAnswer(), 0.10, "machines", "create"),
    Rate(ErrorAnswer(503), 0.08, "machines", "create"),
    Rate(Throttle(), 0.03, "machines", "create"),
    Rate(Cut(), 0.05, "machines", "create"),
    Rate(ErrorAnswer(500), 0.10, "machines", "list"),
    Rate(Cut(), 0.05, "machines", "metadata"),
)
"""Of every kind: lost answers, 5xx, throttling, partial failures, cut polls."""

_VISIBILITY = 3.0
_PATIENCE = 120.0


@dataclass
class Account:
    """What became of all messages of one run."""

    seed: int
    sent: int = 0
    launched: int = 0
    """Messages that were in at least one Machine."""
    rejected: int = 0
    lost: tuple[str, ...] = ()
    """Gone from the queue without having been launched or rejected."""
    left: int = 0
    """Still on the queue."""
    machines: int = 0
    duplicates: Counter[str] = field(default_factory=Counter)
    """Messages that were in several Machines, by the cause that the ledgers know."""
    unexplained: tuple[str, ...] = ()
    wrongly_launched: tuple[str, ...] = ()
    """Launched although they should have been rejected."""
    faults: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    seconds: float = 0.0

    def __str__(self) -> str:
        twice, faults = sum(self.duplicates.values()), sum(self.faults.values())
        return (
            f"seed {self.seed}: {self.sent} messages in {self.seconds:.1f} s, {faults} faults met; "
            f"launched {self.launched} in {self.machines} Machines, rejected {self.rejected}; "
            f"lost {len(self.lost)}, left {self.left}; "
            f"launched twice {twice} {dict(self.duplicates)}, unexplained {len(self.unexplained)}"
        )


@dataclass
class Countdown:
    """Sets the event when so many messages of the queue `q` are deleted."""

    left: int
    done: asyncio.Event

    def note(self, entry: LedgerEntry) -> None:
        if entry.kind == "deleted" and entry.queue == "q":
            self.left -= 1
        if self.left == 0:
            self.done.set()


def _table() -> RoutingTable:
    def kind(name: str) -> Match:
        return Match(attributes=compile_pattern({"kind": [name]}))

    queues = (
        Queue("q", lookup="q", visibility=_VISIBILITY, reject_to="rejected", on_unmatched="reject"),
        Queue("rejected", lookup="rejected"),
    )
    return table(
        route("small", match=kind("small"), profile=profile(batch_size=20)),
        route("large", match=kind("large"), profile=profile(batch_size=100, batch_window=0.2)),
        queues=queues,
    )


def _outgoing(number: int) -> tuple[NewMessage, bool]:
    """The n-th message, and whether it is to be launched."""
    kinds = ("small", "large", "large", "large", "unknown" if number % 40 == 4 else "small")
    kind = kinds[number % 5]
    body = json.dumps({"n": number}) if number % 50 != 7 else "not json"
    good = kind != "unknown" and body != "not json"
    return NewMessage(body, {"kind": Attribute("String", kind)}), good


async def account_of(seed: int, messages: int) -> Account:
    """Send, route and launch `messages` messages under the faults of this seed."""
    account = Account(seed)
    plan = FaultPlan(seed, RATES)
    sqs, facts = Sqs(), list[journal.Fact]()
    for name in ("q", "rejected"):
        sqs.create_queue(name, {}, time.time())
    machines = MachinesServer(
        ScriptedRunner(), Access({"t": None}), AT_ONCE, RateLimits(enabled=False)
    )
    good: set[str] = set()
    stop, settled = asyncio.Event(), asyncio.Event()
    waiting = Countdown(messages, settled)
    sqs.ledger.listeners.append(waiting.note)
    began = time.monotonic()
    async with AsyncExitStack() as running:
        sqs_url = await running.enter_async_context(serve(sqs_app(sqs, plan)))
        await running.enter_async_context(machines.running())
        fly_url = await running.enter_async_context(serve(machines_app(machines, plan)))
        connector = SqsConnector(SqsSettings(sqs_url, "us-east-1", 1, Keys("a", "b")))
        running.push_async_callback(connector.aclose)
        fly = await running.enter_async_context(
            FlyMachines(token="t", base_url=fly_url, rate=100.0, burst=100)
        )
        router = Router(_table(), connector.open, fly, facts.append, limits=Limits(100.0, 100, 20))
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(router.run(stop, _never()))
            for number in range(messages):
                outgoing, launchable = _outgoing(number)
                message_id = sqs.send("q", outgoing, time.time())
                if launchable:
                    good.add(message_id)
                if number % 100 == 99:
                    await asyncio.sleep(0.01)
            async with asyncio.timeout(_PATIENCE):
                await settled.wait()
            stop.set()
    account.seconds = time.monotonic() - began
    account.sent = messages
    _close(account, sqs, machines, facts, plan, good)
    return account


def _close(
    account: Account,
    sqs: Sqs,
    machines: MachinesServer,
    facts: list[journal.Fact],
    plan: FaultPlan,
    good: set[str],
) -> None:
    entries = list(sqs.ledger.entries)
    sent = {e.message_id for e in entries if e.kind == "sent" and e.queue == "q"}
    deleted = {e.message_id for e in entries if e.kind == "deleted" and e.queue == "q"}
    runs: Counter[str] = Counter()
    for machine in machines.machines():
        described = json.loads(machine.files[BATCH_PATH])["messages"]
        assert len(described) == len(json.loads(machine.files[EVENTS_PATH]))
        runs.update(message["message_id"] for message in described)
    rejections = _rejected(sqs)
    account.launched = len(runs)
    account.rejected = len(rejections)
    account.machines = len(machines.machines())
    account.left = len(sent - deleted)
    account.lost = tuple(sorted(deleted - set(runs) - rejections))
    account.wrongly_launched = tuple(sorted(set(runs) - good))
    in_doubt = {
        message_id
        for fact in facts
        if isinstance(fact, journal.LaunchFailed) and getattr(fact.error, "ambiguous", False)
        for message_id in fact.batch.message_ids
    }
    lost_lease = {i for f in facts if isinstance(f, journal.LeaseLost) for i in f.message_ids}
    unexplained = []
    for message_id, times in runs.items():
        if times == 1:
            continue
        if message_id in in_doubt:
            account.duplicates["create without a clear answer"] += 1
        elif message_id in lost_lease:
            account.duplicates["lease lost"] += 1
        else:
            unexplained.append(message_id)
    account.unexplained = tuple(unexplained)
    account.faults = Counter((met.service, met.action, met.kind) for met in plan.injected)


def _rejected(sqs: Sqs) -> set[str]:
    """The messages whose copies are in the reject queue, by the ids they had on their own."""
    found: set[str] = set()
    while deliveries := sqs.receive("rejected", 10, 600, time.time()):
        for delivery in deliveries:
            reason = json.loads(str(delivery.attributes[REJECTION_ATTRIBUTE].value))
            found.add(reason["message_id"])
    return found


async def _never() -> AsyncIterator[RoutingTable]:
    await asyncio.Event().wait()
    yield _table()


if __name__ == "__main__":
    seed, messages = (int(argument) for argument in [*sys.argv[1:], "1", "5000"][:2])
    sys.stdout.write(f"{asyncio.run(account_of(seed, messages))}\n")

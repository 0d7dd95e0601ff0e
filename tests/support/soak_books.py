"""
The books of a soak: what was sent, what both servers did with it, and whether all of it is right.

Judged by the ledgers of the embedded servers. The routers' own logs are heard as witnesses of one
thing only: why something ran twice, or out of order. A cause counts if it concerns this message
and the router that launched it, not because it happened at about that time.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from soak_evidence import Evidence

from lambdo_router.core.machine import BATCH_PATH
from lambdo_router.core.machine_metadata import message_digest
from lambdo_router.local.machines_server import MachineRecord
from lambdo_router.local.machines_server.mishaps import Happened
from lambdo_router.local.sqs_server import LedgerEntry


@dataclass
class Account:
    """What became of everything of one seed."""

    seed: int
    sent: int = 0
    machines: int = 0
    lost: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    early: list[str] = field(default_factory=list)
    """Deleted before their condition held."""
    out_of_order: list[tuple[str, str]] = field(default_factory=list)
    twice: Counter[str] = field(default_factory=Counter)
    """Successful runs beyond the first, by cause."""
    unexplained: list[str] = field(default_factory=list)
    lost_and_launched: list[str] = field(default_factory=list)
    """Launched although the router had found their lease lost."""
    hidden_again: list[str] = field(default_factory=list)
    """Hidden for longer, or shorter, after they were given back with a delay."""
    rejected: int = 0
    receives: float = 0.0
    """Receives per message."""
    calls: float = 0.0
    """Calls to SQS and Fly per message."""
    margin: float = 0.0
    """Seconds that were left of the shortest lease, where the router was not frozen."""
    chaos: Counter[str] = field(default_factory=Counter)
    faults: int = 0
    peak_rss: int = 0
    seconds: float = 0.0
    printed: list[str] = field(default_factory=list)
    """Tracebacks, secrets: what no router may print."""
    stories: list[str] = field(default_factory=list)
    """All that is known of the first messages that something is wrong with."""

    WRONG = (
        "lost",
        "left",
        "early",
        "out_of_order",
        "unexplained",
        "lost_and_launched",
        "hidden_again",
        "printed",
    )

    @property
    def fine(self) -> bool:
        return not any(getattr(self, name) for name in self.WRONG)

    def row(self) -> str:
        twice = ", ".join(f"{count} {why}" for why, count in sorted(self.twice.items())) or "-"
        chaos = " ".join(f"{name}:{count}" for name, count in sorted(self.chaos.items()))
        wrong = " ".join(f"{len(getattr(self, name)):>5}" for name in self.WRONG[:-1])
        return (
            f"{self.seed:>4} {self.sent:>5} {self.machines:>5} {wrong} {self.margin:>6.2f} "
            f"{self.receives:>6.2f} {self.calls:>6.2f} {self.faults:>5} "
            f"{self.peak_rss / 1024:>5.0f}M {self.seconds:>5.0f}s  {chaos}  twice: {twice}"
        )


HEAD = (
    "seed  sent Machs  lost  left early order  dupl stale later margin recv/m call/m fault   RSS"
    "  time"
)
"""
lost .. later: the lists of Account.WRONG, all to be 0. margin: seconds that were left of the
shortest lease. recv/m, call/m: receives, and calls to both services, per message.
"""


@dataclass
class Books:
    """All that is known of one seed at its end."""

    account: Account
    kinds: dict[str, str]
    """What was sent: the kind of each message."""
    groups: dict[str, list[str]]
    """The messages of each group, in the order of sending."""
    entries: list[LedgerEntry]
    machines: Sequence[MachineRecord]
    mishaps: list[Happened]
    rejected: set[str]
    evidence: Evidence
    holders: dict[str, list[MachineRecord]] = field(default_factory=lambda: defaultdict(list))

    def close(self) -> None:
        """Hold the ledgers of both servers against each other."""
        account = self.account
        account.sent, account.machines = len(self.kinds), len(self.machines)
        account.rejected = len(self.rejected)
        known = [entry for entry in self.entries if entry.message_id in self.kinds]
        account.receives = sum(e.kind == "received" for e in known) / max(1, account.sent)
        for machine in self.machines:
            for message in json.loads(machine.files[BATCH_PATH])["messages"]:
                self.holders[message["message_id"]].append(machine)
        deleted = {entry.message_id: entry.at for entry in known if entry.kind == "deleted"}
        for message_id, kind in self.kinds.items():
            self._judge(message_id, kind, deleted.get(message_id))
        account.out_of_order = list(self._disorder())
        account.lost_and_launched = list(self._launched_after_a_loss())
        account.hidden_again = list(self._hidden_again(known))
        account.margin = self.evidence.least_margin(patience=5.0)
        account.printed = self.evidence.printed
        wrong = [i for name in Account.WRONG[:-1] for i in getattr(account, name)]
        for found in wrong[:3]:
            for message_id in [found] if isinstance(found, str) else found:
                account.stories.append(f"{self.kinds[message_id]} {message_id}")
                account.stories += self._story(message_id)

    def _story(self, message_id: str) -> Iterator[str]:
        """What both ledgers and the routers' logs say of one message, in order."""
        told = [
            (entry.at, f"SQS {entry.kind} {entry.seconds} {entry.receipt} {entry.fault}")
            for entry in self.entries
            if entry.message_id == message_id
        ]
        batches = set()
        for machine in self.holders[message_id]:
            batches.add(machine.metadata["lambdo_batch"])
            told += [(event.at, f"{machine.id} {event.type}") for event in machine.events]
            told.append((machine.created_at, f"{machine.id} created {machine.name}"))
        told += [
            (at, line)
            for at, line in self.evidence.lines
            if any(name in line for name in (message_id, *batches))
        ]
        told += [
            (f.begun, f"router {f.router} frozen until {f.ended}") for f in self.evidence.freezes
        ]
        for at, text in sorted(told):
            yield f"  {at:.3f} {text}"

    def _judge(self, message_id: str, kind: str, deleted_at: float | None) -> None:
        holders = self.holders[message_id]
        if deleted_at is None:
            self.account.left.append(message_id)
        elif not self._was_done(message_id, kind):
            self.account.lost.append(message_id)
        elif kind in ("careful", "fifo"):
            done = min(ended_at(m) for m in holders if succeeded(m, message_id))
            if deleted_at < done:
                self.account.early.append(message_id)
        runs = [m for m in holders if kind == "quick" or succeeded(m, message_id)]
        if len(runs) > 1:
            first, second = sorted(runs, key=lambda machine: machine.created_at)[:2]
            cause = self._cause(message_id, first, second)
            if cause is None:
                self.account.unexplained.append(message_id)
            else:
                self.account.twice[cause] += 1

    def _was_done(self, message_id: str, kind: str) -> bool:
        holders = self.holders[message_id]
        if kind == "bad":
            return message_id in self.rejected
        if kind == "quick":
            return bool(holders)
        return any(succeeded(machine, message_id) for machine in holders)

    def _cause(self, message_id: str, first: MachineRecord, second: MachineRecord) -> str | None:
        late = {h.machine_id for h in self.mishaps if h.mishap == "late_answer"}
        if first.name in self.evidence.doubted or first.id in late:
            return "create in doubt"
        if any(self._outslept(message_id, machine) for machine in (first, second)):
            return "frozen router"
        lists = ("empty_list", "stale_list")
        if any(
            h.mishap in lists and first.created_at <= h.at <= second.created_at
            for h in self.mishaps
        ):
            return "list that lagged"
        return None

    def _outslept(self, message_id: str, machine: MachineRecord) -> bool:
        """
        Whether the router that launched this Machine was frozen with the message in its hands, or
        with the answer that brought it on the way, and SQS gave the message to somebody meanwhile.
        """
        launcher = self.evidence.closed.get(machine.metadata["lambdo_batch"])
        if launcher is None:
            return False
        router, _ = launcher
        got = self.evidence.last_received(router, message_id, machine.created_at)
        if got is None:
            return False
        given = sorted(
            entry.at
            for entry in self.entries
            if entry.kind == "received" and entry.message_id == message_id
        )
        # The router notes a receive after SQS has given the message away, and if it was frozen in
        # between, long after.
        delivery = self.evidence.deliveries.get((router, message_id, got), 0)
        since = given[delivery - 1] if 0 < delivery <= len(given) else got
        if not self.evidence.was_frozen(router, since, machine.created_at):
            return False
        return any(since < at <= machine.created_at for at in given)

    def _disorder(self) -> Iterator[tuple[str, str]]:
        """Pairs of a group where the later was launched before the earlier had succeeded."""
        for group in self.groups.values():
            for at, later in enumerate(group):
                for earlier in group[:at]:
                    if self._disordered(earlier, later):
                        yield earlier, later

    def _disordered(self, earlier: str, later: str) -> bool:
        ends = [ended_at(m) for m in self.holders[earlier] if succeeded(m, earlier)]
        return any(
            (not ends or machine.created_at < min(ends))
            and all(machine.id != held.id for held in self.holders[earlier])
            and not self._outslept(later, machine)
            for machine in self.holders[later]
        )

    def _launched_after_a_loss(self) -> Iterable[str]:
        """A router that has found a lease lost must not put that delivery into a batch."""
        for router, message_id, lost_at in self.evidence.lost:
            for machine in self.holders[message_id]:
                closer, closed_at = self.evidence.closed.get(
                    machine.metadata["lambdo_batch"], (None, 0.0)
                )
                if closer != router or closed_at <= lost_at:
                    continue
                again = self.evidence.last_received(router, message_id, closed_at)
                if again is not None and again <= lost_at:
                    yield message_id

    def _hidden_again(self, known: list[LedgerEntry]) -> Iterable[str]:
        """What was given back with a delay is not touched by a renewal that comes after it."""
        changes: dict[str, list[LedgerEntry]] = defaultdict(list)
        for entry in known:
            if entry.kind == "visibility":
                changes[entry.message_id].append(entry)
        for (_, message_id), retries in self.evidence.retried.items():
            for retried_at, delay in retries:
                mine = [
                    entry
                    for entry in changes[message_id]
                    if entry.at <= retried_at and abs((entry.seconds or 0.0) - delay) <= 1.0
                ]
                # boto3 repeats a call after a lost answer, and asks for the same again.
                if mine and any(
                    entry.at > retried_at
                    and entry.receipt == mine[-1].receipt
                    and entry.seconds != mine[-1].seconds
                    for entry in changes[message_id]
                ):
                    yield message_id


def succeeded(machine: MachineRecord, message_id: str) -> bool:
    failed = machine.metadata.get("lambdo_failed", "")
    well = machine.exit is not None and machine.exit.code == 0 and not machine.stop_requested
    return well and message_digest(message_id) not in failed


def ended_at(machine: MachineRecord) -> float:
    return next(event.at for event in machine.events if event.type == "exit")

"""
What the router would do with one message, step by step as its consumer does it.

Every step is the consumer's own function, so that no command and no page can say anything else
than what the router does.
"""

from dataclasses import dataclass
from typing import Literal, assert_never

from lambdo_router.core.batch import Batch, Batcher, BatchKey, Entry
from lambdo_router.core.machine import entry_of, room_for_entries
from lambdo_router.core.message import Message
from lambdo_router.core.routing import Decision, Queue, Refused, RoutingTable, decide
from lambdo_router.core.settlement import (
    Acknowledge,
    Leave,
    Reject,
    Retry,
    Settlement,
    of_refusal,
    of_too_large,
)

Outcome = Literal["batched", "rejected", "left", "dropped", "not_read"]
"""What becomes of a message; `not_read`: no route reads its queue, and so the router never does."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Where a message goes."""

    decision: Decision
    outcome: Outcome
    settlement: Settlement | None = None
    """Of a message that gets into no batch."""
    key: BatchKey | None = None
    """What its event shares with those that it may share a Machine with, if a route takes it."""
    entry: Entry | None = None

    @property
    def refusal(self) -> tuple[str, str]:
        """Reason and detail of a message that gets into no batch; else both are empty."""
        match self.settlement:
            case Reject(rejection=rejection):
                return rejection.reason, rejection.detail
            case Leave(reason=reason, detail=detail):
                return reason, detail
            case Acknowledge() if isinstance(self.decision, Refused):
                return self.decision.reason, self.decision.detail
            case _:
                return "", ""

    @property
    def batch(self) -> Batch | None:
        """The batch with nothing but this message's event in it."""
        if self.outcome != "batched" or self.key is None or self.entry is None:
            return None
        return Batch(self.key, (self.entry,))


def judge(
    table: RoutingTable, queue: Queue, message: Message, *, wall: float, record: bool = False
) -> Verdict:
    """
    Where this message goes; `wall` is the time of a rejection, in unix seconds.

    With `record` the decision says why each earlier route did not match.
    """
    decision = decide(table, queue, message, record=record)
    if not table.routes_of(queue.name):
        return Verdict(decision, "not_read")
    if isinstance(decision, Refused):
        settlement = of_refusal(decision, queue, message, wall)
        return Verdict(decision, _outcome(settlement), settlement)
    key = BatchKey(queue.name, decision.route, decision.profile)
    entry = entry_of(message, decision.event)
    if Batcher(room_for_entries).add(key, entry, 0.0):
        return Verdict(decision, "batched", None, key, entry)
    settlement = of_too_large(key, entry, queue, wall)
    return Verdict(decision, _outcome(settlement), settlement, key, entry)


def _outcome(settlement: Settlement) -> Outcome:
    match settlement:
        case Reject():
            return "rejected"
        case Leave() | Retry():
            return "left"
        case Acknowledge():
            return "dropped"
        case unreachable:
            assert_never(unreachable)
